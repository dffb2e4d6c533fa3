--[[ restart: make what waits after an attempt eligible at once, from the head of its conversation, as the reset of a
  stream to its beginning asks. What is in flight stays with its worker, and limits hold as ever.
  KEYS   1 shard prefix
  ARGV   1 wallMs or ''   2 'lanes' or 'parked'   3 sender, '' = every one   4 detail of the event of what comes back
         (JSON)   5… lanes or ids
  RETURN {dueMs or -1, retries that go now, slow retries that go now, unknown ones that are sent again, kept}
  FLAGS  allow-oom
  COST   O(lanes or ids) ]]
-- @include "base"
-- @include "state"
-- @include "pair"
-- @include "place"
-- @include "circuit"
-- @include "flight"
-- @include "dispatch"
-- @include "finish"
local wanted, detail = ARGV[3], ARGV[4]
local retries, deferred, unknown, kept = 0, 0, 0, 0

local function restart_lane(lane)
  local s, t = of_lane(lane)
  local f = s and load_flight(lane)
  if not f or (wanted ~= '' and s.id ~= wanted) then
    return
  end
  if f.state == 'G' or f.state == 'K' or f.state == 'J' then
    kept = kept + 1 -- a worker is sending it, or may be
  elseif disarm('l:' .. lane) then
    if f.state == 'D' then
      deferred = deferred + 1
    elseif f.state == 'R' then
      retries = retries + 1
    else
      unknown = unknown + 1
      f.state = 'R'
      store_flight(lane, f)
      move('unknown', 'queued')
      event('R', f.id, '{"delayMs":0,"report":null}')
    end
    place(s, t, lane, true)
  end
end

local function restart_parked(id)
  local parked = call('HGET', P .. 'sch', id)
  if not parked then
    return
  end
  local kind, lane = parse_parked(parked)
  local s = of_lane(lane)
  if not s or kind == 'S' or (wanted ~= '' and s.id ~= wanted) then
    return -- what is scheduled keeps its time
  end
  if kind == 'D' then
    disarm('d:' .. id)
    deferred = deferred + 1
  else
    call('HDEL', P .. 'ui', id)
    event('V', id, detail)
    unknown = unknown + 1
  end
  rejoin(id)
end

for i = 5, #ARGV do
  if ARGV[2] == 'lanes' then
    restart_lane(ARGV[i])
  else
    restart_parked(ARGV[i])
  end
end
serve_idle()
return { (finish(false)), retries, deferred, unknown, kept }
