--[[ tick: fire what is due; made by the timer of a process that is not a worker, or by a backstop
  KEYS   1 shard prefix
  ARGV   1 wallMs or ''   2 ambiguousWaitMs   3 sendTimeoutMs
  RETURN {dueMs of the next timer or -1}
  FLAGS  allow-oom
  COST   O(16 timers) ]]
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
fire_timers(16, tonumber(ARGV[2]), tonumber(ARGV[3]))
serve_idle()
return { (finish(true)) }
