-- Senders, tenants, flights and leases: read once per call, together where they can be, written once by flush().
local senders = {}
local sender_list = {}
local function load_sender(id)
  local s = senders[id]
  if s ~= nil then
    return s
  end
  local v = call('HMGET', P .. 's:' .. id, 'rate', 'burst', 'cap', 'gap', 'pairCap', 'pairMs', 'paused',
    'tat', 'inf', 'until', 'slow', 'slowAt', 'alt', 'pairs', 'circuit', 'holds')
  if not v[1] then
    senders[id] = false
    return false
  end
  s = {
    id = id, rate = tonumber(v[1]), burst = tonumber(v[2]), cap = tonumber(v[3]), gap = tonumber(v[4]),
    pair_cap = tonumber(v[5]), pair_ms = tonumber(v[6]), paused = v[7], tat = tonumber(v[8]) or 0,
    inf = tonumber(v[9]) or 0, wait_until = tonumber(v[10]) or 0, slow = tonumber(v[11]),
    slow_at = tonumber(v[12]) or 0, alt = v[13] == '1', tenants = {}, tenant_list = {}, rings = {}, pairs = {},
    dirty = false,
  }
  -- Pairs are looked at for ever once they had a limit: their waiting lanes and busy marks must find their end.
  s.paced = s.gap > 0 or s.pair_cap > 0
  s.pairs_on = s.paced or v[14] == '1'
  if v[15] then
    local circuit, probe = match(v[15], '^(%d+)|(.*)$')
    s.circuit = circuit + 0
    s.probe = probe ~= '' and probe or nil
  end
  -- Some of its templates are held: only then is looked what a message is made from.
  s.holds = v[16] == '1'
  senders[id] = s
  sender_list[#sender_list + 1] = s
  return s
end

-- After a number limit (130429) a sender recovers by a fiftieth of its rate per second.
local function current_rate(s)
  if not s.slow then
    return s.rate
  end
  return min(s.rate, s.slow + s.rate * (now - s.slow_at) / 50000)
end

-- A tenant on a sender: places used, which ring it stands in (0 none, 1 new, 2 old), which priorities have ready
-- lanes (bit mask), ready lanes, turns left, limits, messages in lanes, messages parked outside (scheduled …).
-- Packed: of all records these are read and written the most, and as text they were a tenth of what a message costs.
local TENANT_RECORD = '<i4BI2i4i4Bi4i4i4i4'
local function read_tenant(s, id, raw)
  local t
  if raw then
    local inf, ring, mask, ready, turns, paused, cap, weight, backlog, parked = struct.unpack(TENANT_RECORD, raw)
    t = {
      sender = s, id = id, inf = inf, ring = ring, mask = mask, ready = ready, turns = turns, paused = paused == 1, cap = cap,
      weight = weight, backlog = backlog, parked = parked, raw = raw,
    }
  else
    t = {
      sender = s, id = id, inf = 0, ring = 0, mask = 0, ready = 0, turns = 0, paused = false, cap = 1, weight = 1,
      backlog = 0, parked = 0, raw = false,
    }
  end
  s.tenants[id] = t
  s.tenant_list[#s.tenant_list + 1] = t
  return t
end
local function load_tenant(s, id)
  return s.tenants[id] or read_tenant(s, id, call('HGET', P .. 'q:' .. s.id, id))
end
local function load_tenants(s, ids)
  local missing = {}
  for _, id in ipairs(ids) do
    if not s.tenants[id] then
      missing[#missing + 1] = id
    end
  end
  if #missing == 0 then
    return
  end
  local raws = call('HMGET', P .. 'q:' .. s.id, unpack(missing))
  for i, id in ipairs(missing) do
    if not s.tenants[id] then
      read_tenant(s, id, raws[i])
    end
  end
end

-- Sender and tenant of a lane, by name.
local function names_of(lane)
  local first = bar(lane, 1)
  local second = bar(lane, first + 1)
  return sub(lane, 1, first - 1), sub(lane, first + 1, second - 1)
end

-- The tenant of each lane that was looked at; false where nobody knows the sender.
local lane_tenants = {}
-- Its sender and tenant, or false.
local function of_lane(lane)
  local t = lane_tenants[lane]
  if t == nil then
    local sender_id, tenant_id = names_of(lane)
    local s = load_sender(sender_id)
    t = s and load_tenant(s, tenant_id)
    lane_tenants[lane] = t
  end
  if not t then
    return false
  end
  return t.sender, t
end
-- Reads the tenants of many lanes at once.
local function load_lanes(lanes)
  local lane_senders, tenant_ids = {}, {}
  local ids, found = {}, {}
  for n, lane in ipairs(lanes) do
    local sender_id, tenant_id = names_of(lane)
    local s = load_sender(sender_id)
    lane_senders[n], tenant_ids[n] = s, tenant_id
    if s then
      local of_sender = ids[s]
      if not of_sender then
        of_sender = {}
        ids[s] = of_sender
        found[#found + 1] = s
      end
      of_sender[#of_sender + 1] = tenant_id
    end
  end
  for _, s in ipairs(found) do
    load_tenants(s, ids[s])
  end
  for n, lane in ipairs(lanes) do
    local s = lane_senders[n]
    lane_tenants[lane] = s and s.tenants[tenant_ids[n]]
  end
end

-- The rings of tenants, from the front as far as they are needed; what is put back is written at the end.
local function ring_of(s, letters)
  local ring = s.rings[letters]
  if not ring then
    ring = { key = P .. letters .. s.id, taken = 0, piece = {}, at = 1, read_all = false, front = {}, back = {}, back_at = 1 }
    s.rings[letters] = ring
  end
  return ring
end
-- The first of a ring, or nil. `ahead` is how many will be asked for, so that they are read together.
local function ring_pop(s, ring, ahead)
  if #ring.front > 0 then
    return table.remove(ring.front)
  end
  if ring.at > #ring.piece and not ring.read_all then
    ring.piece = call('LRANGE', ring.key, ring.taken, ring.taken + ahead - 1)
    ring.at = 1
    ring.read_all = #ring.piece < ahead
    load_tenants(s, ring.piece)
  end
  local id = ring.piece[ring.at]
  if id then
    ring.at = ring.at + 1
    ring.taken = ring.taken + 1
    return id
  end
  id = ring.back[ring.back_at]
  if id then
    ring.back_at = ring.back_at + 1
  end
  return id
end
local function ring_push(ring, id)
  ring.back[#ring.back + 1] = id
end
local function ring_push_front(ring, id)
  ring.front[#ring.front + 1] = id
end
local function flush_rings(s)
  for _, ring in pairs(s.rings) do
    if ring.taken > 0 then
      call('LTRIM', ring.key, ring.taken, -1)
    end
    if ring.back_at <= #ring.back then
      call('RPUSH', ring.key, unpack(ring.back, ring.back_at))
    end
    if #ring.front > 0 then
      call('LPUSH', ring.key, unpack(ring.front))
    end
  end
end

-- f:<lane> = entry|id|attempts|counted|deferrals|ambiguous|contact|state, for lanes in flight or waiting after an attempt.
-- State: G in flight · R waits to go again · D deferred at its place · U unknown, will be sent again · H unknown, will
-- be held · K, J as U, H, while the dead worker's caps are still kept.
local flights = {}
local flights_changed = {}
local function read_flight(lane, raw)
  local f = false
  if raw then
    local entry, id, contact, state
    local attempts, counted, deferrals, ambiguous = 1, 0, 0, 0
    -- The first attempt, as nearly all are.
    local numbers_at, numbers_end = string.find(raw, '|1|0|0|0|', 1, true)
    if numbers_at then
      local id_at = bar(raw, 1) + 1
      entry, id = sub(raw, 1, id_at - 2), sub(raw, id_at, numbers_at - 1)
      contact, state = sub(raw, numbers_end + 1, -3), sub(raw, -1)
    else
      entry, id, attempts, counted, deferrals, ambiguous, contact, state =
        match(raw, '^([^|]*)|([^|]*)|(%d+)|(%d+)|(%d+)|(%d+)|([^|]*)|(%u)$')
    end
    f = {
      entry = entry, id = id, attempts = attempts + 0, counted = counted + 0, deferrals = deferrals + 0,
      ambiguous = ambiguous + 0, contact = contact, state = state,
    }
  end
  flights[lane] = f
  return f
end
-- The flight of a lane, or false. Who changes it stores or drops it.
local function load_flight(lane)
  local f = flights[lane]
  if f == nil then
    f = read_flight(lane, call('HGET', P .. 'f', lane))
  end
  return f
end
local function load_flights(lanes)
  local raws = call('HMGET', P .. 'f', unpack(lanes))
  for i, lane in ipairs(lanes) do
    if flights[lane] == nil then
      read_flight(lane, raws[i])
    end
  end
end
local function store_flight(lane, f)
  flights[lane] = f
  flights_changed[#flights_changed + 1] = lane
end
-- ui:<id> = lane of every message that may have been sent without anybody knowing, until it ends or goes again: a status
-- finds it there.
local function stay_in_doubt(lane, f)
  if f.ambiguous > 0 then
    call('HSET', P .. 'ui', f.id, lane)
  end
end
local function drop_flight(lane)
  local f = flights[lane]
  if f and f.ambiguous > 0 then
    call('HDEL', P .. 'ui', f.id)
  end
  store_flight(lane, false)
end
local function flush_flights()
  local sets, dels = {}, {}
  for _, lane in ipairs(flights_changed) do
    local f = flights[lane]
    if not f then
      dels[#dels + 1] = lane
    elseif not f.is_written then -- once, also where it changed more often
      f.is_written = true
      sets[#sets + 1] = lane
      local numbers = '|1|0|0|0|' -- the first attempt, as nearly all are
      if f.attempts ~= 1 or f.counted + f.deferrals + f.ambiguous ~= 0 then
        numbers = format('|%d|%d|%d|%d|', f.attempts, f.counted, f.deferrals, f.ambiguous)
      end
      sets[#sets + 1] = f.entry .. '|' .. f.id .. numbers .. f.contact .. '|' .. f.state
    end
  end
  if #sets > 0 then
    call('HSET', P .. 'f', unpack(sets))
  end
  if #dels > 0 then
    call('HDEL', P .. 'f', unpack(dels))
  end
end

-- Leases: one stream entry per hand-over. state L leased, S sending.
local leases = {}
local lease_list = {}
local function load_lease(entry)
  local l = leases[entry]
  if l ~= nil then
    return l
  end
  local raw = call('HGET', P .. 'le', entry)
  if not raw then
    leases[entry] = false
    return false
  end
  local state, at, left, worker = match(raw, '^(%u)|(%d+)|(%d+)|(.*)$')
  l = { entry = entry, state = state, at = tonumber(at), left = tonumber(left), worker = worker, dirty = false }
  leases[entry] = l
  lease_list[#lease_list + 1] = l
  return l
end

-- The consumer group mirrors the leases. Claims those of one worker, or of all, for their owners; returns how many.
local function mirror_leases(only)
  local n = 0
  local all = call('HGETALL', P .. 'le')
  for i = 1, #all, 2 do
    local worker = match(all[i + 1], '^%u|%d+|%d+|(.*)$')
    if not only or worker == only then
      call('XCLAIM', P .. 'out', 'wa_workers', worker, 0, all[i], 'FORCE', 'JUSTID')
      n = n + 1
    end
  end
  return n
end
-- Makes the group; when somebody destroyed it, as it was.
local function ensure_group()
  if not redis.pcall('XGROUP', 'CREATE', P .. 'out', 'wa_workers', '$', 'MKSTREAM').err then
    mirror_leases()
  end
end

-- Slots in use of each worker.
local slots = {}
local function slots_used(worker)
  local n = slots[worker]
  if not n then
    n = tonumber(call('HGET', P .. 'wf', worker)) or 0
    slots[worker] = n
  end
  return n
end

local function flush()
  for _, s in ipairs(sender_list) do
    if s.dirty then
      call('HSET', P .. 's:' .. s.id, 'tat', format('%.3f', s.tat), 'inf', format('%d', s.inf), 'until', format('%d', s.wait_until),
        'alt', s.alt and '1' or '0')
    end
    local sets, dels = {}, {}
    for _, t in ipairs(s.tenant_list) do
      if t.backlog == 0 and t.parked == 0 and t.inf == 0 and t.ring == 0 and not t.paused then
        if t.raw then
          dels[#dels + 1] = t.id
        end
      else
        local value = struct.pack(TENANT_RECORD, t.inf, t.ring, t.mask, t.ready, t.turns, t.paused and 1 or 0, t.cap,
          t.weight, t.backlog, t.parked)
        if value ~= t.raw then
          sets[#sets + 1] = t.id
          sets[#sets + 1] = value
        end
      end
    end
    if #sets > 0 then
      call('HSET', P .. 'q:' .. s.id, unpack(sets))
    end
    if #dels > 0 then
      call('HDEL', P .. 'q:' .. s.id, unpack(dels))
    end
    flush_rings(s)
  end
  flush_flights()
  for _, l in ipairs(lease_list) do
    if l.left == 0 then
      call('XACK', P .. 'out', 'wa_workers', l.entry)
      call('XDEL', P .. 'out', l.entry)
      call('HDEL', P .. 'le', l.entry)
      if l.state == 'L' then
        call('ZREM', P .. 'lz', l.entry)
      end
    elseif l.dirty then
      call('HSET', P .. 'le', l.entry, format('%s|%d|%d|', l.state, l.at, l.left) .. l.worker)
    end
  end
  for worker, n in pairs(slots) do
    if n <= 0 then
      call('HDEL', P .. 'wf', worker)
    else
      call('HSET', P .. 'wf', worker, n)
    end
  end
end
