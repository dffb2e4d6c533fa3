--[[ look: what shapes the pace of a sender, for a forecast
  KEYS   1 shard prefix
  ARGV   1 wallMs or ''   2 sender   3 tenant   4 ms without a beat after which a worker is not counted
  RETURN {} unknown sender | {rate now, rate, burst, places, places used, pair gap ms, pair bucket, pair bucket's ms per
         token, reason of its pause or '', 1 when the shard is paused, ms until its circuit lets a probe through or -1,
         ms until its rate lets the next one go, ms that its token bucket runs ahead, workers, their slots,
         record of the tenant or '', tenants in all, {tenant, record …} of 256 at most, chosen by chance}
         record: places used|ready lanes|1 when paused|cap|weight|messages in lanes|messages outside them
  FLAGS  no-writes
  COST   O(workers + 256 tenants) ]]
-- @include "base"
-- @include "state"
local TENANTS_MAX = 256
local s = load_sender(ARGV[2])
if not s then
  return {}
end
local capacity = 0
local idle = call('ZRANGE', P .. 'iw', 0, -1, 'WITHSCORES')
for i = 2, #idle, 2 do
  capacity = capacity + tonumber(idle[i])
end
for _, used in ipairs(call('HVALS', P .. 'wf')) do
  capacity = capacity + tonumber(used)
end
local workers = call('HLEN', P .. 'hb')
for _, beat_ms in ipairs(call('HVALS', P .. 'bt')) do
  if tonumber(beat_ms) < now - tonumber(ARGV[4]) then
    workers = workers - 1
  end
end
local key = P .. 'q:' .. s.id
local total = call('HLEN', key)
local tenants = total <= TENANTS_MAX and call('HGETALL', key) or call('HRANDFIELD', key, TENANTS_MAX, 'WITHVALUES')
local function as_text(raw)
  local inf, _, _, ready, _, paused, cap, weight, backlog, parked = struct.unpack(TENANT_RECORD, raw)
  return format('%d|%d|%d|%d|%d|%d|%d', inf, ready, paused, cap, weight, backlog, parked)
end
for i = 2, #tenants, 2 do
  tenants[i] = as_text(tenants[i])
end
local own = call('HGET', key, ARGV[3])
return {
  format('%.6f', current_rate(s)), format('%.6f', s.rate), s.burst, s.cap, s.inf, s.gap, s.pair_cap,
  format('%.3f', s.pair_ms), s.paused or '', shard_paused and 1 or 0, s.circuit and max(0, s.circuit - now) or -1,
  max(0, s.wait_until - now), max(0, ceil(s.tat - now)), workers, capacity,
  own and as_text(own) or '', total, tenants,
}
