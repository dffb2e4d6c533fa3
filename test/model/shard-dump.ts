import type { RedisClient } from '../../src/engine/connection.ts';

/*
 * Everything a shard holds, read in one step and parsed: what the model's recount looks at. It knows the packed
 * records by their own words, not through the engine's code, so that a mistake there is not repeated here.
 */

export interface StoredMessage {
  readonly seq: number;
  readonly priority: number;
  readonly expiresAtMs: number | null;
  readonly id: string;
  readonly contact: string;
}
export interface StoredFlight {
  readonly entry: string;
  readonly id: string;
  readonly attempts: number;
  readonly counted: number;
  readonly deferrals: number;
  readonly ambiguous: number;
  readonly contact: string;
  readonly state: string;
}
export interface StoredTenant {
  readonly inFlight: number;
  readonly ring: number;
  readonly mask: number;
  readonly ready: number;
  readonly paused: boolean;
  readonly cap: number;
  readonly backlog: number;
  readonly parked: number;
}
export interface StoredLease {
  readonly state: string;
  readonly left: number;
  readonly worker: string;
}
export interface StoredPair {
  readonly isBusy: boolean;
  readonly hasWaiting: boolean;
  /** The key goes by itself. */
  readonly isEnding: boolean;
}
export interface ShardDump {
  readonly scalars: ReadonlyMap<string, string>;
  readonly counters: ReadonlyMap<string, string>;
  /** sender → its fields */
  readonly senders: ReadonlyMap<string, ReadonlyMap<string, string>>;
  /** `sender|tenant` → record */
  readonly tenants: ReadonlyMap<string, StoredTenant>;
  /** sender → tenants */
  readonly newRing: ReadonlyMap<string, readonly string[]>;
  readonly oldRing: ReadonlyMap<string, readonly string[]>;
  /** `sender|tenant|priority` → lanes */
  readonly ready: ReadonlyMap<string, readonly string[]>;
  readonly able: ReadonlyMap<string, number>;
  /** Without the messages that are marked dead. */
  readonly lanes: ReadonlyMap<string, readonly StoredMessage[]>;
  /** The first message of each lane, also when it is marked dead. */
  readonly heads: ReadonlyMap<string, StoredMessage>;
  readonly flights: ReadonlyMap<string, StoredFlight>;
  readonly leases: ReadonlyMap<string, StoredLease>;
  readonly unbegun: ReadonlyMap<string, number>;
  /** entry → lanes */
  readonly handOvers: ReadonlyMap<string, readonly string[]>;
  /** entry → number of the worker's call that took it */
  readonly takingCalls: ReadonlyMap<string, number>;
  /** entry → consumer */
  readonly pending: ReadonlyMap<string, string>;
  readonly pairs: ReadonlyMap<string, StoredPair>;
  readonly pairWaits: ReadonlyMap<string, readonly string[]>;
  /** `sender|template` → lanes that wait for the end of its hold */
  readonly templateWaits: ReadonlyMap<string, readonly string[]>;
  readonly timers: ReadonlyMap<string, number>;
  readonly wallTimers: ReadonlyMap<string, number>;
  /** id → kind letter and lane */
  readonly parked: ReadonlyMap<string, { readonly kind: string; readonly lane: string }>;
  readonly tombstones: ReadonlySet<string>;
  readonly unknown: ReadonlyMap<string, string>;
  /** sender → '<until>|<lane of the probe>' */
  readonly circuits: ReadonlyMap<string, string>;
  readonly idle: ReadonlyMap<string, number>;
  readonly slots: ReadonlyMap<string, string>;
  readonly beats: ReadonlyMap<string, string>;
}

const DUMP = `
local out = {}
for _, key in ipairs(redis.call('KEYS', KEYS[1] .. '*')) do
  local kind, name = redis.call('TYPE', key).ok, string.sub(key, #KEYS[1] + 1)
  local letter = string.match(name, '^(%l+)')
  if letter ~= 'i' and letter ~= 'u' and letter ~= 'ev' then
    local value
    if kind == 'hash' then value = redis.call('HGETALL', key)
    elseif kind == 'list' then value = redis.call('LRANGE', key, 0, -1)
    elseif kind == 'zset' then value = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
    elseif kind == 'stream' then value = redis.call('XRANGE', key, '-', '+')
    elseif letter == 'p' then value = { (struct.unpack('<Bdd', redis.call('GET', key))), redis.call('PTTL', key) }
    else value = redis.call('GET', key) end
    if letter == 'q' then
      for i = 2, #value, 2 do value[i] = table.concat({ struct.unpack('<i4BI2i4i4Bi4i4i4i4', value[i]) }, '|') end
    end
    out[#out + 1] = { name, value }
  end
end
local pending = redis.pcall('XPENDING', KEYS[1] .. 'out', 'wa_workers', '-', '+', 10000)
out[#out + 1] = { 'pending', pending.err and {} or pending }
return out`;

