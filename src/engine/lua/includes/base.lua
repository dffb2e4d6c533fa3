-- Prefix, clock and scalars of the shard. Every script starts with this.
-- ARGV[1] is the wall clock in ms, or '' to read Redis's own (tests inject it).
local P = KEYS[1]
local call = redis.call
local floor, ceil, max, min = math.floor, math.ceil, math.max, math.min
local match, sub, format = string.match, string.sub, string.format
-- Where the next '|' of a text stands. Plain search costs a fraction of what a pattern's [^|]* does.
local function bar(text, from)
  return (string.find(text, '|', from, true))
end

local wall
if ARGV[1] ~= '' then
  wall = tonumber(ARGV[1])
else
  local t = call('TIME')
  wall = t[1] * 1000 + floor(t[2] / 1000)
end

-- The pacing clock never runs backward: a wall clock that steps back is offset by what it lost.
-- Tokens, pairs, retries and leases use `now`; only sendAt and expiresAt use `wall`.
-- A worker beats twice a second: where nobody called for so long, nobody could.
local GAP_MS = 2000
local g = call('HMGET', P .. 'g', 'last', 'off', 'seq', 'turn', 'due', 'wallDue', 'paused')
local scalars = {}
local off = tonumber(g[2]) or 0
local now = wall + off
do
  local last = tonumber(g[1]) or 0
  if now < last then
    off = off + (last - now)
    now = last
    scalars.off = off
    scalars.last = now
  elseif now - last >= 100 then
    -- Written ten times a second at most: after a step back the clock stands still for up to 100 ms, never runs early.
    scalars.last = now
    if last > 0 and now - last >= GAP_MS then
      scalars.gap = format('%d.%d', now, now - last)
    end
  end
end
-- What is kept by the day lies under its number; by this clock too, or a step back over midnight would look past it.
local DAY_MS = 86400000
local today = floor(now / DAY_MS)
local seq = tonumber(g[3]) or 0
local turn = tonumber(g[4]) or 0
local shard_paused = g[7] == '1'

-- Counters of the shard: moved in pairs, so that accepted = the sum of the others.
local moved = {}
local function count(name, n)
  moved[name] = (moved[name] or 0) + n
end
local function move(from, to)
  moved[from] = (moved[from] or 0) - 1
  moved[to] = (moved[to] or 0) + 1
end

-- Lifecycle events of this call: written as one stream entry by finish(), as pairs of a kind and 'id|detail'; of an
-- accepted message 'A<sendAtMs or nothing>|<lane>' and what stands in its lane. Texts that a caller or a list already
-- made are told as they are: Redis's Lua hashes every byte of each text that comes about.
local events = {}
local function tell(kind, text)
  events[#events + 1] = kind
  events[#events + 1] = text
end
local function event(kind, id, detail)
  tell(kind, id .. '|' .. detail)
end

local timers_changed = false
local function arm(member, due)
  timers_changed = true
  call('ZADD', P .. 'tm', format('%d', ceil(due)), member)
end
-- True when the timer was set.
local function disarm(member)
  if call('ZREM', P .. 'tm', member) == 1 then
    timers_changed = true
    return true
  end
  return false
end
