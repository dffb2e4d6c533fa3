--[[ accept: store messages, their places and their idempotency records in one step
  KEYS   1 shard prefix
  ARGV   1 wallMs or ''   2 '1' when this repeats a call whose reply was lost
         then per message: id, lane, priority 1..10, contact, sendAtMs or '', expiresAtMs or '', idempotency digest
         (12 bytes) or '', body digest (8 bytes), id (16 bytes), body, 'concurrency|weight|backlogMax'
  RETURN {dueMs or -1, code, id, code, id, …}: 1 accepted, 2 accepted and handed over, 3 duplicate (id of the first),
         4 key reused with another body, 5 backlog full, 6 unknown sender
  COST   O(messages) ]]
-- @include "base"
-- @include "state"
-- @include "pair"
-- @include "place"
-- @include "circuit"
-- @include "flight"
-- @include "dispatch"
-- @include "finish"
local STRIDE = 11
local DAY_MS = 86400000
local TWO_DAYS_MS = '172800000'
local repeated = ARGV[2] == '1'
local codes = {}
local firsts = {}
local stored, scheduled = 0, 0

local function hex_id(bytes)
  local h = {}
  for i = 1, 16 do
    h[i] = format('%02x', string.byte(bytes, i))
  end
  local t = table.concat(h)
  return sub(t, 1, 8) .. '-' .. sub(t, 9, 12) .. '-' .. sub(t, 13, 16) .. '-' .. sub(t, 17, 20) .. '-' .. sub(t, 21)
end

local function id_ms(bytes)
  local ms = 0
  for i = 1, 6 do
    ms = ms * 256 + string.byte(bytes, i)
  end
  return ms
end

-- Looks today's and yesterday's bucket up: the id that was stored carries its time, so 24 h stay exact. Days are the
-- pacing clock's: a wall clock that steps back over midnight would look past the bucket.
local function first_use(digest)
  local slot = format(':%02x%02x', string.byte(digest, 1), string.byte(digest, 2))
  local day = floor(now / DAY_MS)
  for back = 0, 1 do
    local found = call('HGET', P .. 'i:' .. (day - back) .. slot, digest)
    if found and id_ms(found) + DAY_MS > wall then
      return found
    end
  end
  return nil, P .. 'i:' .. day .. slot
end

-- Until they are recorded, messages are found by u:<window>: event entry -> end|end|… of the ids in it. One field per
-- call and window of 256 ms in which its ids were made: a field per message would be the dearest part of an accept.
local unrecorded = {}
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
for i = 4, #ARGV, STRIDE do
  lanes[#lanes + 1] = ARGV[i]
end
load_lanes(lanes)

for i = 3, #ARGV, STRIDE do
  local id, lane, priority, contact = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  local send_at, expires, digest = ARGV[i + 4], ARGV[i + 5], ARGV[i + 6]
  local code, known = 1, id
  local s, t = of_lane(lane)
  local slot
  if not s then
    code = 6
  elseif repeated and was_stored(id) then
    code = 1 -- the call whose reply was lost had stored it
    s = nil
  else
    if digest ~= '' then
      local first
      first, slot = first_use(digest)
      if first then
        code = sub(first, 17, 24) == ARGV[i + 7] and 3 or 4
        known = hex_id(first)
      end
    end
    if code == 1 then
      local limits = limits_of(ARGV[i + 10])
      local had = t.cap
      t.cap, t.weight = limits.cap, limits.weight
      if t.cap > had then
        join_ring(s, t)
      end
      if t.backlog + t.parked >= limits.backlog_max then
        code = 5
      end
    end
  end
  if code == 1 and s then
    seq = seq + 1
    local element = format('%d|', seq) .. priority .. '|' .. expires .. '|' .. id .. '||' .. contact .. '|' ..
      ARGV[i + 9]
    stored = stored + 1
    if send_at ~= '' and tonumber(send_at) > wall then
      park('S', t, lane, id, element)
      timers_changed = true
      call('ZADD', P .. 'at', send_at, 'a:' .. id)
      scheduled = scheduled + 1
    else
      send_at = ''
    end
    -- As event() writes it, in one concatenation: Redis's Lua hashes every byte of each text that comes about.
    events[#events + 1] = 'A'
    events[#events + 1] = wall_text .. id .. format('|%d|', seq) .. priority .. '|' .. send_at .. '|' .. expires ..
      '|' .. contact .. format('|%d|', #lane) .. lane .. ARGV[i + 9]
    if expires ~= '' then
      timers_changed = true
      call('ZADD', P .. 'at', expires, 'x:' .. seq .. ':' .. id .. ':' .. lane)
    end
    -- Last: a message that has expired already ends here, after its accepted event and with its timer.
    if send_at == '' and push(t, lane, element) then
      firsts[#codes + 1] = lane
      if expires ~= '' then
        place(s, t, lane, false)
      else
        -- It cannot be dead: it need not be read back to know what stands there.
        place_head(s, t, lane, {
          seq = seq, priority = priority, expires = '', id = id, contact = contact, element = element,
          body_at = #element - #ARGV[i + 9] + 1,
        }, false)
      end
    end
    if slot then
      call('HSET', slot, digest, ARGV[i + 8] .. ARGV[i + 7])
      call('PEXPIRE', slot, TWO_DAYS_MS)
    end
    local window = window_of(id)
    local ends = unrecorded[window]
    if not ends then
      ends = {}
      unrecorded[window] = ends
    end
    ends[#ends + 1] = sub(id, -12)
  end
  codes[#codes + 1] = code
  codes[#codes + 1] = known
end

count('accepted', stored)
count('scheduled', scheduled)
count('queued', stored - scheduled)
serve_idle()
for at, lane in pairs(firsts) do
  if immediate[lane] then
    codes[at] = 2
  end
end
local due, event_id = finish(false)
for window, ends in pairs(unrecorded) do
  call('HSET', P .. 'u:' .. window, event_id, table.concat(ends, '|'))
  call('EXPIRE', P .. 'u:' .. window, '86400')
end
table.insert(codes, 1, due)
return codes
