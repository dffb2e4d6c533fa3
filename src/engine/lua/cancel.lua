--[[ cancel: end a message that is not in flight
  KEYS   1 shard prefix
  ARGV   1 wallMs or ''   2 id   3 lane   4 seq
  RETURN {dueMs or -1, 1 cancelled | 0 in flight or unknown | -1 not here}
  FLAGS  allow-oom
  COST   O(log length of the conversation) ]]
-- @include "base"
-- @include "state"
-- @include "pair"
-- @include "place"
-- @include "circuit"
-- @include "flight"
-- @include "dispatch"
-- @include "find"
-- @include "finish"
local id, lane, message_seq = ARGV[2], ARGV[3], tonumber(ARGV[4])

local function cancel()
  local s, t = of_lane(lane)
  if not s then
    return -1
  end
  local parked = call('HGET', P .. 'sch', id)
  if parked then
    local kind, _, element = parse_parked(parked)
    if kind == 'H' then
      return 0
    end
    forget_expiry(parse(element), lane)
    call('HDEL', P .. 'sch', id)
    call('ZREM', P .. 'at', 'a:' .. id)
    disarm('d:' .. id)
    t.parked = t.parked - 1
    move(kind == 'S' and 'scheduled' or 'deferred', 'cancelled')
    event('C', id, '')
    return 1
  end
  local f = load_flight(lane)
  local from = 'queued'
  if f and f.id == id then
    if f.state ~= 'R' and f.state ~= 'D' then
      return 0
    end
    if f.state == 'D' then
      from = 'deferred'
    end
    if disarm('l:' .. lane) then
      -- It was waiting at the head for its next attempt: the conversation goes on at once.
      move(from, 'cancelled')
      event('C', id, '')
      drop_head(s, t, lane)
      return 1
    end
  end
  local element = find(lane, id, message_seq)
  if not element or call('HEXISTS', P .. 'x', id) == 1 then
    return -1
  end
  forget_expiry(parse(element), lane)
  bury(t, id, from, 'cancelled', 'C')
  rewait(s, t, lane, id)
  return 1
end

local result = cancel()
serve_idle()
return { (finish(false)), result }