export async function dumpShard(client: RedisClient, prefix: string): Promise<ShardDump> {
  const raw = new Map((await client.call('EVAL', DUMP, '1', prefix)) as [string, unknown][]);
  const under = (letters: string): [string, unknown][] =>
    [...raw].flatMap(([name, value]) =>
      name.startsWith(`${letters}:`) ? [[name.slice(letters.length + 1), value]] : [],
    );
  const hash = (name: string): Map<string, string> => pairsOf(raw.get(name));
  const scores = (name: string): Map<string, number> =>
    new Map([...hash(name)].map(([member, score]) => [member, Number(score)]));
  const lists = (letters: string): Map<string, string[]> => new Map(under(letters) as [string, string[]][]);
  const tombstones = new Set(hash('x').keys());
  const entries = (raw.get('out') ?? []) as [string, string[]][];
  return {
    scalars: hash('g'),
    counters: hash('n'),
    senders: new Map(under('s').map(([name, value]) => [name, pairsOf(value)])),
    tenants: new Map(
      under('q').flatMap(([sender, value]) =>
        [...pairsOf(value)].map(([tenant, record]): [string, StoredTenant] => [
          `${sender}|${tenant}`,
          parseTenant(record),
        ]),
      ),
    ),
    newRing: lists('rn'),
    oldRing: lists('ro'),
    ready: lists('r'),
    able: scores('rs'),
    lanes: new Map(
      [...lists('c')].map(([lane, elements]) => [
        lane,
        elements.map(parseMessage).filter(({ id }) => !tombstones.has(id)),
      ]),
    ),
    heads: new Map([...lists('c')].map(([lane, [head = '']]) => [lane, parseMessage(head)])),
    flights: new Map([...hash('f')].map(([lane, record]) => [lane, parseFlight(record)])),
    leases: new Map([...hash('le')].map(([entry, record]) => [entry, parseLease(record)])),
    unbegun: scores('lz'),
    handOvers: new Map(entries.map(([entry, fields]) => [entry, valuesOf('l', fields)])),
    takingCalls: new Map(entries.flatMap(([entry, fields]) => valuesOf('call', fields).map((n) => [entry, Number(n)]))),
    pending: new Map((raw.get('pending') as [string, string][]).map(([entry, consumer]) => [entry, consumer])),
    pairs: new Map(
      (under('p') as [string, [number, number]][]).map(([name, [flags, ttlMs]]) => [
        name,
        { isBusy: flags % 2 === 1, hasWaiting: Math.floor(flags / 2) % 2 === 1, isEnding: ttlMs >= 0 },
      ]),
    ),
    pairWaits: lists('pw'),
    templateWaits: new Map(under('tw').map(([name, value]) => [name, [...pairsOf(value).keys()]])),
    timers: scores('tm'),
    wallTimers: scores('at'),
    parked: new Map([...hash('sch')].map(([id, record]) => [id, parseParked(record)])),
    tombstones,
    unknown: hash('ui'),
    circuits: hash('cb'),
    idle: scores('iw'),
    slots: hash('wf'),
    beats: hash('hb'),
  };
}

function pairsOf(value: unknown): Map<string, string> {
  const flat = (value ?? []) as string[];
  const pairs = new Map<string, string>();
  for (let i = 0; i + 1 < flat.length; i += 2) pairs.set(flat[i] ?? '', flat[i + 1] ?? '');
  return pairs;
}

function valuesOf(name: string, fields: readonly string[]): string[] {
  return fields.filter((_, i) => i % 2 === 1 && fields[i - 1] === name);
}

function parseTenant(record: string): StoredTenant {
  // Behind them is where the next byte would stand.
  const fields = record.split('|').map(Number).slice(0, -1);
  if (fields.length !== 10 || fields.some((field) => !Number.isInteger(field) || field < 0)) {
    throw new Error(`a tenant's record is not ten whole numbers: ${record}`);
  }
  const [inFlight = 0, ring = 0, mask = 0, ready = 0, , paused = 0, cap = 0, , backlog = 0, parked = 0] = fields;
  return { inFlight, ring, mask, ready, paused: paused === 1, cap, backlog, parked };
}

function parseMessage(element: string): StoredMessage {
  const match = /^(\d+)\|(\d+)\|(\d*)\|([^|]*)\|(?:\d+\.\d+\.\d+\.\d+)?\|([^|]*)\|/.exec(element);
  if (match === null) throw new Error(`a stored message has no readable header: ${element}`);
  const [, seq, priority, expires, id = '', contact = ''] = match;
  return {
    seq: Number(seq),
    priority: Number(priority),
    expiresAtMs: expires === '' ? null : Number(expires),
    id,
    contact,
  };
}

function parseFlight(record: string): StoredFlight {
  const [entry = '', id = '', attempts, counted, deferrals, ambiguous, contact = '', state = ''] = record.split('|');
  return {
    entry,
    id,
    attempts: Number(attempts),
    counted: Number(counted),
    deferrals: Number(deferrals),
    ambiguous: Number(ambiguous),
    contact,
    state,
  };
}

function parseLease(record: string): StoredLease {
  const [state = '', , left, worker = ''] = record.split('|');
  return { state, left: Number(left), worker };
}

function parseParked(record: string): { kind: string; lane: string } {
  const [kind = '', length = '0'] = record.split('|', 2);
  const from = kind.length + length.length + 2;
  return { kind, lane: record.slice(from, from + Number(length)) };
}
