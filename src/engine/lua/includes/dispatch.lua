-- Hands lanes to a worker: senders in turn, tenants of a sender in turn, a tenant's priorities in order.
local QUANTUM = 8 -- lanes that one sender gives per visit, so that many senders share fairly

-- The next tenant of a sender's rings: `new` every other turn while `old` waits too.
local function next_tenant(s, ahead)
  local first, second = ring_of(s, 'rn:'), ring_of(s, 'ro:')
  if s.alt then
    first, second = second, first
  end
  local id = ring_pop(s, first, ahead)
  if id then
    s.alt = not s.alt
  else
    id = ring_pop(s, second, ahead)
  end
  return id
end

-- Takes the tenant's next lane that can go now; nil when it has none left.
local function next_lane(s, t, budget)
  while t.ready > 0 and t.mask > 0 and budget.steps > 0 do
    local _, bits = math.frexp(t.mask)
    local priority = PRIORITIES[bits - 1] -- of the highest bit that is set
    local lane = call('LPOP', ready_key(s, t, priority))
    if not lane then
      t.mask = t.mask - BITS[priority]
    else
      budget.steps = budget.steps - 1
      t.ready = t.ready - 1
      local h = live_head(s, t, lane, 8)
      if h == 'again' then
        list_ready(s, t, lane, priority, true)
      elseif h and h.priority ~= priority then
        -- The head it was listed for was cancelled or has expired: the next one stands in its own line.
        list_ready(s, t, lane, h.priority, false)
      elseif h then
        local template = held_template(s, h)
        if template then
          template_wait(s, h, lane, template)
        else
          if not s.pairs_on then
            return lane, h
          end
          local p = pair_load(s, h.contact)
          local free_at = pair_free_at(s, p)
          if free_at and free_at <= now then
            pair_take(s, p)
            return lane, h
          end
          pair_wait(s, p, lane)
        end
      end
    end
  end
  if t.mask == 0 then
    t.ready = 0 -- a call that broke off in the middle may have left it, and the tenant would be asked for ever
  end
  return nil
end

-- A token that was waited for counts from when it was due, if its timer fired at most this late: with a burst of 1 a
-- sender at 80 per second lost a sixth of its rate to timers that are two milliseconds late.
local TIMER_LATE_MS = 5
-- Takes a token of the sender's rate, or arms the timer for the next one.
local function take_token(s)
  if s.rate <= 0 then
    return true
  end
  local rate = current_rate(s)
  if s.slow and rate >= s.rate then
    s.slow = nil
    call('HDEL', P .. 's:' .. s.id, 'slow', 'slowAt')
  end
  -- The burst is measured at the full rate: a sender that is slowed down must not gain tokens by it.
  local at = s.tat - (s.burst - 1) * 1000 / s.rate
  if at > now then
    s.wait_until = ceil(at)
    s.dirty = true
    call('ZREM', P .. 'rs', s.id)
    s.listed = false
    arm('s:' .. s.id, s.wait_until)
    return false
  end
  s.token_ms = 1000 / rate
  local late = s.due_at and at >= s.due_at - 1 and TIMER_LATE_MS or 0
  s.tat = max(s.tat, now - late) + s.token_ms
  return true
end

local work_left = false

