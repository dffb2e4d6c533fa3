--[[ reclaim: take over what a dead worker left, or what a living one gives up
  KEYS   1 shard prefix
  ARGV   1 wallMs or ''   2 dead worker   3 its beat as last seen, '' when it has none   4 ambiguousWaitMs
         5 'resend' or 'hold'   6 sendTimeoutMs
         7 where the worker lives and gives up entries of its own: 'unheard', no reply with them reached it, or
         'disowned', it knows nothing of them any more   8… these entries
  RETURN {dueMs or -1, entries taken over, 1 when nothing is left of the worker}; {-1, -1, 0} when it is alive after all
  FLAGS  allow-oom
  COST   O(32 entries) ]]
-- @include "base"
-- @include "state"
-- @include "pair"
-- @include "place"
-- @include "circuit"
-- @include "flight"
-- @include "dispatch"
-- @include "finish"
local dead, seen = ARGV[2], ARGV[3]
local ambiguous_ms, after_wait, send_timeout_ms = tonumber(ARGV[4]), ARGV[5], tonumber(ARGV[6])
local own_words = ARGV[7]
local is_alive = own_words ~= nil
if not is_alive then
  if (call('HGET', P .. 'hb', dead) or '') ~= seen then
    return { -1, -1, 0 }
  end
  call('ZREM', P .. 'iw', dead)
end

-- The attempt had begun: nobody knows whether it was taken. Its caps and its pair stay closed for as long as the
-- dead worker could still be sending.
local function lose(s, _, lane, f)
  free_lease(f.entry)
  circuit_unprobe(s, lane)
  f.ambiguous = f.ambiguous + 1
  f.state = (f.ambiguous >= 2 or after_wait == 'hold') and 'J' or 'K'
  store_flight(lane, f)
  call('HSET', P .. 'ui', f.id, lane)
  move('inFlight', 'unknown')
  event('U', f.id, '{"waitMs":' .. ambiguous_ms .. ',"report":null}')
  arm('l:' .. lane, now + send_timeout_ms)
  local proof = take_proof(f.id)
  if proof then
    prove_sent(f.id, lane, nil, proof)
  end
end

local BATCH = 32
local pending = {}
if is_alive then
  for i = 8, #ARGV do
    pending[#pending + 1] = { ARGV[i] }
  end
else
  pending = redis.pcall('XPENDING', P .. 'out', 'wa_workers', '-', '+', BATCH, dead)
  if pending.err then
    ensure_group()
    pending = call('XPENDING', P .. 'out', 'wa_workers', '-', '+', BATCH, dead)
  end
end
for _, one in ipairs(pending) do
  local entry = one[1]
  local l = load_lease(entry)
  if not l then
    -- Nothing of it is in flight any more: only the entry was left over.
    call('XACK', P .. 'out', 'wa_workers', entry)
    call('XDEL', P .. 'out', entry)
  elseif l.worker ~= dead then
    -- Pending here, leased to another (the group was set back): it goes to its owner, who may be sending.
    call('XCLAIM', P .. 'out', 'wa_workers', l.worker, 0, entry, 'FORCE', 'JUSTID')
  else
    each_in_flight(entry, (l.state == 'L' or own_words == 'unheard') and give_back or lose)
    slots[dead] = slots_used(dead) - l.left
    l.left = 0
  end
end
local gone = (not is_alive and #pending < BATCH) and 1 or 0
if gone == 1 and slots_used(dead) > 0 and mirror_leases(dead) > 0 then
  gone = 0 -- some stood under another's name (claimed by hand): the next call takes them over
end
serve_idle()
local due = finish(false)
if gone == 1 then
  redis.pcall('XGROUP', 'DELCONSUMER', P .. 'out', 'wa_workers', dead)
  call('HDEL', P .. 'hb', dead)
  call('HDEL', P .. 'bt', dead)
  call('HDEL', P .. 'wf', dead)
  call('ZREM', P .. 'iw', dead)
  call('DEL', P .. 'm:' .. dead)
end
return { due, #pending, gone }
