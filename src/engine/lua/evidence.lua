--[[ evidence: keep provider statuses until recorded, and settle the ambiguous attempts that they prove.
  A status may come before anybody knows that its attempt is ambiguous (its worker died a second ago, its answer was
  lost and the timeout runs): such a proof is kept beside the flight until the attempt ends.
  KEYS   1 shard prefix
  ARGV   1 wallMs or ''
         then per status: message id or '', status detail (JSON) or '' when another shard keeps it,
         text of the sent event ('id|JSON'), hand-over entry or ''
  RETURN {dueMs or -1, 1 when it settled an unknown message else 0, …}
  FLAGS  allow-oom
  COST   O(statuses) ]]
-- @include "base"
-- @include "state"
-- @include "pair"
-- @include "place"
-- @include "circuit"
-- @include "flight"
-- @include "dispatch"
-- @include "finish"
local function keep_proof(id, entry, text)
  local found = match(entry, '^%d+%-%d+$') and call('XRANGE', P .. 'out', entry, entry)
  if not found or not found[1] then
    return
  end
  local fields = found[1][2]
  for i = 2, #fields, 2 do
    local f = fields[i - 1] == 'l' and load_flight(fields[i])
    if f and f.id == id and f.entry == entry and f.state == 'G' then
      call('HSETNX', P .. 'pv', id, text)
      return
    end
  end
end

local results = {}
for i = 2, #ARGV, 4 do
  local id = ARGV[i]
  if ARGV[i + 1] ~= '' then
    event('T', id, ARGV[i + 1])
  end
  local lane = id ~= '' and call('HGET', P .. 'ui', id)
  results[#results + 1] = lane and prove_sent(id, lane, nil, ARGV[i + 2]) and 1 or 0
  if not lane and id ~= '' then
    keep_proof(id, ARGV[i + 3], ARGV[i + 2])
  end
end
serve_idle()
table.insert(results, 1, (finish(false)))
return results
