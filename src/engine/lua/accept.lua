--[[ accept: store messages, their places and their idempotency records in one step
  KEYS   1 shard prefix
  ARGV   1 wallMs or ''   2 '1' when this repeats a call whose reply was lost
         3 number of windows in which the ids were made, then per window: its name, 'end|end|…' of its ids
         then per message: lane, 'priority|expiresAtMs or nothing|id||contact|sealed body', '', '<key>' or
         '<key>|<sendAtMs>|<expiresAtMs>', 'concurrency|weight|backlogMax'
         key: '' or its digest (14), the digest of what was asked for (8), the id (22 characters)
  RETURN {dueMs or -1, a code per message, the first id (22 characters) of each 3 and 4 in turn}
         codes: 1 accepted, 2 accepted and handed over, 3 duplicate, 4 key reused with another body, 5 backlog full,
         6 unknown sender
  COST   O(messages) ]]
-- @include "base"
-- @include "state"
-- @include "pair"
-- @include "place"
-- @include "circuit"
-- @include "flight"
-- @include "dispatch"
-- @include "finish"
local STRIDE = 4
local KEPT_MS = '176400000' -- 49 h: two days, and an hour for a beat to be quicker
local repeated = ARGV[2] == '1'
local window_count = tonumber(ARGV[3])
local first_at = 4 + 2 * window_count
local codes, known = {}, {}
local firsts = {}
local scheduled = 0

-- When an id was made: its first 48 bits, 8 characters of base64url.
local ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
local function id_ms(id)
  local ms = 0
  for i = 1, 8 do
    ms = ms * 64 + string.find(ALPHABET, sub(id, i, i), 1, true) - 1
  end
  return ms
end

-- Keys lie in a hash of the day of their first use; those of a call are looked up, and written, together. The id that was
-- stored carries its time, so 24 h stay exact.
local function uses_of(day)
  return P .. 'i:' .. format('%d', day)
end
local first_uses = {} -- key -> digest and id that were stored
local function load_uses()
  local keys = {}
  for i = first_at + 2, #ARGV, STRIDE do
    if ARGV[i] ~= '' and sub(ARGV[i], 1, 1) ~= '|' then
      keys[#keys + 1] = sub(ARGV[i], 1, 14)
    end
  end
  if #keys == 0 then
    return
  end
  local of_today = call('HMGET', uses_of(today), unpack(keys))
  local of_yesterday = call('HMGET', uses_of(today - 1), unpack(keys))
  for n, key in ipairs(keys) do
    local found = of_today[n] or of_yesterday[n]
    first_uses[key] = found and id_ms(sub(found, 9)) + DAY_MS > wall and found or nil
  end
end
local new_uses = {}
local function store_uses()
  if #new_uses == 0 then
    return
  end
  local is_first = call('EXISTS', uses_of(today)) == 0
  call('HSET', uses_of(today), unpack(new_uses))
  if is_first then
    call('PEXPIRE', uses_of(today), KEPT_MS)
  end
end

local function id_in(tail)
  return match(tail, '^%d+|%d*|([^|]*)')
end

-- Until they are recorded, messages are found by u:<window>: event entry -> end|end|… of the ids in it. One field per
-- call and window of 256 ms in which its ids were made: a field per message would be the dearest part of an accept.
local function window_of(id)
  return sub(id, 1, 8) .. sub(id, 10, 11)
end
local windows = {}
local function was_stored(id)
  local window = window_of(id)
  if not windows[window] then
    windows[window] = table.concat(call('HVALS', P .. 'u:' .. window), '|')
  end
  return string.find(windows[window], sub(id, -12), 1, true)
end
local stored = {} -- the texts of those that were
local function index_stored(event_id)
  local ends_of = {}
  if #stored == #codes then
    for i = 4, first_at - 1, 2 do
      ends_of[ARGV[i]] = ARGV[i + 1]
    end
  else
    for _, tail in ipairs(stored) do
      local id = id_in(tail)
      local window = window_of(id)
      ends_of[window] = (ends_of[window] and ends_of[window] .. '|' or '') .. sub(id, -12)
    end
  end
  for window, ends in pairs(ends_of) do
    call('HSET', P .. 'u:' .. window, event_id, ends)
    call('EXPIRE', P .. 'u:' .. window, '86400')
  end
end

-- A call holds few different ones.
local all_limits = {}
local function limits_of(text)
  local limits = all_limits[text]
  if not limits then
    local cap, weight, backlog_max = match(text, '^(%d+)|(%d+)|(%d+)$')
    limits = { cap = cap + 0, weight = weight + 0, backlog_max = backlog_max + 0 }
    all_limits[text] = limits
  end
  return limits
end

local lanes = {}
for i = first_at, #ARGV, STRIDE do
  lanes[#lanes + 1] = ARGV[i]
end
load_lanes(lanes)
load_uses()

for n, lane in ipairs(lanes) do
  local i = first_at + (n - 1) * STRIDE
  local tail, more = ARGV[i + 1], ARGV[i + 2]
  local send_at, expires, key = '', '', ''
  if #more == 44 then
    key = more
  elseif more ~= '' then
    key, send_at, expires = match(more, '^(.*)|(%d*)|(%d*)$')
  end
  local code = '1'
  local s, t = of_lane(lane)
  if not s then
    code = '6'
  elseif repeated and was_stored(id_in(tail)) then
    s = nil -- the call whose reply was lost had stored it
  else
    if key ~= '' then
      local first = first_uses[sub(key, 1, 14)]
      if first then
        code = sub(first, 1, 8) == sub(key, 15, 22) and '3' or '4'
        known[#known + 1] = sub(first, 9)
      end
    end
    if code == '1' then
      local limits = limits_of(ARGV[i + 3])
      local had = t.cap
      t.cap, t.weight = limits.cap, limits.weight
      if t.cap > had then
        join_ring(s, t)
      end
      if t.backlog + t.parked >= limits.backlog_max then
        code = '5'
      end
    end
  end
  codes[n] = code
  if code == '1' and s then
    seq = seq + 1
    local element = format('%d|', seq) .. tail
    stored[#stored + 1] = tail
    if send_at ~= '' and tonumber(send_at) > wall then
      local id = id_in(tail)
      park('S', t, lane, id, element)
      timers_changed = true
      call('ZADD', P .. 'at', send_at, 'a:' .. id)
      scheduled = scheduled + 1
    else
      send_at = ''
    end
    tell('A' .. send_at .. '|' .. lane, element)
    if expires ~= '' then
      timers_changed = true
      call('ZADD', P .. 'at', expires, 'x:' .. seq .. ':' .. id_in(tail) .. ':' .. lane)
    end
    -- Last: a message that has expired already ends here, after its accepted event and with its timer.
    if send_at == '' and push(t, lane, element) then
      firsts[n] = lane
      -- Without an expiry it cannot be dead: it need not be read back to know what stands there.
      local h = expires == '' and parse(element)
      if h then
        place_head(s, t, lane, h, false)
      else
        place(s, t, lane, false)
      end
    end
    if key ~= '' then
      local name, use = sub(key, 1, 14), sub(key, 15)
      first_uses[name] = use
      new_uses[#new_uses + 1] = name
      new_uses[#new_uses + 1] = use
    end
  end
end

store_uses()

count('accepted', #stored)
count('scheduled', scheduled)
count('queued', #stored - scheduled)
serve_idle()
for n, lane in pairs(firsts) do
  if immediate[lane] then
    codes[n] = '2'
  end
end
local due, event_id = finish(false)
if event_id and #stored > 0 then
  index_stored(event_id)
end
return { due, table.concat(codes), unpack(known) }
