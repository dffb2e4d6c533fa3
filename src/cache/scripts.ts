import { DUE, HOUSE, INDEX, SIZES, STATE } from './keys.ts';

/*
 * The scripts of the cache's Redis. Each is one atomic step and bounded. They name keys that are not declared, so a
 * Redis Cluster does not serve as a cache. Deletes come first in each: a server that is full refuses a script's first
 * growing command, and an eviction must go through then too.
 */

/** What an entry costs beside its key and value: its place in index, sizes and Redis' own tables. */
const OVERHEAD_BYTES = 250;
/** Our own keys outlive every entry; each write renews them. */
const HOUSE_TTL_MS = 35 * 86_400_000;
/** Longer than any computation whose result an eviction of its tag must refuse. */
const TAG_GEN_TTL_MS = 3_600_000;

/** Due tags that one script evicts. */
const DUE_MAX = 100;

const BASE = `
local STATE, INDEX, SIZES, HOUSE = '${STATE}', '${INDEX}', '${SIZES}', '${HOUSE}'
local function now_ms()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end
local function forget(key)
  local size = redis.call('HGET', SIZES, key)
  if not size then return end
  redis.call('HDEL', SIZES, key)
  redis.call('ZREM', INDEX, key)
  redis.call('HINCRBY', STATE, 'bytes', -tonumber(size))
end
local function remove(key)
  redis.call('DEL', key)
  forget(key)
end
-- A counter that was lost goes on above every number it ever had: the clock gives its beginning.
local function next_seq(step)
  redis.call('HSETNX', STATE, 'seq', string.format('%.0f', now_ms() * 1000))
  local seq = redis.call('HINCRBY', STATE, 'seq', step)
  redis.call('PEXPIRE', STATE, ${HOUSE_TTL_MS})
  return string.format('%.0f', seq)
end
local function generations(tags)
  local text = redis.call('HGET', STATE, 'gen') or '0'
  for i = 1, #tags do text = text .. ',' .. (redis.call('GET', HOUSE .. 'taggen:' .. tags[i]) or '0') end
  return text
end
local function tell(what)
  local seq = next_seq(1)
  redis.call('PUBLISH', what[1], seq .. '|' .. cjson.encode(what[2]))
  return seq
end
`;

/**
 * A fresh value, or the right to compute it.
 * ARGV key, token, lock ms, header, tags… → {value or '', 'fresh' | 'lease' | 'wait', generations}
 */
const LEASE = `${BASE}
local key, token, lock_ms, header = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local tags = {}
for i = 5, #ARGV do tags[#tags + 1] = ARGV[i] end
local value = redis.call('GET', key)
if value then
  if string.sub(value, 1, #header) == header then
    local till = tonumber(string.match(value, '^(%d+)|', #header + 1) or '')
    if till and till > now_ms() then return {value, 'fresh', ''} end
  else
    remove(key)
    value = false
  end
end
if redis.call('SET', HOUSE .. 'lock:' .. key, token, 'NX', 'PX', lock_ms) then
  return {value or '', 'lease', generations(tags)}
end
return {value or '', 'wait', ''}`;

/**
 * Stores a value. With a token: only when its lease still holds and nothing was evicted since.
 * ARGV key, token or '', generations, header, JSON, ttl ms, stale ms, budget bytes, channel or '', origin, tags…
 * → 1 stored, 0 refused
 */
const FILL = `${BASE}
local key, token, gens, header, json = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local ttl, stale, budget, channel, origin = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8]), ARGV[9], ARGV[10]
local tags = {}
for i = 11, #ARGV do tags[#tags + 1] = ARGV[i] end
local lock = HOUSE .. 'lock:' .. key
if token ~= '' then
  if redis.call('GET', lock) ~= token then return 0 end
  redis.call('DEL', lock)
  if generations(tags) ~= gens then return 0 end
else
  redis.call('DEL', lock)
end
remove(key)
if channel ~= '' then tell({channel, {origin, 'k', key}}) end
local now = now_ms()
local body = header .. string.format('%.0f', now + ttl) .. '|' .. json
local size = #body + 3 * #key + ${OVERHEAD_BYTES}
local bytes = tonumber(redis.call('HGET', STATE, 'bytes') or '0')
local steps = 0
while bytes + size > budget and steps < 1000 do
  local first = redis.call('ZRANGE', INDEX, 0, 0)[1]
  if not first then break end
  remove(first)
  bytes = tonumber(redis.call('HGET', STATE, 'bytes') or '0')
  steps = steps + 1
end
if bytes + size > budget then return 0 end
redis.call('SET', key, body, 'PX', ttl + stale)
redis.call('ZADD', INDEX, now + ttl + stale, key)
redis.call('HSET', SIZES, key, size)
redis.call('HINCRBY', STATE, 'bytes', size)
for i = 1, #tags do
  local set = HOUSE .. 'tag:' .. tags[i]
  redis.call('SADD', set, key)
  if redis.call('PTTL', set) < ttl + stale then redis.call('PEXPIRE', set, ttl + stale) end
end
for _, house in ipairs({STATE, INDEX, SIZES}) do redis.call('PEXPIRE', house, ${HOUSE_TTL_MS}) end
return 1`;

/** Gives a lease back, or takes an entry away that cannot be read. ARGV 'lock' | 'entry', key, token or value */
const DROP = `${BASE}
local name = ARGV[1] == 'lock' and HOUSE .. 'lock:' .. ARGV[2] or ARGV[2]
if redis.call('GET', name) ~= ARGV[3] then return 0 end
if ARGV[1] == 'lock' then redis.call('DEL', name) else remove(name) end
return 1`;

