-- Pairs: sender + contact. Busy from the grant to the settle; free again at `next`, which lies a gap after the settle;
-- `tat` is when its bucket is full again. Read once per call, written once by flush_pairs(). `ready`: a lane of it was
-- placed in this call and stands ready. `limits`: how often in a row the provider has limited it, 3 at most.
-- Packed: 1 busy + 2 lanes wait + 4 times limits, next, tat (ms of the pacing clock).
local PAIR_RECORD = '<Bdd'
local LIMITS_MAX = 3
local LIMITS_KEPT_MS = 64000 -- after its wait: a limit after a longer silence is the first of another row
local pair_list = {}
local function pair_read(s, contact, key, raw)
  local flags, next_at, tat = 0, 0, 0
  if raw then
    flags, next_at, tat = struct.unpack(PAIR_RECORD, raw)
  end
  local p = {
    key = key, busy = flags % 2 == 1, next = next_at, tat = tat, waiting = flags % 4 > 1, ready = false, dirty = false,
    limits = next_at + LIMITS_KEPT_MS > now and floor(flags / 4) or 0,
  }
  s.pairs[contact] = p
  pair_list[#pair_list + 1] = p
  return p
end
local function pair_key(s, contact)
  return P .. 'p:' .. s.id .. '|' .. contact
end
local function pair_load(s, contact)
  local p = s.pairs[contact]
  if not p then
    local key = pair_key(s, contact)
    p = pair_read(s, contact, key, call('GET', key))
  end
  return p
end
-- Its sender and contact, as its timer and its waiting list are named.
local function pair_name(p)
  return sub(p.key, #P + 3)
end
-- Reads the pairs of these lanes' attempts in flight at once.
local function load_pairs(lanes)
  local senders_of, contacts, keys = {}, {}, {}
  for _, lane in ipairs(lanes) do
    local s, f = of_lane(lane), load_flight(lane)
    if s and s.pairs_on and f then
      local n = #keys + 1
      senders_of[n], contacts[n], keys[n] = s, f.contact, pair_key(s, f.contact)
    end
  end
  if #keys == 0 then
    return
  end
  for n, raw in ipairs(call('MGET', unpack(keys))) do
    local s, contact = senders_of[n], contacts[n]
    if not s.pairs[contact] then
      pair_read(s, contact, keys[n], raw)
    end
  end
end

local function pair_store(p)
  p.dirty = true
end
local function flush_pairs()
  local kept, gone = {}, {}
  for _, p in ipairs(pair_list) do
    if p.dirty then
      local keep = max(p.next, p.tat) - now
      if p.limits > 0 then
        keep = max(keep, p.next + LIMITS_KEPT_MS - now)
      end
      if p.busy or p.waiting or p.ready then
        -- Somebody depends on this value: it must not expire on another clock. Or its conversation goes on: then it is
        -- written together with others, and gets its end when it is written after the last message.
        kept[#kept + 1] = p.key
        kept[#kept + 1] = struct.pack(PAIR_RECORD, (p.busy and 1 or 0) + (p.waiting and 2 or 0) + 4 * p.limits, p.next, p.tat)
      elseif keep > 0 then
        call('SET', p.key, struct.pack(PAIR_RECORD, 4 * p.limits, p.next, p.tat), 'PX', format('%d', ceil(keep)))
      else
        gone[#gone + 1] = p.key
      end
    end
  end
  if #kept > 0 then
    call('MSET', unpack(kept))
  end
  if #gone > 0 then
    call('DEL', unpack(gone))
  end
end

-- When the pair allows the next attempt: a time (<= now: at once), or nil while it is busy.
local function pair_free_at(s, p)
  if p.busy and s.paced then
    return nil
  end
  local free_at = p.next
  if s.pair_cap > 0 then
    free_at = max(free_at, ceil(p.tat - (s.pair_cap - 1) * s.pair_ms))
  end
  return free_at
end

local function pair_take(s, p)
  if not s.paced then
    return
  end
  p.busy = true
  if s.pair_cap > 0 then
    p.tat = ceil(max(p.tat, now) + s.pair_ms)
  end
  pair_store(p)
end

-- What an attempt's outcome says of its pair: `waits` = how long to wait, ms, when the provider limits it for the first
-- time in a row, for the second …, '4000,16000,64000', the last for all that follow; '' no limit. Returns the wait.
local function pair_limited(s, contact, waits, was_sent)
  local p = pair_load(s, contact)
  if p.next > now and p.limits > 0 then
    was_sent = false -- it went beside the one that was limited, and so did this one if it was limited too
  elseif waits ~= '' then
    p.limits = min(p.limits + 1, LIMITS_MAX)
  end
  if was_sent then
    p.limits = 0
  end
  if waits == '' then
    return 0
  end
  local wait_ms, n = 0, 0
  for ms in string.gmatch(waits, '%d+') do
    n = n + 1
    if n <= p.limits then
      wait_ms = tonumber(ms)
    end
  end
  return wait_ms
end

-- The attempt on this pair is over. `wait_ms` is what a provider asked for, 0 without.
local function pair_release(s, contact, wait_ms)
  local p = pair_load(s, contact)
  p.busy = false
  p.next = max(p.next, now + max(s.gap, wait_ms))
  pair_store(p)
  if p.waiting then
    arm('p:' .. pair_name(p), pair_free_at(s, p))
  end
end

-- A granted lane was given back before anything was sent: the pair is as free as before, but for its bucket token. Who
-- was granted before the pair had a limit took none, and nothing says who did.
local function pair_untake(s, contact)
  local p = pair_load(s, contact)
  p.busy = false
  pair_store(p)
  if p.waiting then
    arm('p:' .. pair_name(p), max(now, pair_free_at(s, p)))
  end
end

local function pair_wait(s, p, lane)
  call('RPUSH', P .. 'pw:' .. pair_name(p), lane)
  if not p.waiting then
    p.waiting = true
    pair_store(p)
  end
  if not p.busy then
    arm('p:' .. pair_name(p), max(now, pair_free_at(s, p)))
  end
end
