-- Fires what is due, at most `budget` timers per call.
local function open_pair(name)
  local sender_id, contact = match(name, '^([^|]*)|(.*)$')
  local s = load_sender(sender_id)
  if not s then
    return
  end
  local p = pair_load(s, contact)
  local free_at = pair_free_at(s, p)
  if not free_at then
    return -- busy again: its settle arms the next timer
  end
  if free_at > now then
    arm('p:' .. name, free_at)
    return
  end
  -- One lane per tenant goes through, or a tenant at its cap would hold up another's.
  -- A paused tenant's lanes all go through: they wait in its own lists and hide nobody here.
  local waiting = call('LRANGE', P .. 'pw:' .. name, 0, 7)
  local seen = {}
  local passed = false
  for _, lane in ipairs(waiting) do
    local _, t = of_lane(lane)
    if t.paused or not s.paced or not seen[t.id] then
      seen[t.id] = true
      call('LREM', P .. 'pw:' .. name, 1, lane)
      local h = live_head(s, t, lane, 16)
      if h == 'again' then
        arm('l:' .. lane, now)
      elseif h and h.contact ~= contact then
        place(s, t, lane, false)
      elseif h and held_template(s, h) then
        template_wait(s, h, lane, held_template(s, h))
      elseif h then
        make_ready(s, t, lane, h.priority, false)
        passed = passed or not t.paused
      end
    end
  end
  local left = call('EXISTS', P .. 'pw:' .. name) == 1
  if left and not (passed and s.paced) then
    arm('p:' .. name, now)
  end
  p = pair_load(s, contact)
  if p.waiting ~= left then
    p.waiting = left
    pair_store(p)
  end
end

-- The hold of a template is over: its lanes go on, in the order of their messages, some with every call.
local RELEASE = 32
local function release_template(name)
  local sender_id, template = match(name, '^([^|]*)|(.*)$')
  local s = load_sender(sender_id)
  if not s or call('HGET', P .. 'th:' .. s.id, template) ~= 'R' then
    return
  end
  local waiting = waiting_for_template(s, template)
  for _, lane in ipairs(call('ZRANGE', waiting, 0, RELEASE - 1)) do
    call('ZREM', waiting, lane)
    local _, t = of_lane(lane)
    place(s, t, lane, false)
  end
  if call('EXISTS', waiting) == 1 then
    arm('t:' .. name, now)
  else
    template_store(s, template, nil)
  end
end

local function hold_for_person(s, t, lane, f)
  local element = take_head(s, t, lane)
  local h = element and parse(element)
  if not h then
    end_damaged(element, 'unknown', f.id)
    return
  end
  call('HSET', P .. 'ui', f.id, lane)
  park('H', t, lane, f.id, renumber(h, tonumber(h.seq), f))
  move('unknown', 'held')
  event('U', f.id, '{"waitMs":null,"report":null}')
end

-- While nobody reached the queue, nobody could tell it what had become of an attempt: what was to be over in that time,
-- or right after, is waited for as long again as that time was and a little more, but no longer than the whole wait
-- (decision 43).
local function evidence_until(ambiguous_ms)
  local ended, length = match(call('HGET', P .. 'g', 'gap') or '', '^(%d+)%.(%d+)$')
  return ended and ended + min(tonumber(length) + GAP_MS, ambiguous_ms) or 0
end

-- A lane's timer: a retry is due, an unknown attempt's wait is over, or a dead worker's caps are due back.
local function wake_lane(lane, ambiguous_ms, send_timeout_ms)
  local s, t = of_lane(lane)
  if not s then
    return
  end
  local f = load_flight(lane)
  if not f or f.state == 'R' or f.state == 'D' then
    place(s, t, lane, false)
    return
  end
  if f.state == 'K' or f.state == 'J' then
    free_caps(s, t)
    if s.pairs_on then
      pair_release(s, f.contact, 0)
    end
    f.state = f.state == 'K' and 'U' or 'H'
    local rest = max(0, ambiguous_ms - send_timeout_ms)
    store_flight(lane, f)
    if rest > 0 then
      arm('l:' .. lane, now + rest)
      return
    end
  end
  if f.state == 'H' then
    hold_for_person(s, t, lane, f)
  elseif f.state == 'U' then
    local awaited_until = evidence_until(ambiguous_ms)
    if now < awaited_until then
      arm('l:' .. lane, awaited_until)
      return
    end
    f.state = 'R'
    store_flight(lane, f)
    move('unknown', 'queued')
    event('R', f.id, '{"delayMs":0,"report":null}')
    place(s, t, lane, false)
  end
end

local function expire(member)
  local message_seq, id, lane = match(member, '^x:(%d+):([^:]*):(.*)$')
  local parked = call('HGET', P .. 'sch', id)
  if parked then
    local kind = sub(parked, 1, 1)
    if kind == 'H' then
      return -- for a person to decide: it may have been sent
    end
    local _, t = of_lane(lane)
    call('HDEL', P .. 'sch', id)
    call('ZREM', P .. 'at', 'a:' .. id)
    disarm('d:' .. id)
    t.parked = t.parked - 1
    move(kind == 'S' and 'scheduled' or 'deferred', 'expired')
    event('X', id, '')
    return
  end
  local s, t = of_lane(lane)
  if not s then
    return
  end
  local f = load_flight(lane)
  if f and f.id == id then
    if f.state ~= 'R' and f.state ~= 'D' then
      return -- in flight or unknown: decided when it comes back
    end
    if disarm('l:' .. lane) then
      place(s, t, lane, false) -- live_head drops it
      return
    end
  end
  if not find(lane, id, tonumber(message_seq)) then
    return -- it was damaged, and has ended or will at the head; the timer of such a one is not found there
  end
  -- Still waiting in its lane: marked now, dropped when it comes to the head.
  bury(t, id, f and f.id == id and f.state == 'D' and 'deferred' or 'queued', 'expired', 'X')
  rewait(s, t, lane, id)
end

local function fire(member, ambiguous_ms, send_timeout_ms)
  local kind, name = sub(member, 1, 1), sub(member, 3)
  if kind == 's' then
    local s = load_sender(name)
    if s then
      s.due_at = s.wait_until
      s.wait_until = 0
      s.dirty = true
      able(s)
    end
  elseif kind == 'p' then
    open_pair(name)
  elseif kind == 'l' then
    wake_lane(name, ambiguous_ms, send_timeout_ms)
  elseif kind == 't' then
    release_template(name)
  elseif kind == 'd' then
    rejoin(name)
  end
end

-- A timer is fired only when it could still be removed: one that fired before it may have settled its matter.
local function fire_timers(budget, ambiguous_ms, send_timeout_ms)
  local due = call('ZRANGEBYSCORE', P .. 'tm', '-inf', now, 'LIMIT', 0, budget)
  if #due > 0 then
    scalars.last = now -- or a step back would put the clock before what has fired, and nothing would fire it again
  end
  for _, member in ipairs(due) do
    if disarm(member) then
      fire(member, ambiguous_ms, send_timeout_ms)
    end
  end
  local wall_due = call('ZRANGEBYSCORE', P .. 'at', '-inf', wall, 'LIMIT', 0, budget)
  for _, member in ipairs(wall_due) do
    if call('ZREM', P .. 'at', member) == 1 then
      timers_changed = true
      if sub(member, 1, 1) == 'a' then
        rejoin(sub(member, 3))
      else
        expire(member)
      end
    end
  end
  if #due == budget or #wall_due == budget then
    work_left = true
  end
end
