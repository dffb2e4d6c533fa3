--[[ inspect: where a message is and what holds it
  KEYS   1 shard prefix
  ARGV   1 wallMs or ''   2 id   3 lane   4 seq
  RETURN {} not here | {status, hold kind or '', ms until it ends or -1, attempts, position}
         status: queued scheduled sending deferred unknown
  FLAGS  no-writes
  COST   O(log length of the conversation) ]]
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
  local h = parse(element)
  if kind == 'S' then
    local due = call('ZSCORE', P .. 'at', 'a:' .. id)
    return { 'scheduled', 'scheduled', due and max(0, ceil(tonumber(due) - wall)) or -1, h.attempts, 0 }
  elseif kind == 'D' then
    return { 'deferred', 'retry', until_timer('d:' .. id), h.attempts, 0 }
  end
  return { 'unknown', '', -1, h.attempts, 0 }
end
local f = load_flight(lane)
if f and f.id == id then
  if f.state == 'G' then
    return { 'sending', '', -1, f.attempts, 0 }
  elseif f.state == 'D' then
    return { 'deferred', 'retry', until_timer('l:' .. lane), f.attempts, 0 }
  elseif f.state ~= 'R' then
    return { 'unknown', '', until_timer('l:' .. lane), f.attempts, 0 }
  end
end
local element, position = find(lane, id, message_seq)
if not element or call('HEXISTS', P .. 'x', id) == 1 then
  return {}
end
local h = parse(element)
local attempts = f and f.id == id and f.attempts or h.attempts
if position > 0 then
  return { 'queued', 'conversation', -1, attempts, position }
end
local kind, ms = hold_of_head(s, t, h)
return { 'queued', kind, ms, attempts, 0 }
