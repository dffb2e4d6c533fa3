--[[ evidence: keep provider statuses until recorded, and settle the ambiguous attempts that they prove
  KEYS   1 shard prefix
  ARGV   1 wallMs or ''
         then per status: message id or '', status detail (JSON) or '' when another shard keeps it,
         detail of the sent event (JSON)
  RETURN {dueMs or -1, 1 when it settled an unknown message else 0, …}
  FLAGS  allow-oom
  COST   O(statuses) ]]
-- @include "base"
-- @include "state"
-- @include "pair"
-- @include "place"
-- @include "flight"
-- @include "dispatch"
-- @include "finish"
local results = {}
for i = 2, #ARGV, 3 do
  local id = ARGV[i]
  if ARGV[i + 1] ~= '' then
    event('T', id, ARGV[i + 1])
  end
  local lane = id ~= '' and call('HGET', P .. 'ui', id)
  results[#results + 1] = lane and prove_sent(id, lane, nil, ARGV[i + 2]) and 1 or 0
end
serve_idle()
table.insert(results, 1, (finish(false)))
return results
