--[[ revive: take a message into the engine again, or decide about one that waits for a slow retry or for a person
  KEYS   1 shard prefix
  ARGV   1 wallMs or ''   2 verb   3 id   4 lane   5 detail of the event it makes (JSON)
         redrive, log: 6 'failed', 'sent' or 'lost', what the engine counted it as   7 attempts so far   8 slow retries so far
           9 delayMs, -1 = it has failed for good (log only)   10 priority   11 contact   12 expiresAtMs or ''   13 body
           14 'concurrency|weight|backlogMax'   15 detail of the deferred or failed event (JSON; log only)
         hasten: what is deferred goes now   6 attempts that the caller knows of, 0 = none   7 slow retries that it knows of
         resend: what is held goes again   close: what is held ends as failed
         settled: what is deferred was sent after all, as the record knows
  RETURN {dueMs or -1, 1 done | 0 not in that state, or done before | 2 backlog full | 3 expired | -1 unknown sender}
  COST   O(1) ]]
-- @include "base"
-- @include "state"
-- @include "pair"
-- @include "place"
-- @include "circuit"
-- @include "flight"
-- @include "dispatch"
-- @include "finish"
local TWO_DAYS_MS = '172800000'
local verb, id, lane, detail = ARGV[2], ARGV[3], ARGV[4], ARGV[5]

-- A message comes back once for each number of attempts: a repeated call, another process that does the same, or a
-- caller that read an old record finds its number taken. The attempt that follows makes the next number.
-- One that was logged is new here, whatever was tried elsewhere: its number is below all others, because the record
-- knows of no attempt when it comes back for the first time.
local LOGGED = -1
local function is_repeated(number)
  if call('HEXISTS', P .. 'sch', id) == 1 then
    return true
  end
  -- A late proof ended it, and it still stands dead in its conversation: a mark of the dead is by id, and would be of both.
  if has_tombstones() and call('HEXISTS', P .. 'x', id) == 1 then
    return true
  end
  for day = today, today - 1, -1 do
    local last = call('HGET', P .. 'v:' .. day, id)
    if last and tonumber(last) >= number then
      return true
    end
  end
  return false, P .. 'v:' .. today
end

local function revive(s, t)
  local from, attempts, deferrals, delay = ARGV[6], tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])
  local priority, contact, expires, body = ARGV[10], ARGV[11], ARGV[12], ARGV[13]
  local number = verb == 'log' and LOGGED or attempts
  local repeated, fence = is_repeated(number)
  if repeated then
    return 0
  end
  if expires ~= '' and tonumber(expires) <= wall then
    return 3
  end
  local cap, weight, backlog_max = match(ARGV[14], '^(%d+)|(%d+)|(%d+)$')
  if t.backlog + t.parked >= tonumber(backlog_max) then
    return 2
  end
  local had = t.cap
  t.cap, t.weight = tonumber(cap), tonumber(weight)
  if t.cap > had then
    join_ring(s, t)
  end
  call('HSET', fence, id, number)
  call('PEXPIRE', fence, TWO_DAYS_MS)
  seq = seq + 1
  local element = format('%d|', seq) .. priority .. '|' .. expires .. '|' .. id ..
    format('|%d.0.%d.0|', attempts, deferrals) .. contact .. '|' .. body
  if verb == 'log' then
    count('accepted', 1)
    tell('A|' .. lane, element)
    if delay < 0 then
      count('failed', 1)
      event('F', id, ARGV[15])
      return 1
    end
    count('deferred', 1)
    event('D', id, ARGV[15])
  else
    if from == 'lost' then
      -- The record has it and this Redis never had: it was emptied, or restored from before.
      count('accepted', 1)
      count('deferred', 1)
    else
      move(from, 'deferred')
      -- How often messages ended so must never shrink: with these the counters tell it.
      count('returned:' .. from, 1)
    end
    event('V', id, detail)
  end
  park('D', t, lane, id, element)
  if delay <= 0 then
    rejoin(id)
    return 1
  end
  arm('d:' .. id, now + delay)
  if expires ~= '' then
    timers_changed = true
    call('ZADD', P .. 'at', expires, expiry_member(parse(element), lane))
  end
  return 1
end

-- Takes a parked message of this kind out for good.
local function unpark(t, wanted)
  local raw = call('HGET', P .. 'sch', id)
  if not raw or sub(raw, 1, 1) ~= wanted then
    return false
  end
  local _, _, element = parse_parked(raw)
  call('HDEL', P .. 'sch', id)
  disarm('d:' .. id)
  local h = parse(element)
  if h then
    forget_expiry(h, lane)
  end
  t.parked = t.parked - 1
  return true
end

-- It was tried again since the caller looked: what it waits for now may be a pause that the provider asked for.
local function is_overtaken(tried)
  local attempts, deferrals = tonumber(ARGV[6]), tonumber(ARGV[7])
  return (attempts > 0 and tried.attempts > attempts) or tried.deferrals > deferrals
end

local function hasten(s, t)
  local raw = call('HGET', P .. 'sch', id)
  if raw and sub(raw, 1, 1) == 'D' then
    local _, _, element = parse_parked(raw)
    local h = parse(element)
    if h and is_overtaken(h) then
      return 0
    end
    disarm('d:' .. id)
    rejoin(id)
    return 1
  end
  local f = load_flight(lane)
  if f and f.id == id and f.state == 'D' and not is_overtaken(f) and disarm('l:' .. lane) then
    place(s, t, lane, true)
    return 1
  end
  return 0
end

local function decide()
  local s, t = of_lane(lane)
  if not s then
    return -1
  end
  if verb == 'redrive' or verb == 'log' then
    return revive(s, t)
  elseif verb == 'hasten' then
    return hasten(s, t)
  elseif verb == 'resend' then
    local raw = call('HGET', P .. 'sch', id)
    if not raw or sub(raw, 1, 1) ~= 'H' then
      return 0
    end
    call('HDEL', P .. 'ui', id)
    event('V', id, detail)
    rejoin(id)
    return 1
  elseif verb == 'close' and unpark(t, 'H') then
    call('HDEL', P .. 'ui', id)
    move('held', 'failed')
    event('F', id, detail)
    return 1
  elseif verb == 'settled' and unpark(t, 'D') then
    move('deferred', 'sent')
    return 1
  end
  return 0
end

local result = decide()
serve_idle()
return { (finish(false)), result }
