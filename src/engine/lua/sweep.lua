--[[ sweep: put right what XAUTOCLAIM brought: entries that nobody renewed for long
  KEYS   1 shard prefix
  ARGV   1 wallMs or ''   2 the worker that claimed   3… entries
  RETURN {-1, left-over entries removed, entries returned to their holder}
  FLAGS  allow-oom
  COST   O(entries) ]]
-- @include "base"
local worker = ARGV[2]
local removed, returned = 0, 0
for i = 3, #ARGV do
  local entry = ARGV[i]
  local lease = call('HGET', P .. 'le', entry)
  local holder = lease and match(lease, '^%u|%d+|%d+|(.*)$')
  if not holder then
    call('XACK', P .. 'out', 'wa_workers', entry)
    call('XDEL', P .. 'out', entry)
    removed = removed + 1
  elseif holder ~= worker then
    -- Whether the holder is dead is judged by its heartbeat, not by a time that a clock step can fake.
    call('XCLAIM', P .. 'out', 'wa_workers', holder, 0, entry, 'FORCE', 'JUSTID')
    returned = returned + 1
  end
end
return { -1, removed, returned }
