--[[ exchange: a worker settles what is done, begins what its mailbox brought, and takes as much as it has room for;
  what it takes is marked as sending with that
  KEYS   1 shard prefix
  ARGV   1 wallMs or ''   2 worker   3 slots in all   4 most lanes to take 0..25   5 '1' when a timer made this call
         6 startByMs   7 ambiguousWaitMs   8 'resend' or 'hold' after the wait   9 sendTimeoutMs
         10 number of this call, kept with what it takes   11 number of begins, then entry ids
         then number of settlements, then per settlement: lane, id, entry, outcome, text of its event ('id|JSON')
         outcome: kind alone, or '<kind><health>|<number>|<flag>|<brake><its value>'
         kind: S sent · F failed · R retry (number = delayMs, flag = counted) · D deferred (delayMs, flag = in place)
         · U unknown · B unstarted; health, what it says of the sender's: '' nothing bad, '-<ms>' bad (a probe opens the
         circuit again for ms), '!<ms>' the worker counted enough: open the circuit
         brake: '' · P pair · N sender's rate · S sender · T template (value = ms for each limit in a row, '4000,16000';
         ms; the reason; the template)
  RETURN {dueMs or -1, {begun 1|0 …}, {settled 1, by evidence 2, stale 0 …}, entry or '', {lane, numbers, element …},
         wall clock, epoch ms}
  FLAGS  allow-oom
  COST   O(begins + settlements + taken) ]]
-- @include "base"
-- @include "state"
-- @include "pair"
-- @include "place"
-- @include "circuit"
-- @include "flight"
-- @include "dispatch"
-- @include "find"
-- @include "timers"
-- @include "finish"
-- @include "settle"
local worker, capacity, take_max = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local by_timer = ARGV[5] == '1'
local start_by_ms, ambiguous_ms, after_wait = tonumber(ARGV[6]), tonumber(ARGV[7]), ARGV[8]
local send_timeout_ms, this_call = tonumber(ARGV[9]), ARGV[10]

if by_timer then
  fire_timers(16, ambiguous_ms, send_timeout_ms)
end

local at = 11
local begun = {}
local begins = tonumber(ARGV[at])
local settle_at = at + begins + 1
local settled = {}
local settles = tonumber(ARGV[settle_at])
if settles > 0 then
  local lanes = {}
  for n = 1, settles do
    lanes[n] = ARGV[settle_at + 1 + (n - 1) * 5]
  end
  load_lanes(lanes)
  load_flights(lanes)
  load_pairs(lanes)
end
for n = 1, settles do
  local i = settle_at + 1 + (n - 1) * 5
  settled[n] = settle(ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4], ambiguous_ms, after_wait)
end

for n = 1, begins do
  local l = load_lease(ARGV[at + n])
  begun[n] = 0
  if l and l.worker == worker then
    if l.state == 'S' then
      begun[n] = 1
    elseif now - l.at <= start_by_ms then
      l.state = 'S'
      l.dirty = true
      call('ZREM', P .. 'lz', l.entry)
      begun[n] = 1
    else
      -- Its rate tokens are too old to be spent: nothing of it may be sent any more.
      each_in_flight(l.entry, give_back)
    end
  end
end

-- The caller takes in its reply: while the script hands out, it stands aside from those who are served by mailbox.
call('ZREM', P .. 'iw', worker)
local entry, out = dispatch(worker, min(capacity - slots_used(worker), take_max), this_call)
serve_idle()
local free = capacity - slots_used(worker)
if free > 0 then
  call('ZADD', P .. 'iw', free, worker)
  -- It took as much as one call may, and more can go: it comes again at once.
  if not shard_paused and call('EXISTS', P .. 'rs') == 1 then
    work_left = true
  end
end
local due = finish(by_timer)
return { due, begun, settled, entry or '', out or {}, wall }