/** Keeps a lease for a computation that takes long. ARGV key, token, lock ms */
const RENEW = `
local lock = '${HOUSE}lock:' .. ARGV[1]
if redis.call('GET', lock) ~= ARGV[2] then return 0 end
return redis.call('PEXPIRE', lock, ARGV[3])`;

/** ARGV channel, origin, keys… → seq */
const EVICT = `${BASE}
local said, keys, gone = {ARGV[2], 'k'}, {}, {}
for i = 3, #ARGV do
  said[#said + 1] = ARGV[i]
  keys[#keys + 1] = ARGV[i]
  gone[#gone + 1] = ARGV[i]
  gone[#gone + 1] = HOUSE .. 'lock:' .. ARGV[i]
end
redis.call('DEL', unpack(gone))
-- Most of what is evicted was in no cache: one call finds out for all.
local sizes = redis.call('HMGET', SIZES, unpack(keys))
for i = 1, #keys do
  if sizes[i] then forget(keys[i]) end
end
return tell({ARGV[1], said})`;

/** Evicts tags that change often and keeps them for a pause; of one with very many keys the rest is due at once. */
const PACED = `${BASE}
local DUE = '${DUE}'
local function next_due(now)
  local first = redis.call('ZRANGE', DUE, 0, 0, 'WITHSCORES')
  return first[2] and math.max(0, tonumber(first[2]) - now) or -1
end
local function evict_paced(channel, origin, tags, pause, now)
  if #tags == 0 then return end
  local said, rest = {origin, 't'}, {}
  for i = 1, #tags do
    local set = HOUSE .. 'tag:' .. tags[i]
    local keys = redis.call('SPOP', set, 1000)
    for j = 1, #keys do remove(keys[j]) end
    if redis.call('EXISTS', set) == 1 then rest[#rest + 1] = tags[i] end
    said[#said + 1] = tags[i]
  end
  local seq = tell({channel, said})
  for i = 1, #tags do
    redis.call('SET', HOUSE .. 'taggen:' .. tags[i], seq, 'PX', ${TAG_GEN_TTL_MS})
    redis.call('SET', HOUSE .. 'paced:' .. tags[i], 1, 'PX', pause)
  end
  for i = 1, #rest do redis.call('ZADD', DUE, now, rest[i]) end
end
`;

/** ARGV channel, origin, pause ms, tags… → {ms until the next is due or -1, tags that were evicted now…} */
const CHANGED = `${PACED}
local pause, now, gone = tonumber(ARGV[3]), now_ms(), {}
redis.call('ZREM', DUE, '') -- A delete first: see above.
for i = 4, #ARGV do
  local left = redis.call('PTTL', HOUSE .. 'paced:' .. ARGV[i])
  if left > 0 then redis.call('ZADD', DUE, 'NX', now + left, ARGV[i]) else gone[#gone + 1] = ARGV[i] end
end
redis.call('PEXPIRE', DUE, ${HOUSE_TTL_MS})
evict_paced(ARGV[1], ARGV[2], gone, pause, now)
return {next_due(now), unpack(gone)}`;

/** ARGV channel, origin, pause ms → as CHANGED */
const EVICT_DUE = `${PACED}
local now = now_ms()
local tags = redis.call('ZRANGEBYSCORE', DUE, '-inf', now, 'LIMIT', 0, ${DUE_MAX})
if #tags > 0 then redis.call('ZREM', DUE, unpack(tags)) end
evict_paced(ARGV[1], ARGV[2], tags, tonumber(ARGV[3]), now)
return {next_due(now), unpack(tags)}`;

/** ARGV channel, origin, tags… → how many keys are still to go: call again until 0 */
const EVICT_TAGS = `${BASE}
local said, left = {ARGV[2], 't'}, 0
for i = 3, #ARGV do
  local set = HOUSE .. 'tag:' .. ARGV[i]
  local keys = redis.call('SPOP', set, 1000)
  for j = 1, #keys do remove(keys[j]) end
  left = left + redis.call('SCARD', set)
  said[#said + 1] = ARGV[i]
end
local seq = tell({ARGV[1], said})
for i = 3, #ARGV do redis.call('SET', HOUSE .. 'taggen:' .. ARGV[i], seq, 'PX', ${TAG_GEN_TTL_MS}) end
return left`;

/** ARGV channel, origin → how many entries are still to go: call again until 0 */
const RESET = `${BASE}
local keys = redis.call('ZRANGE', INDEX, 0, 499)
for i = 1, #keys do remove(keys[i]) end
redis.call('HINCRBY', STATE, 'gen', 1)
tell({ARGV[1], {ARGV[2], 'a'}})
return redis.call('ZCARD', INDEX)`;

/** Counts off what has expired. → {seq, now ms, bytes, entries, ms until the next tag is due or -1} */
const SYNC = `${PACED}
local now = now_ms()
local gone = redis.call('ZRANGEBYSCORE', INDEX, '-inf', now - 1, 'LIMIT', 0, 500)
for i = 1, #gone do forget(gone[i]) end
return {next_seq(0), string.format('%.0f', now), redis.call('HGET', STATE, 'bytes') or '0', redis.call('ZCARD', INDEX),
  next_due(now)}`;

export const CACHE_SCRIPTS = {
  lease: LEASE,
  fill: FILL,
  drop: DROP,
  renew: RENEW,
  evict: EVICT,
  evictTags: EVICT_TAGS,
  changed: CHANGED,
  evictDue: EVICT_DUE,
  reset: RESET,
  sync: SYNC,
} as const;
export type CacheScript = keyof typeof CACHE_SCRIPTS;
