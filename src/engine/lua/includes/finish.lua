-- Ends every script: writes what was cached, and tells the caller when the next timer is due.
-- Ownership: the call that changed the head of the timers gets its due time, and so does a call made by a timer.
local function due_in(always)
  if work_left then
    return 0
  end
  if not timers_changed and not always then
    return -1
  end
  local head = call('ZRANGE', P .. 'tm', 0, 0, 'WITHSCORES')
  local wall_head = call('ZRANGE', P .. 'at', 0, 0, 'WITHSCORES')
  local due = head[2] or ''
  local wall_due = wall_head[2] or ''
  local known = due == (g[5] or '') and wall_due == (g[6] or '')
  if not known then
    scalars.due = due
    scalars.wallDue = wall_due
  elseif not always then
    return -1
  end
  local wait = -1
  if due ~= '' then
    wait = max(0, ceil(tonumber(due) - now))
  end
  if wall_due ~= '' then
    local w = max(0, ceil(tonumber(wall_due) - wall))
    wait = wait < 0 and w or min(wait, w)
  end
  return wait
end

local function finish(always)
  flush_pairs()
  flush()
  local due = due_in(always)
  if seq ~= (tonumber(g[3]) or 0) then
    scalars.seq = seq
  end
  if turn ~= (tonumber(g[4]) or 0) then
    scalars.turn = turn
  end
  local sets = {}
  for name, value in pairs(scalars) do
    sets[#sets + 1] = name
    sets[#sets + 1] = value
  end
  if #sets > 0 then
    call('HSET', P .. 'g', unpack(sets))
  end
  for name, n in pairs(moved) do
    if n ~= 0 then
      call('HINCRBY', P .. 'n', name, n)
    end
  end
  local event_id = false
  if #events > 0 then
    -- Numbers are written with %d: by themselves they become text as %.14g, which costs three times as much.
    event_id = call('XADD', P .. 'ev', '*', 't', format('%d', wall), unpack(events))
  end
  return due, event_id
end
