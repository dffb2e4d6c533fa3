-- Pairs: sender + contact. The value of p:<pair> is '<B or next ms>|<bucket tat ms>|<1 when lanes wait>'.
-- Busy from the grant to the settle; free again at `next`, which lies a gap after the settle.
-- Read once per call, written once by flush_pairs().
local pairs_loaded = {}
local pair_list = {}
local function pair_read(name, key, raw)
  local p
  if raw then
    local first, tat, waiting = match(raw, '^([^|]*)|([^|]*)|(%d)$')
    local busy = first == 'B'
    p = {
      name = name, key = key, busy = busy, next = busy and 0 or first + 0, tat = tat + 0, waiting = waiting == '1',
      dirty = false,
    }
  else
    p = { name = name, key = key, busy = false, next = 0, tat = 0, waiting = false, dirty = false }
  end
  pairs_loaded[name] = p
  pair_list[#pair_list + 1] = p
  return p
end
local function pair_load(s, contact)
  local name = s.id .. '|' .. contact
  local p = pairs_loaded[name]
  if not p then
    local key = P .. 'p:' .. name
    p = pair_read(name, key, call('GET', key))
  end
  return p
end
-- Reads the pairs of these lanes' attempts in flight at once.
local function load_pairs(lanes)
  local names, keys = {}, {}
  for _, lane in ipairs(lanes) do
    local s, f = of_lane(lane), load_flight(lane)
    if s and s.pairs_on and f then
      local name = s.id .. '|' .. f.contact
      names[#names + 1] = name
      keys[#keys + 1] = P .. 'p:' .. name
    end
  end
  if #keys == 0 then
    return
  end
  local raws = call('MGET', unpack(keys))
  for i, name in ipairs(names) do
    if not pairs_loaded[name] then
      pair_read(name, keys[i], raws[i])
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
      if p.busy or p.waiting then
        -- Somebody depends on this value: it must not expire on another clock.
        kept[#kept + 1] = p.key
        kept[#kept + 1] = (p.busy and 'B' or format('%d', p.next)) .. format(p.waiting and '|%d|1' or '|%d|0', p.tat)
      elseif keep > 0 then
        call('SET', p.key, format('%d|%d|0', p.next, p.tat), 'PX', format('%d', ceil(keep)))
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

-- The attempt on this pair is over. `wait_ms` is what a provider asked for, 0 without.
local function pair_release(s, contact, wait_ms)
  local p = pair_load(s, contact)
  p.busy = false
  p.next = max(p.next, now + max(s.gap, wait_ms))
  pair_store(p)
  if p.waiting then
    arm('p:' .. p.name, pair_free_at(s, p))
  end
end

-- A granted lane was given back before anything was sent: the pair is as free as before, but for its bucket token. Who
-- was granted before the pair had a limit took none, and nothing says who did.
local function pair_untake(s, contact)
  local p = pair_load(s, contact)
  p.busy = false
  pair_store(p)
  if p.waiting then
    arm('p:' .. p.name, max(now, pair_free_at(s, p)))
  end
end

local function pair_wait(s, p, lane)
  call('RPUSH', P .. 'pw:' .. p.name, lane)
  if not p.waiting then
    p.waiting = true
    pair_store(p)
  end
  if not p.busy then
    arm('p:' .. p.name, max(now, pair_free_at(s, p)))
  end
end
