-- Where a lane stands: exactly one of ready list, pair's or template's waiting list, timer, in flight; or empty.

-- The text, and the bit in a tenant's mask, of each priority.
local PRIORITIES = { '1', '2', '3', '4', '5', '6', '7', '8', '9', '10' }
local BITS = {
  ['1'] = 2, ['2'] = 4, ['3'] = 8, ['4'] = 16, ['5'] = 32, ['6'] = 64, ['7'] = 128, ['8'] = 256, ['9'] = 512, ['10'] = 1024,
}
-- The start of a message without expiry that was never tried, as nearly all are: seq, priority, where its id begins and
-- ends, and where its contact ends. Nil for all others.
local function parse_fresh(element)
  local n, priority, id_at, id_end = match(element, '^(%d+)|([1-9]0?)||()%w+%-%w+%-%w+%-%w+%-%w+()||')
  if n and BITS[priority] then
    return n, priority, id_at, id_end, bar(element, id_end + 2)
  end
end
-- The header of a stored message, or nil when it is damaged (a checksum covers only the body and the id).
local function parse(element)
  local n, priority, id_at, id_end, contact_end = parse_fresh(element)
  local expires, numbers = '', ''
  local id, contact, body_at
  if contact_end then
    id, contact = sub(element, id_at, id_end - 1), sub(element, id_end + 2, contact_end - 1)
    body_at = contact_end + 1
  else
    n, priority, expires, id, numbers, contact, body_at =
      match(element, '^(%d+)|(%d+)|(%d*)|([%w-]*)|([%d.]*)|([^|]*)|()')
    priority = n and PRIORITIES[priority + 0]
    if not priority then
      return nil
    end
  end
  local attempts, counted, deferrals, ambiguous = 0, 0, 0, 0
  if numbers ~= '' then
    attempts, counted, deferrals, ambiguous = match(numbers, '^(%d+)%.(%d+)%.(%d+)%.(%d+)$')
    if not attempts then
      return nil
    end
  end
  return {
    seq = n, priority = priority, expires = expires, id = id, attempts = attempts + 0, counted = counted + 0,
    deferrals = deferrals + 0, ambiguous = ambiguous + 0, contact = contact, body_at = body_at, element = element,
  }
end

local function expiry_member(h, lane)
  return 'x:' .. h.seq .. ':' .. h.id .. ':' .. lane
end
local function forget_expiry(h, lane)
  if h.expires ~= '' then
    call('ZREM', P .. 'at', expiry_member(h, lane))
  end
end

-- The key of a lane's list; mostly it is the last one again.
local keyed_lane, its_key
local function lane_key(lane)
  if lane ~= keyed_lane then
    keyed_lane, its_key = lane, P .. 'c:' .. lane
  end
  return its_key
end

local function able(s)
  if s.circuit and (s.probe or s.circuit > now) then
    return -- open, or its probe is on its way
  end
  if not s.listed and not s.paused and s.inf < s.cap and s.wait_until <= now then
    s.listed = true
    call('ZADD', P .. 'rs', 'NX', turn, s.id)
  end
end

-- A tenant joins a ring while it has a ready lane and room. One whose waiting messages fit into its own places is
-- quiet: it joins `new`, which is served first, every other turn, so that it never queues behind the loud.
local function is_quiet(t)
  return t.backlog - t.inf <= t.cap
end
local function join_ring(s, t)
  if t.ring == 0 and t.ready > 0 and t.inf < t.cap and not t.paused then
    local quiet = is_quiet(t)
    t.ring = quiet and 1 or 2
    t.turns = t.weight
    ring_push(ring_of(s, quiet and 'rn:' or 'ro:'), t.id)
  end
  if t.ring > 0 then
    able(s)
  end
end

local function ready_key(s, t, priority)
  return P .. 'r:' .. s.id .. '|' .. t.id .. '|' .. priority
end
local function list_ready(s, t, lane, priority, front)
  call(front and 'LPUSH' or 'RPUSH', ready_key(s, t, priority), lane)
  local bit_of = BITS[priority]
  if t.mask % (2 * bit_of) < bit_of then
    t.mask = t.mask + bit_of
  end
  t.ready = t.ready + 1