local function visit(s, want, is_alone, grants, budget)
  -- After its time an open circuit lets one lane through, over all workers.
  local quantum = s.circuit and 1 or is_alone and want or min(QUANTUM, want)
  while quantum > 0 and budget.steps > 0 do
    if s.paused or s.inf >= s.cap or s.probe then
      call('ZREM', P .. 'rs', s.id)
      s.listed = false
      return
    end
    local alt = s.alt
    local tenant_id = next_tenant(s, quantum)
    if not tenant_id then
      call('ZREM', P .. 'rs', s.id)
      s.listed = false
      return
    end
    local t = load_tenant(s, tenant_id)
    local was = t.ring
    t.ring = 0
    local served = false
    if was == 1 and not is_quiet(t) and t.ready > 0 then
      -- It grew loud while it stood in `new`: those behind it must not wait for its turn.
      t.ring = 2
      t.turns = t.weight
      s.alt = alt -- this was nobody's turn
      ring_push(ring_of(s, 'ro:'), t.id)
    end
    while t.ring == 0 and t.ready > 0 and t.inf < t.cap and not t.paused and quantum > 0 and t.turns > 0 do
      if s.inf >= s.cap then
        break
      end
      if not take_token(s) then
        -- Keeps its place at the front for the next token.
        t.ring = was
        ring_push_front(ring_of(s, was == 1 and 'rn:' or 'ro:'), t.id)
        s.alt = alt
        return
      end
      local lane, h = next_lane(s, t, budget)
      if not lane then
        -- Nothing could go: the token was not used.
        if s.rate > 0 then
          s.tat = s.tat - s.token_ms
        end
        break
      end
      served = true
      t.turns = t.turns - 1
      t.inf = t.inf + 1
      s.inf = s.inf + 1
      s.dirty = true
      quantum = quantum - 1
      h.lane = lane
      grants[#grants + 1] = h
      if s.circuit then
        circuit_probe(s, lane)
      end
    end
    if not served then
      budget.steps = budget.steps - 1
    end
    if t.ring == 0 and t.ready > 0 and t.inf < t.cap and not t.paused then
      if t.turns <= 0 or (served and was == 1) then
        t.ring = 2
        t.turns = t.weight
        ring_push(ring_of(s, 'ro:'), t.id)
      else
        t.ring = was
        ring_push_front(ring_of(s, was == 1 and 'rn:' or 'ro:'), t.id)
      end
    end
  end
end

-- Writes the hand-over of all that was granted: one stream entry, read at once into the worker's pending list. The heads
-- become the flights. A worker that takes by itself sends as soon as it has the reply: its lease is marked as sending,
-- and the entry has the number of its call. What is put into a mailbox waits for its begin.
local function hand_over(worker, grants, taking_call)
  local fields, lanes, out = {}, {}, {}
  for i, h in ipairs(grants) do
    fields[2 * i - 1] = 'l'
    fields[2 * i] = h.lane
    lanes[i] = h.lane
  end
  if taking_call then
    fields[#fields + 1] = 'call'
    fields[#fields + 1] = taking_call
  end
  local entry = call('XADD', P .. 'out', '*', unpack(fields))
  local mine = false
  for _ = 1, 4 do
    local reply = redis.pcall('XREADGROUP', 'GROUP', 'wa_workers', worker, 'COUNT', 1, 'STREAMS', P .. 'out', '>')
    if not reply then
      break
    elseif reply.err then
      ensure_group()
      break
    end
    local got = reply[1][2][1][1]
    if got == entry then
      mine = true
      break
    end
    -- The group was set back behind us (XGROUP SETID): an older entry stays with the worker that holds its lease.
    local l = load_lease(got)
    if l then
      call('XCLAIM', P .. 'out', 'wa_workers', l.worker, 0, got, 'FORCE', 'JUSTID')
    else
      call('XACK', P .. 'out', 'wa_workers', got)
      call('XDEL', P .. 'out', got)
    end
  end
  if not mine then
    call('XCLAIM', P .. 'out', 'wa_workers', worker, 0, entry, 'FORCE', 'JUSTID')
  end
  load_flights(lanes)
  for i, h in ipairs(grants) do
    local f = flights[h.lane]
    local from = 'queued'
    if f and f.id == h.id then
      h.attempts, h.counted, h.deferrals, h.ambiguous = f.attempts, f.counted, f.deferrals, f.ambiguous
      if f.state == 'D' then
        from = 'deferred'
      end
    end
    if h.ambiguous > 0 then
      call('HDEL', P .. 'ui', h.id)
    end
    move(from, 'inFlight')
    h.attempts = h.attempts + 1
    h.entry = entry
    h.state = 'G'
    store_flight(h.lane, h)
    out[3 * i - 2] = h.lane
    out[3 * i - 1] = h.attempts + h.counted + h.deferrals == 1 and '1.0.0' or
      format('%d.%d.%d', h.attempts, h.counted, h.deferrals)
    out[3 * i] = h.element
  end
  local state = taking_call and 'S' or 'L'
  local l = { entry = entry, state = state, at = now, left = #grants, worker = worker, dirty = true }
  leases[entry] = l
  lease_list[#lease_list + 1] = l
  if not taking_call then
    call('ZADD', P .. 'lz', now, entry)
  end
  slots[worker] = slots_used(worker) + #grants
  return entry, out
end

-- Grants up to `want` lanes to a worker; `taking_call` when it is the one that calls. Returns the entry and its flat list
-- (lane, numbers, element …), or nil.
local function dispatch(worker, want, taking_call)
  if shard_paused or want <= 0 then
    return nil
  end
  local grants = {}
  local budget = { steps = 64 }
  while #grants < want do
    local heads = call('ZRANGE', P .. 'rs', 0, 1)
    if not heads[1] then
      break
    end
    if budget.steps <= 0 then
      work_left = true
      break
    end
    budget.steps = budget.steps - 1
    local s = load_sender(heads[1])
    if not s then
      call('ZREM', P .. 'rs', heads[1])
    else
      s.listed = true
      local is_alone = not heads[2] -- it has nobody to share with, and to go behind
      visit(s, want - #grants, is_alone, grants, budget)
      if s.listed and not is_alone then
        turn = turn + 1
        call('ZADD', P .. 'rs', turn, s.id)
      end
    end
  end
  if #grants == 0 then
    return nil
  end
  return hand_over(worker, grants, taking_call)
end

local function net(text)
  return #text .. ':' .. text
end

-- Lanes that can go while workers are idle are handed over in the same call, into the worker's mailbox.
local immediate = {}
local function serve_idle()
  for _ = 1, 4 do
    if shard_paused or call('EXISTS', P .. 'rs') == 0 then
      return
    end
    local idle = call('ZREVRANGE', P .. 'iw', 0, 0, 'WITHSCORES')
    if not idle[1] then
      return
    end
    local worker, free = idle[1], tonumber(idle[2])
    local entry, out = dispatch(worker, min(free, 16))
    if not entry then
      return
    end
    local n = #out / 3
    if free > n then
      call('ZADD', P .. 'iw', free - n, worker)
    else
      call('ZREM', P .. 'iw', worker)
    end
    local parts = { net(entry) }
    for _, text in ipairs(out) do
      parts[#parts + 1] = net(text)
    end
    for i = 1, #out, 3 do
      immediate[out[i]] = true
    end
    call('RPUSH', P .. 'm:' .. worker, table.concat(parts))
  end
  if call('EXISTS', P .. 'rs') == 1 and call('EXISTS', P .. 'iw') == 1 then
    work_left = true
  end
end
