--[[ skip: end what waits, a piece at a time, as the reset of a stream to its latest entry asks
  KEYS   1 shard prefix
  ARGV   1 wallMs or ''   2 'lane' or 'parked'
         lane: 3 lane   4 highest seq to end; later messages stay   5 most to look at   6 detail of the events (JSON)
         parked: 3 sender, '' = every one   4 detail of the events (JSON)   5… ids
  RETURN lane: {dueMs or -1, ended, next highest seq or -1 when all was looked at, kept: in flight or unknown}
         parked: {dueMs or -1, ended, -1, kept}
  FLAGS  allow-oom
  COST   O(messages looked at) ]]
-- @include "base"
-- @include "state"
-- @include "pair"
-- @include "place"
-- @include "circuit"
-- @include "flight"
-- @include "dispatch"
-- @include "cancelling"
-- @include "finish"
local ended, kept, next_seq = 0, 0, -1

-- Index of the last message of the lane whose seq is not above the given one; -1 without one.
local function last_up_to(key, highest)
  local low, high = -1, call('LLEN', key) - 1
  while low < high do
    local mid = low + ceil((high - low) / 2)
    if (tonumber(match(call('LINDEX', key, mid), '^(%d+)|')) or 0) <= highest then
      low = mid
    else
      high = mid - 1
    end
  end
  return low
end

-- From the back to the front: what stands at the end is taken out, what stands before newer messages is buried.
local function skip_lane(lane, highest, most)
  local s, t = of_lane(lane)
  if not s then
    return
  end
  local key = P .. 'c:' .. lane
  local at = last_up_to(key, highest)
  local is_end = at == call('LLEN', key) - 1
  while at > 0 and most > 0 do
    local h = parse(call('LINDEX', key, at))
    if not h then
      is_end = false -- damaged: its end comes when it is the head
    else
      local is_dead = has_tombstones() and call('HEXISTS', P .. 'x', h.id) == 1
      if is_end then
        call('RPOP', key)
        if is_dead then
          call('HDEL', P .. 'x', h.id)
        else
          forget_expiry(h, lane)
          t.backlog = t.backlog - 1
          move('queued', 'cancelled')
          event('C', h.id, cancel_detail)
        end
      elseif not is_dead then
        forget_expiry(h, lane)
        bury(t, h.id, 'queued', 'cancelled', 'C', cancel_detail)
      end
      if not is_dead then
        ended = ended + 1
      end
      next_seq = tonumber(h.seq) - 1
    end
    at = at - 1
    most = most - 1
  end
  if at ~= 0 or most <= 0 then
    next_seq = at < 0 and -1 or next_seq
    return
  end
  next_seq = -1
  local h = parse(call('LINDEX', key, '0'))
  if not h or call('HEXISTS', P .. 'x', h.id) == 1 then
    return
  end
  local f = load_flight(lane)
  local done
  local from = 'queued'
  if f and f.id == h.id then
    done = cancel_tried(s, t, lane, f)
    from = f.state == 'D' and 'deferred' or 'queued'
  end
  if not done then
    cancel_in_lane(s, t, lane, h, from)
    done = 1
  end
  ended = ended + done
  kept = kept + 1 - done
end

if ARGV[2] == 'lane' then
  cancel_detail = ARGV[6]
  skip_lane(ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5]))
else
  cancel_detail = ARGV[4]
  for i = 5, #ARGV do
    local id = ARGV[i]
    local parked = call('HGET', P .. 'sch', id)
    if parked then
      local _, lane = parse_parked(parked)
      local s, t = of_lane(lane)
      if s and (ARGV[3] == '' or s.id == ARGV[3]) then
        local done = cancel_parked(t, lane, id, parked)
        ended = ended + done
        kept = kept + 1 - done
      end
    end
  end
end
serve_idle()
return { (finish(false)), ended, next_seq, kept }
