-- The only two places that free: the caps of sender and tenant, and the worker's lease with its slot.
local function free_caps(s, t)
  local was_full = s.inf >= s.cap
  s.inf = s.inf - 1
  s.dirty = true
  t.inf = t.inf - 1
  join_ring(s, t)
  if was_full then
    able(s)
  end
end
local function free_lease(entry)
  local l = load_lease(entry)
  if l then
    l.left = l.left - 1
    l.dirty = true
    slots[l.worker] = slots_used(l.worker) - 1
  end
end

-- Nothing of this grant was sent: everything it took but the rate token is given back, and no attempt is counted.
local function give_back(s, t, lane, f)
  free_caps(s, t)
  free_lease(f.entry)
  circuit_unprobe(s, lane)
  f.attempts = f.attempts - 1
  f.state = 'R'
  f.entry = ''
  if f.attempts > 0 then
    store_flight(lane, f)
    stay_in_doubt(lane, f)
  else
    drop_flight(lane)
  end
  if s.pairs_on then
    pair_untake(s, f.contact)
  end
  move('inFlight', 'queued')
  place(s, t, lane, true)
end

-- Every lane of an entry that is still in flight under it.
local function each_in_flight(entry, visit_lane)
  local found = call('XRANGE', P .. 'out', entry, entry)
  if not found[1] then
    return
  end
  local fields = found[1][2]
  for i = 2, #fields, 2 do
    local lane = fields[i]
    local f = fields[i - 1] == 'l' and load_flight(lane)
    if f and f.entry == entry and f.state == 'G' then
      local s, t = of_lane(lane)
      if s then
        visit_lane(s, t, lane, f)
      end
    end
  end
end

-- Takes the head out of its lane for good and places what follows it. Returns the head.
local function take_head(s, t, lane)
  local element = call('LPOP', lane_key(lane))
  local h = element and match(element, '^%d+|%d+|%d') and parse(element)
  if h then
    forget_expiry(h, lane)
  end
  drop_flight(lane)
  t.backlog = t.backlog - 1
  place(s, t, lane, false)
  return element
end

-- The same for one that is not needed any more. While nothing at all waits for the wall clock it has no expiry to
-- forget, and is not read.
local function drop_head(s, t, lane)
  if has_rare('at') then
    take_head(s, t, lane)
    return
  end
  call('LTRIM', lane_key(lane), '1', '-1')
  drop_flight(lane)
  t.backlog = t.backlog - 1
  place(s, t, lane, false)
end

-- Messages outside lanes: sch:<id> = kind|lane length|lane|element. S scheduled, D deferred, H held for a person.
local function park(kind, t, lane, id, element)
  t.parked = t.parked + 1
  call('HSET', P .. 'sch', id, kind .. '|' .. #lane .. '|' .. lane .. '|' .. element)
end
local function parse_parked(raw)
  local kind, length, at = match(raw, '^(%u)|(%d+)|()')
  length = tonumber(length)
  return kind, sub(raw, at, at + length - 1), sub(raw, at + length + 1)
end
local function renumber(h, new_seq, f)
  return string.format('%d|%s|%s|%s|%d.%d.%d.%d|%s|%s', new_seq, h.priority, h.expires, h.id, f.attempts, f.counted,
    f.deferrals, f.ambiguous, h.contact, sub(h.element, h.body_at))
end

-- A parked message takes its place at the end of its conversation.
local function rejoin(id)
  local raw = call('HGET', P .. 'sch', id)
  if not raw then
    return
  end
  local kind, lane, element = parse_parked(raw)
  local s, t = of_lane(lane)
  if not s then
    return
  end
  call('HDEL', P .. 'sch', id)
  t.parked = t.parked - 1
  local h = parse(element)
  local from = kind == 'S' and 'scheduled' or kind == 'D' and 'deferred' or 'held'
  if not h then
    end_damaged(element, from, id)
    return
  end
  seq = seq + 1
  forget_expiry(h, lane)
  local renumbered = renumber(h, seq, h)
  if h.expires ~= '' then
    h.seq = tostring(seq)
    timers_changed = true
    call('ZADD', P .. 'at', h.expires, expiry_member(h, lane))
  end
  move(from, 'queued')
  event('Q', id, tostring(seq))
  append(s, t, lane, renumbered)
end

-- Evidence that came while the attempt was in flight: read once, when the attempt ends.
local function take_proof(id)
  local text = has_rare('pv') and call('HGET', P .. 'pv', id)
  if text then
    call('HDEL', P .. 'pv', id)
  end
  return text
end

-- Its wait for evidence is over, and it has not gone again yet: a pause, a circuit or its pair holds it. It ends as a
-- cancelled one does.
local function prove_waiting(s, t, lane, f, text)
  local from = f.state == 'D' and 'deferred' or 'queued'
  if disarm('l:' .. lane) then
    move(from, 'sent')
    tell('S', text)
    drop_head(s, t, lane)
    return true
  end
  if has_tombstones() and call('HEXISTS', P .. 'x', f.id) == 1 then
    return false
  end
  local h = parse(call('LINDEX', lane_key(lane), '0'))
  if not h or h.id ~= f.id then
    return false
  end
  forget_expiry(h, lane)
  bury(t, f.id, from, 'sent', 'S', sub(text, #f.id + 2))
  rewait(s, t, lane, f.id)
  return true
end

-- A status or a late answer proves that an ambiguous attempt was taken; `text` is what its event says. True when that
-- settled the message.
local function prove_sent(id, lane, attempt, text)
  local s, t = of_lane(lane)
  if not s then
    return false
  end
  local f = load_flight(lane)
  if f and f.id == id and f.state ~= 'G' and f.state ~= 'R' and f.state ~= 'D' and
    (not attempt or f.attempts == attempt) then
    if f.state == 'K' or f.state == 'J' then
      free_caps(s, t)
      if s.pairs_on then
        pair_release(s, f.contact, 0)
      end
    end
    disarm('l:' .. lane)
    call('HDEL', P .. 'ui', id)
    move('unknown', 'sent')
    tell('S', text)
    drop_head(s, t, lane)
    return true
  end
  if f and f.id == id and f.ambiguous > 0 and (f.state == 'R' or f.state == 'D') and (not attempt or f.attempts == attempt) then
    return prove_waiting(s, t, lane, f, text)
  end
  local parked = call('HGET', P .. 'sch', id)
  if parked and sub(parked, 1, 1) == 'H' then
    call('HDEL', P .. 'sch', id)
    call('HDEL', P .. 'ui', id)
    t.parked = t.parked - 1
    move('held', 'sent')
    tell('S', text)
    return true
  end
  return false
end
