-- Senders, tenants and leases, read once per call, written once by flush().
local senders = {}
local sender_list = {}
local function load_sender(id)
  local s = senders[id]
  if s ~= nil then
    return s
  end
  local v = call('HMGET', P .. 's:' .. id, 'rate', 'burst', 'cap', 'gap', 'pairCap', 'pairMs', 'paused',
    'tat', 'inf', 'until', 'slow', 'slowAt', 'alt', 'pairs')
  if not v[1] then
    senders[id] = false
    return false
  end
  s = {
    id = id, rate = tonumber(v[1]), burst = tonumber(v[2]), cap = tonumber(v[3]), gap = tonumber(v[4]),
    pair_cap = tonumber(v[5]), pair_ms = tonumber(v[6]), paused = v[7], tat = tonumber(v[8]) or 0,
    inf = tonumber(v[9]) or 0, wait_until = tonumber(v[10]) or 0, slow = tonumber(v[11]),
    slow_at = tonumber(v[12]) or 0, alt = v[13] == '1', tenants = {}, tenant_list = {}, dirty = false,
  }
  -- Pairs are looked at for ever once they had a limit: their waiting lanes and busy marks must find their end.
  s.paced = s.gap > 0 or s.pair_cap > 0
  s.pairs_on = s.paced or v[14] == '1'
  senders[id] = s
  sender_list[#sender_list + 1] = s
  return s
end

-- A tenant on a sender: places used, which ring it stands in (0 none, 1 new, 2 old), which priorities have ready
-- lanes (bit mask), ready lanes, turns left, limits, messages in lanes, messages parked outside (scheduled …).
local function load_tenant(s, id)
  local t = s.tenants[id]
  if t then
    return t
  end
  local raw = call('HGET', P .. 'q:' .. s.id, id)
  if raw then
    local inf, ring, mask, ready, turns, paused, cap, weight, backlog, parked =
      match(raw, '^(%d+)|(%d)|(%d+)|(%d+)|(%d+)|(%d)|(%d+)|(%d+)|(%d+)|(%d+)$')
    t = {
      id = id, inf = tonumber(inf), ring = tonumber(ring), mask = tonumber(mask), ready = tonumber(ready),
      turns = tonumber(turns), paused = paused == '1', cap = tonumber(cap), weight = tonumber(weight),
      backlog = tonumber(backlog), parked = tonumber(parked),
    }
  else
    t = {
      id = id, inf = 0, ring = 0, mask = 0, ready = 0, turns = 0, paused = false, cap = 1, weight = 1,
      backlog = 0, parked = 0,
    }
  end
  s.tenants[id] = t
  s.tenant_list[#s.tenant_list + 1] = t
  return t
end

local function split_lane(lane)
  return match(lane, '^([^|]*)|([^|]*)|')
end
local function of_lane(lane)
  local sender_id, tenant_id = split_lane(lane)
  local s = load_sender(sender_id)
  if not s then
    return false
  end
  return s, load_tenant(s, tenant_id)
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
      call('HSET', P .. 's:' .. s.id, 'tat', string.format('%.3f', s.tat), 'inf', s.inf, 'until', s.wait_until,
        'alt', s.alt and '1' or '0')
    end
    local sets, dels = {}, {}
    for _, t in ipairs(s.tenant_list) do
      if t.backlog == 0 and t.parked == 0 and t.inf == 0 and t.ring == 0 and not t.paused then
        dels[#dels + 1] = t.id
      else
        sets[#sets + 1] = t.id
        sets[#sets + 1] = t.inf .. '|' .. t.ring .. '|' .. t.mask .. '|' .. t.ready .. '|' .. t.turns .. '|' ..
          (t.paused and '1' or '0') .. '|' .. t.cap .. '|' .. t.weight .. '|' .. t.backlog .. '|' .. t.parked
      end
    end
    if #sets > 0 then
      call('HSET', P .. 'q:' .. s.id, unpack(sets))
    end
    if #dels > 0 then
      call('HDEL', P .. 'q:' .. s.id, unpack(dels))
    end
  end
  for _, l in ipairs(lease_list) do
    if l.left == 0 then
      call('XACK', P .. 'out', 'wa_workers', l.entry)
      call('XDEL', P .. 'out', l.entry)
      call('HDEL', P .. 'le', l.entry)
      call('ZREM', P .. 'lz', l.entry)
    elseif l.dirty then
      call('HSET', P .. 'le', l.entry, l.state .. '|' .. l.at .. '|' .. l.left .. '|' .. l.worker)
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
