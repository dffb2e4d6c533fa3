--[[ control: limits, pause and resume
  KEYS   1 shard prefix
  ARGV   1 wallMs or ''   2 verb   3 sender ('' for the shard)   4… values
         configure-sender: rate, burst, concurrency, gapMs, pairCapacity, pairMsPerToken
         configure-tenant: tenant, concurrency, weight
         pause-sender: reason, and only if held for ('' = not held)   resume-sender: only if held for
         hold-template: template   release-template: template
         open-circuit: ms   pause-tenant: tenant   resume-tenant: tenant   clear-pair: contact   pause-shard
         resume-shard
  RETURN {dueMs or -1, 1 | 0 unknown sender}
  FLAGS  allow-oom
  COST   O(1) ]]
-- @include "base"
-- @include "state"
-- @include "pair"
-- @include "place"
-- @include "circuit"
-- @include "flight"
-- @include "dispatch"
-- @include "finish"
local verb, sender_id = ARGV[2], ARGV[3]
local key = P .. 's:' .. sender_id

local function wake_sender(s)
  -- Also what a number limit asked for: somebody decided that it may go on. An open circuit still has its end, and its
  -- timer must not be moved before it.
  s.wait_until = s.circuit or 0
  s.dirty = true
  if call('EXISTS', P .. 'rn:' .. s.id, P .. 'ro:' .. s.id) > 0 then
    able(s)
  end
end

-- What a sender took in advance is so many tokens, not so much time: at another rate they take another time.
local function change_rate(s, before)
  if s.tat > now then
    s.tat = s.rate > 0 and now + (s.tat - now) * before / s.rate or now
  end
end

local function control()
  if verb == 'pause-shard' or verb == 'resume-shard' then
    shard_paused = verb == 'pause-shard'
    scalars.paused = shard_paused and '1' or '0'
    return 1
  end
  local rate_before
  if verb == 'configure-sender' then
    local had = call('HMGET', key, 'rate', 'burst', 'cap', 'gap', 'pairCap', 'pairMs')
    if table.concat(had, '|', 1, had[1] and 6 or 0) == table.concat(ARGV, '|', 4, 9) then
      return 1 -- every start of a process says it again: a sender that a number limit holds back stays held back
    end
    rate_before = tonumber(had[1]) or 0
    if tonumber(ARGV[7]) > 0 or tonumber(ARGV[8]) > 0 then
      call('HSET', key, 'pairs', 1)
    end
    call('HSET', key, 'rate', ARGV[4], 'burst', ARGV[5], 'cap', ARGV[6], 'gap', ARGV[7], 'pairCap', ARGV[8],
      'pairMs', ARGV[9])
  end
  local s = load_sender(sender_id)
  if not s then
    return 0
  end
  local expected = verb == 'pause-sender' and ARGV[5] or verb == 'resume-sender' and ARGV[4]
  if expected and (s.paused or '') ~= expected then
    return 1 -- another hold came in between: what was decided about the old one does not concern it
  end
  if verb == 'configure-sender' then
    change_rate(s, rate_before)
    wake_sender(s)
  elseif verb == 'pause-sender' then
    s.paused = ARGV[4]
    call('HSET', key, 'paused', ARGV[4])
    call('ZREM', P .. 'rs', s.id)
  elseif verb == 'clear-pair' then
    -- A limit that somebody knows to be over. An attempt under way keeps the pair until it ends.
    local p = pair_load(s, ARGV[4])
    p.next, p.tat, p.limits = 0, 0, 0
    pair_store(p)
    if p.waiting and not p.busy then
      arm('p:' .. pair_name(p), now)
    end
  elseif verb == 'hold-template' then
    template_hold(s, ARGV[4])
  elseif verb == 'release-template' then
    if call('HGET', P .. 'th:' .. s.id, ARGV[4]) == 'H' then
      template_store(s, ARGV[4], 'R')
      arm('t:' .. s.id .. '|' .. ARGV[4], now)
    end
  elseif verb == 'resume-sender' then
    s.paused = false
    call('HDEL', key, 'paused')
    if s.circuit and s.circuit > now then
      -- A person says that it may go on: the probe goes now.
      s.circuit = now
      circuit_store(s)
    end
    wake_sender(s)
  elseif verb == 'open-circuit' then
    if not s.circuit then
      circuit_open(s, tonumber(ARGV[4]), 'credential')
    end
  else
    local t = load_tenant(s, ARGV[4])
    if verb == 'configure-tenant' then
      t.cap, t.weight = tonumber(ARGV[5]), tonumber(ARGV[6])
    else
      t.paused = verb == 'pause-tenant'
    end
    join_ring(s, t)
  end
  return 1
end

local result = control()
serve_idle()
return { (finish(false)), result }