end
local function make_ready(s, t, lane, priority, front)
  list_ready(s, t, lane, priority, front)
  join_ring(s, t)
end

-- What hardly ever exists is asked for together at first: tombstones, timers of the wall clock, early proofs.
local exists = {}
local nothing_rare
local function has_rare(letters)
  if nothing_rare == nil then
    nothing_rare = call('EXISTS', P .. 'x', P .. 'at', P .. 'pv') == 0
  end
  if nothing_rare then
    return false
  end
  if exists[letters] == nil then
    exists[letters] = call('EXISTS', P .. letters) == 1
  end
  return exists[letters]
end
local function has_tombstones()
  return has_rare('x')
end

-- Ends a message in the middle of its lane: counted and told now, taken out of the list when it comes to the head,
-- because removing from a list's middle is O(n).
local function bury(t, id, from, to, kind, detail)
  nothing_rare, exists.x = false, true
  call('HDEL', P .. 'ui', id)
  call('HSET', P .. 'x', id, kind)
  t.backlog = t.backlog - 1
  move(from, to)
  event(kind, id, detail or '')
end

-- Ends a message whose header nobody can read any more, so that it holds up nobody else. Its id, where it can still be
-- found, says whose end it is.
local DAMAGED = '{"error":{"code":"MESSAGE_DAMAGED","providerCode":null,"title":"The stored message is damaged",' ..
  '"detail":"Its header cannot be read. It was not sent. Send the message again; the storage of the queue should be ' ..
  'checked.","retryable":false},"report":null}'
local function end_damaged(element, from, id)
  move(from, 'failed')
  id = id or match(element, '%x%x%x%x%x%x%x%x%-%x%x%x%x%-%x%x%x%x%-%x%x%x%x%-%x%x%x%x%x%x%x%x%x%x%x%x')
  if id then
    event('F', id, DAMAGED)
  end
end

-- Its pair may have been kept for it. The contact stands behind the id, and is the sixth field; nil, or nobody's, where
-- both ways are hit: then the pair's key stays until something is sent to that person again.
local function contact_of_damaged(element)
  return match(element, '%x+%-%x+%-%x+%-%x+%-%x+|[%d.]*|([^|]*)|') or
    match(element, '^[^|]*|[^|]*|[^|]*|[^|]*|[^|]*|([^|]*)|')
end

-- The live head of a lane. Drops what was cancelled or has expired before it; nil when the lane is empty.
-- Bounded: a lane with more dead heads than the budget is returned as 'again'.
local function live_head(s, t, lane, budget)
  for _ = 1, budget do
    local element = call('LINDEX', lane_key(lane), '0')
    if not element then
      return nil
    end
    local h = parse(element)
    local dead = false
    local contact = h and h.contact
    if not h then
      dead = true
      local f = load_flight(lane)
      contact = f and f.contact or contact_of_damaged(element)
      end_damaged(element, f and f.state == 'D' and 'deferred' or 'queued', f and f.id)
      t.backlog = t.backlog - 1
    elseif has_tombstones() and call('HDEL', P .. 'x', h.id) == 1 then
      dead = true
    elseif h.expires ~= '' and wall >= tonumber(h.expires) then
      dead = true
      forget_expiry(h, lane)
      local f = load_flight(lane)
      move(f and f.state == 'D' and 'deferred' or 'queued', 'expired')
      t.backlog = t.backlog - 1
      event('X', h.id, '')
    end
    if not dead then
      return h
    end
    call('LPOP', lane_key(lane))
    drop_flight(lane)
    if s.pairs_on and contact then
      local p = pair_load(s, contact)
      p.ready = false -- it may have been kept for this one
      pair_store(p)
      if p.waiting and not p.busy then
        arm('p:' .. pair_name(p), max(now, pair_free_at(s, p)))
      end
    end
  end
  return call('EXISTS', lane_key(lane)) == 1 and 'again' or nil
end

-- Templates that the provider stopped. th:<sender> has them: H held, R its lanes are let go, some at a time.
-- tw:<sender>|<template> has the lanes whose head is made from it; only the end of the hold wakes them.
local template_states = {}
local function template_of(h)
  return match(h.element, '^{"template":"([^"]*)"', h.body_at + 8) -- behind the body's checksum
