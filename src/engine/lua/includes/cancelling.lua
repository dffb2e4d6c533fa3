-- Who ends it, as JSON for the events; '' = its tenant, by id.
local cancel_detail = ''

-- Ends what waits and was never begun, or waits after an attempt that certainly failed.
local function cancel_parked(t, lane, id, parked)
  local kind, _, element = parse_parked(parked)
  if kind == 'H' then
    return 0
  end
  local h = parse(element)
  if h then
    forget_expiry(h, lane)
  end
  call('HDEL', P .. 'sch', id)
  call('ZREM', P .. 'at', 'a:' .. id)
  disarm('d:' .. id)
  t.parked = t.parked - 1
  move(kind == 'S' and 'scheduled' or 'deferred', 'cancelled')
  event('C', id, cancel_detail)
  return 1
end

-- A message of a lane that has an attempt behind it: 1 cancelled, 0 in flight or unknown, nil: look in the lane.
local function cancel_tried(s, t, lane, f)
  if f.state ~= 'R' and f.state ~= 'D' then
    return 0
  end
  if disarm('l:' .. lane) then
    -- It was waiting at the head for its next attempt: the conversation goes on at once.
    move(f.state == 'D' and 'deferred' or 'queued', 'cancelled')
    event('C', f.id, cancel_detail)
    drop_head(s, t, lane)
    return 1
  end
  return nil
end

local function cancel_in_lane(s, t, lane, h, from)
  forget_expiry(h, lane)
  bury(t, h.id, from, 'cancelled', 'C', cancel_detail)
  rewait(s, t, lane, h.id)
end
