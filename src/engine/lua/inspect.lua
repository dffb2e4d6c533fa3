--[[ inspect: where a message is and what holds it
  KEYS   1 shard prefix
  ARGV   1 wallMs or ''   2 id   3 lane   4 seq   5 '1' to hear of what stands before it too, else ''
  RETURN {} not here | {status, hold kind or '', ms until it ends or -1, attempts, position}
         status: queued scheduled sending deferred unknown held
         of a message in its lane with 5 = '1' also: status of the lane's head, its hold kind, ms until that ends,
         lanes before it in its tenant's line, lanes in that line, messages of its lane, lanes before it at its pair,
         ms until the pair is open or -1 while busy, ms by which the pair's bucket runs ahead
  FLAGS  no-writes
  COST   O(log length of the conversation); with 5 = '1' also a look at 4,000 lanes at most ]]
-- @include "base"
-- @include "state"
-- @include "pair"
-- @include "place"
-- @include "circuit"
-- @include "flight"
-- @include "find"
local id, lane, message_seq = ARGV[2], ARGV[3], tonumber(ARGV[4])

local function until_timer(member)
  local due = call('ZSCORE', P .. 'tm', member)
  return due and max(0, ceil(tonumber(due) - now)) or -1
end

local function hold_of_head(s, t, h)
  local waits = until_timer('l:' .. lane)
  if s.paused or shard_paused or t.paused then
    return waits >= 0 and 'retry' or 'sender-paused', waits
  end
  if s.circuit and s.circuit - now > waits then
    return 'circuit', max(0, s.circuit - now)
  elseif waits >= 0 then
    return 'retry', waits
  elseif s.circuit then
    return 'circuit', -1 -- a probe is on its way, or about to go
  end
  if held_template(s, h) then
    return 'template-paused', -1
  end
  if s.pairs_on then
    local p = pair_load(s, h.contact)
    local free_at = pair_free_at(s, p)
    if not free_at then
      return 'pair', -1
    elseif free_at > now then
      return 'pair', free_at - now
    end
  end
  if t.inf >= t.cap then
    return 'tenant', -1
  end
  if s.wait_until > now then
    return 'sender-rate', s.wait_until - now
  end
  if s.inf >= s.cap then
    return 'sender-rate', -1
  end
  return '', -1
end

local s, t = of_lane(lane)
if not s then
  return {}
end
local parked = call('HGET', P .. 'sch', id)
if parked then
  local kind, _, element = parse_parked(parked)
  local h = parse(element) or { attempts = 0 }
  if kind == 'S' then
    local due = call('ZSCORE', P .. 'at', 'a:' .. id)
    return { 'scheduled', 'scheduled', due and max(0, ceil(tonumber(due) - wall)) or -1, h.attempts, 0 }
  elseif kind == 'D' then
    return { 'deferred', 'retry', until_timer('d:' .. id), h.attempts, 0 }
  end
  return { ARGV[5] == '1' and 'held' or 'unknown', '', -1, h.attempts, 0 }
end
local f = load_flight(lane)

-- What the head of the lane does: status, hold kind, ms until that ends.
local function head_now(h)
  local state = f and f.id == h.id and f.state or 'R'
  if state == 'G' then
    return 'sending', '', -1
  elseif state == 'D' then
    return 'deferred', 'retry', until_timer('l:' .. lane)
  elseif state ~= 'R' then
    return 'unknown', '', until_timer('l:' .. lane)
  end
  return 'queued', hold_of_head(s, t, h)
end

-- Lists are looked through from both ends, so far; between them the place is found by the lanes' sequence numbers,
-- which grow along the list but for lanes that came back.
local LOOK_MAX = 2000
local function place_in(key, length, own_seq)
  local at = call('LPOS', key, lane, 'MAXLEN', LOOK_MAX)
  if not at and length > LOOK_MAX then
    at = call('LPOS', key, lane, 'RANK', -1, 'MAXLEN', LOOK_MAX)
  end
  if at or length <= 2 * LOOK_MAX then
    return at or length
  end
  local low, high = 0, length - 1
  while low < high do
    local mid = floor((low + high) / 2)
    local other = call('LINDEX', P .. 'c:' .. call('LINDEX', key, mid), '0')
    if other and tonumber(match(other, '^(%d+)|')) < own_seq then
      low = mid + 1
    else
      high = mid
    end
  end
  return low
end

-- Lanes of the same tenant that go before this one, and all with which it takes turns.
local function line_of(h)
  local before = 0
  for priority = 10, h.priority + 1, -1 do
    before = before + call('LLEN', ready_key(s, t, PRIORITIES[priority]))
  end
  local key = ready_key(s, t, h.priority)
  local own = call('LLEN', key)
  return before + place_in(key, own, tonumber(h.seq)), before + own
end

local function pair_now(h)
  if not s.pairs_on then
    return 0, 0, 0
  end
  local p = pair_load(s, h.contact)
  local before = p.waiting and call('LPOS', P .. 'pw:' .. pair_name(p), lane, 'MAXLEN', LOOK_MAX) or 0
  local free_at = pair_free_at(s, p)
  return before, free_at and max(0, free_at - now) or -1, max(0, p.tat - now)
end

local element, position
if f and f.id == id then
  element, position = call('LINDEX', P .. 'c:' .. lane, '0'), 0 -- whatever its number: it may have just rejoined
else
  element, position = find(lane, id, message_seq)
end
if not element or call('HEXISTS', P .. 'x', id) == 1 then
  return {}
end
local h = parse(element)
if not h then
  return {} -- damaged: its end comes when it is the head
end
local attempts = f and f.id == id and f.attempts or h.attempts
local head = position > 0 and parse(call('LINDEX', P .. 'c:' .. lane, '0')) or h
local head_status, head_kind, head_ms = head_now(head)
local found = { head_status, head_kind, head_ms, attempts, position }
if position > 0 then
  found = { 'queued', 'conversation', -1, attempts, position }
end
if ARGV[5] == '1' then
  local before, line = line_of(head)
  local pair_before, pair_ms, bucket_ms = pair_now(head)
  for _, value in ipairs({
    head_status, head_kind, head_ms, before, line, call('LLEN', P .. 'c:' .. lane), pair_before, pair_ms, bucket_ms,
  }) do
    found[#found + 1] = value
  end
end
return found