end
local function waiting_for_template(s, template)
  return P .. 'tw:' .. s.id .. '|' .. template
end
-- The template that holds this head back, or nil.
local function held_template(s, h)
  local template = s.holds and template_of(h)
  if not template then
    return nil
  end
  local name = s.id .. '|' .. template
  if template_states[name] == nil then
    template_states[name] = call('HGET', P .. 'th:' .. s.id, template)
  end
  return template_states[name] == 'H' and template or nil
end
local function template_wait(s, h, lane, template)
  call('ZADD', waiting_for_template(s, template), h.seq, lane)
  if s.pairs_on then
    -- It may have been let through in front of lanes that wait for the pair, and gives its turn up; and the pair may have
    -- been kept for it.
    local p = pair_load(s, h.contact)
    p.ready = false
    pair_store(p)
    if p.waiting and not p.busy then
      arm('p:' .. pair_name(p), max(now, pair_free_at(s, p)))
    end
  end
end
local function template_store(s, template, state)
  template_states[s.id .. '|' .. template] = state
  if state then
    call('HSET', P .. 'th:' .. s.id, template, state)
  else
    call('HDEL', P .. 'th:' .. s.id, template)
  end
  local holds = call('EXISTS', P .. 'th:' .. s.id) == 1
  if holds ~= s.holds then
    s.holds = holds
    if holds then
      call('HSET', P .. 's:' .. s.id, 'holds', '1')
    else
      call('HDEL', P .. 's:' .. s.id, 'holds')
    end
  end
end
local function template_hold(s, template)
  disarm('t:' .. s.id .. '|' .. template)
  template_store(s, template, 'H')
end

-- Puts a lane whose live head has this priority and goes to this contact where it belongs.
local function place_untemplated(s, t, lane, priority, contact, front)
  if s.pairs_on then
    local p = pair_load(s, contact)
    local free_at = pair_free_at(s, p)
    if not free_at or free_at > now then
      pair_wait(s, p, lane)
      return
    end
    p.ready = true
  end
  make_ready(s, t, lane, priority, front)
end
-- Puts a lane with this live head where it belongs.
local function place_head(s, t, lane, h, front)
  local template = held_template(s, h)
  if template then
    template_wait(s, h, lane, template)
  else
    place_untemplated(s, t, lane, h.priority, h.contact, front)
  end
end

-- Puts a lane whose head changed, or may go again, where it belongs.
local function place(s, t, lane, front)
  if not s.holds and not has_tombstones() then
    -- A head that nothing can have ended, and that was never tried, as nearly all are: it is not taken apart as a whole.
    local element = call('LINDEX', lane_key(lane), '0')
    if not element then
      return
    end
    local _, priority, _, id_end, contact_end = parse_fresh(element)
    if contact_end then
      place_untemplated(s, t, lane, priority, sub(element, id_end + 2, contact_end - 1), front)
      return
    end
  end
  local h = live_head(s, t, lane, 16)
  if h == 'again' then
    arm('l:' .. lane, now)
  elseif h then
    place_head(s, t, lane, h, front)
  end
end

-- A message of this lane was buried. When it was the head and waits for its pair or its template, what follows may have
-- another one.
local function rewait(s, t, lane, id)
  if not s.pairs_on and not s.holds then
    return
  end
  local head = call('LINDEX', lane_key(lane), '0')
  local h = head and parse(head)
  if not h or h.id ~= id then
    return
  end
  local template = s.holds and template_of(h)
  if template and call('ZREM', waiting_for_template(s, template), lane) == 1 then
    place(s, t, lane, false)
    return
  end
  local waiting = P .. 'pw:' .. s.id .. '|' .. h.contact
  if s.pairs_on and call('LREM', waiting, 1, lane) == 1 then
    if call('EXISTS', waiting) == 0 then
      local p = pair_load(s, h.contact)
      p.waiting = false
      pair_store(p)
    end
    place(s, t, lane, false)
  end
end

-- Appends a message to its lane. True when it is the first there and has to be placed.
local function push(t, lane, element)
  t.backlog = t.backlog + 1
  return call('RPUSH', lane_key(lane), element) == 1
end
local function append(s, t, lane, element)
  if push(t, lane, element) then
    place(s, t, lane, false)
  end
end
