--[[ regroup: destroy the hand-over stream with its group and build both again from the leases
  KEYS   1 shard prefix
  ARGV   1 wallMs or ''
  RETURN {dueMs or -1, messages given back unstarted, hand-overs kept, left-over entries removed}
  FLAGS  allow-oom
  COST   O(hand-overs in flight) ]]
-- @include "base"
-- @include "state"
-- @include "pair"
-- @include "place"
-- @include "circuit"
-- @include "flight"
-- @include "dispatch"
-- @include "finish"
local stream = P .. 'out'
local returned, kept = 0, {}
ensure_group()
local before = call('XLEN', stream)
local info = call('XINFO', 'STREAM', stream)
local last = '0-0'
for i = 1, #info, 2 do
  if info[i] == 'last-generated-id' then
    last = info[i + 1]
  end
end

-- What nobody has begun goes back to its conversation: handed over anew, it is sent all the same.
local all = call('HGETALL', P .. 'le')
for i = 1, #all, 2 do
  local l = load_lease(all[i])
  if l.state == 'L' then
    local left = l.left
    each_in_flight(l.entry, give_back)
    returned = returned + left - l.left
  end
  if l.left > 0 then
    local found = call('XRANGE', stream, l.entry, l.entry)
    if found[1] then
      kept[#kept + 1] = { entry = l.entry, worker = l.worker, fields = found[1][2] }
    end
  end
end
table.sort(kept, function(a, b)
  local a_ms, a_n = match(a.entry, '^(%d+)-(%d+)$')
  local b_ms, b_n = match(b.entry, '^(%d+)-(%d+)$')
  if tonumber(a_ms) ~= tonumber(b_ms) then
    return tonumber(a_ms) < tonumber(b_ms)
  end
  return tonumber(a_n) < tonumber(b_n)
end)

call('DEL', stream)
call('XGROUP', 'CREATE', stream, 'wa_workers', '0', 'MKSTREAM')
for _, one in ipairs(kept) do
  call('XADD', stream, one.entry, unpack(one.fields))
end
-- An entry's id is the fence of its hand-over: none may come twice.
if last ~= '0-0' then
  call('XSETID', stream, last)
end
call('XGROUP', 'SETID', stream, 'wa_workers', '$')
for _, worker in ipairs(call('HKEYS', P .. 'hb')) do
  call('XGROUP', 'CREATECONSUMER', stream, 'wa_workers', worker)
end
for _, one in ipairs(kept) do
  call('XCLAIM', stream, 'wa_workers', one.worker, 0, one.entry, 'FORCE', 'JUSTID')
end
serve_idle()
return { (finish(false)), returned, #kept, max(0, before - #all / 2) }
