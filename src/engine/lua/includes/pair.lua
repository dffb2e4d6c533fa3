-- Pairs: sender + contact. The value of p:<pair> is '<B or next ms>|<bucket tat ms>|<1 when lanes wait>'.
-- Busy from the grant to the settle; free again at `next`, which lies a gap after the settle.
local function pair_load(s, contact)
  local name = s.id .. '|' .. contact
  local raw = call('GET', P .. 'p:' .. name)
  if not raw then
    return { name = name, busy = false, next = 0, tat = 0, waiting = false }
  end
  local first, tat, waiting = match(raw, '^([^|]*)|([^|]*)|(%d)$')
  return { name = name, busy = first == 'B', next = tonumber(first) or 0, tat = tonumber(tat), waiting = waiting == '1' }
end

local function pair_store(p)
  local key = P .. 'p:' .. p.name
  local value = (p.busy and 'B' or p.next) .. '|' .. p.tat .. '|' .. (p.waiting and '1' or '0')
  if p.busy or p.waiting then
    -- Somebody depends on this value: it must not expire on another clock.
    call('SET', key, value)
    return
  end
  local keep = ceil(max(p.next, p.tat) - now)
  if keep > 0 then
    call('SET', key, value, 'PX', keep)
  else
    call('DEL', key)
  end
end

-- When the pair allows the next attempt: a time (<= now: at once), or nil while it is busy.
local function pair_free_at(s, p)
  if p.busy and s.paced then
    return nil
  end
  local free_at = p.next
  if s.pair_cap > 0 then
    free_at = max(free_at, ceil(p.tat - (s.pair_cap - 1) * s.pair_ms))
  end
  return free_at
end

local function pair_take(s, p)
  if not s.paced then
    return
  end
  p.busy = true
  if s.pair_cap > 0 then
    p.tat = ceil(max(p.tat, now) + s.pair_ms)
  end
  pair_store(p)
end

-- The attempt on this pair is over. `wait_ms` is what a provider asked for, 0 without.
local function pair_release(s, contact, wait_ms)
  local p = pair_load(s, contact)
  p.busy = false
  p.next = max(p.next, now + max(s.gap, wait_ms))
  pair_store(p)
  if p.waiting then
    arm('p:' .. p.name, pair_free_at(s, p))
  end
end

-- A granted lane was given back before anything was sent: the pair is as free as before, but for its bucket token.
local function pair_untake(s, contact)
  local p = pair_load(s, contact)
  p.busy = false
  pair_store(p)
  if p.waiting then
    arm('p:' .. p.name, max(now, pair_free_at(s, p)))
  end
end

local function pair_wait(s, p, lane)
  call('RPUSH', P .. 'pw:' .. p.name, lane)
  if not p.waiting then
    p.waiting = true
    pair_store(p)
  end
  if not p.busy then
    arm('p:' .. p.name, max(now, pair_free_at(s, p)))
  end
end
