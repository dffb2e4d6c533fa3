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
-- @include "cancelling"
-- @include "finish"
local id, lane, message_seq = ARGV[2], ARGV[3], tonumber(ARGV[4])

local function cancel()
  local s, t = of_lane(lane)
  if not s then
    return -1
  end
  local parked = call('HGET', P .. 'sch', id)
  if parked then
    return cancel_parked(t, lane, id, parked)
  end
  local f = load_flight(lane)
  local from = 'queued'
  if f and f.id == id then
    local done = cancel_tried(s, t, lane, f)
    if done then
      return done
    end
    from = f.state == 'D' and 'deferred' or 'queued'
  end
  local element = find(lane, id, message_seq)
  if not element or call('HEXISTS', P .. 'x', id) == 1 then
    return -1
  end
  cancel_in_lane(s, t, lane, parse(element), from)
  return 1
end

local result = cancel()
serve_idle()
return { (finish(false)), result }
