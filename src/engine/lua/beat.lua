--[[ beat: a worker shows that it lives, renews its leases, and gives back leases that nobody began in time
  KEYS   1 shard prefix
  ARGV   1 wallMs or ''   2 worker   3 startByMs   4 slots in all, 0 = takes no more   5… entries it still works on
  RETURN {dueMs or -1 (0 also when a timer is more than 50 ms overdue: its owner died; or when leases came back), {worker, beat, …},
         {consumers with pending entries …}}
  FLAGS  allow-oom
  COST   O(workers + entries + 100 conversations given back) ]]
-- @include "base"
-- @include "state"
-- @include "pair"
-- @include "place"
-- @include "circuit"
-- @include "flight"
-- @include "dispatch"
-- @include "finish"
local worker, start_by_ms = ARGV[2], tonumber(ARGV[3])
local pending = redis.pcall('XPENDING', P .. 'out', 'wa_workers')
if pending.err then
  ensure_group()
  pending = call('XPENDING', P .. 'out', 'wa_workers')
end
if call('HINCRBY', P .. 'hb', worker, 1) == 1 then
  redis.pcall('XGROUP', 'CREATECONSUMER', P .. 'out', 'wa_workers', worker)
end
-- Only what people are told goes by this time; whether a worker is dead is judged by beats that stand still.
call('HSET', P .. 'bt', worker, format('%d', now))
for i = 5, #ARGV do
  -- Only what is still ours: an entry that somebody took over must not come back.
  local l = load_lease(ARGV[i])
  if l and l.worker == worker then
    call('XCLAIM', P .. 'out', 'wa_workers', worker, 0, ARGV[i], 'JUSTID')
  end
end
-- A lease that was not begun within its time can never be begun: begin refuses it. So it goes back, whoever holds it.
-- What a killed worker has in its mailbox came together or one by one: conversations are counted, not entries.
local GIVE_BACK_MAX = 100
local stale = call('ZRANGEBYSCORE', P .. 'lz', '-inf', now - 2 * start_by_ms - 1, 'LIMIT', 0, GIVE_BACK_MAX)
local given_back = 0
local function give_back_counted(...)
  given_back = given_back + 1
  give_back(...)
end
for _, entry in ipairs(stale) do
  if given_back >= GIVE_BACK_MAX then
    break -- the next beat goes on
  end
  local l = load_lease(entry)
  call('ZREM', P .. 'lz', entry)
  if l then
    -- Who did not begin in time is not offered more until its own next call.
    call('ZREM', P .. 'iw', l.worker)
  end
  each_in_flight(entry, give_back_counted)
end
local free = tonumber(ARGV[4]) - slots_used(worker)
-- Where a mailbox lay unread, the next one may too, our own not least: the caller takes by a call of its own, which the
-- reply asks for.
local must_ask = free > 0 and #stale > 0
if free > 0 and not must_ask then
  call('ZADD', P .. 'iw', free, worker)
else
  call('ZREM', P .. 'iw', worker)
end
-- Unlinked, the idempotency keys of a day are freed beside the main thread. At the end of their lifetime, which comes
-- later, they would be in it (decision 42).
call('UNLINK', P .. 'i:' .. format('%d', today - 2))
serve_idle()
local due = finish(false)
local head = call('ZRANGE', P .. 'tm', 0, 0, 'WITHSCORES')
local wall_head = call('ZRANGE', P .. 'at', 0, 0, 'WITHSCORES')
local overdue = work_left or (head[2] and tonumber(head[2]) < now - 50) or
  (wall_head[2] and tonumber(wall_head[2]) < wall - 50)
local holders = {}
for _, one in ipairs(pending[4] or {}) do
  holders[#holders + 1] = one[1]
end
return { (overdue or must_ask) and 0 or due, call('HGETALL', P .. 'hb'), holders }
