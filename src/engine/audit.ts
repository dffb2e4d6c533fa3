import { mastersOf, type RedisClient } from './connection.ts';
import { WORKER_GROUP, shardPrefix } from './keys.ts';
import { decodeTenant } from './tenant-record.ts';

/** One thing that is not as the promises say, in a sentence. */
export interface AuditFinding {
  readonly promise: 'accepted-is-kept' | 'order' | 'limits' | 'no-waste';
  readonly detail: string;
}

/*
 * Recounts a shard against its own counters. The small hashes are read in one transaction, so that they belong
 * together on a live system too; lanes are then walked, and one that seems to stand nowhere is looked at again,
 * because it may have moved meanwhile.
 */

type Table = Readonly<Record<string, string>>;

interface Snapshot {
  readonly counters: Table;
  readonly flights: Table;
  readonly leases: Table;
  readonly slots: Table;
  readonly parked: Table;
  readonly pendingEntries: number;
}

export async function auditShard(client: RedisClient, shard: number): Promise<AuditFinding[]> {
  const prefix = shardPrefix(shard);
  const senders = await keysOf(client, `${prefix}s:*`);
  const { snapshot, states, tenants } = await takeSnapshot(client, prefix, senders);
  return [...auditCounters(snapshot), ...auditPlaces(snapshot, states, tenants), ...(await auditLanes(client, prefix))];
}

async function takeSnapshot(client: RedisClient, prefix: string, senderKeys: readonly string[]) {
  const names = senderKeys.map((key) => key.slice(prefix.length + 2));
  const transaction = client.multi();
  for (const letter of ['n', 'f', 'le', 'wf', 'sch']) transaction.hgetall(`${prefix}${letter}`);
  transaction.call('XPENDING', `${prefix}out`, WORKER_GROUP);
  for (const name of names) {
    transaction.hgetall(`${prefix}s:${name}`);
    transaction.hgetallBuffer(`${prefix}q:${name}`);
  }
  const replies = (await transaction.exec()) ?? [];
  const at = (index: number) => (replies[index]?.[1] ?? {}) as Table;
  const pending = replies[5]?.[1];
  const snapshot: Snapshot = {
    counters: at(0),
    flights: at(1),
    leases: at(2),
    slots: at(3),
    parked: at(4),
    pendingEntries: Array.isArray(pending) ? Number(pending[0]) : 0,
  };
  const states = new Map(names.map((name, index) => [name, at(6 + 2 * index)]));
  const tenants = new Map(
    names.map((name, index) => [name, (replies[7 + 2 * index]?.[1] ?? {}) as Record<string, Buffer>]),
  );
  return { snapshot, states, tenants };
}

const ENDS = ['sent', 'failed', 'cancelled', 'expired'] as const;
const PLACES = ['queued', 'scheduled', 'deferred', 'inFlight', 'unknown', 'held'] as const;

function auditCounters({ counters, flights, parked }: Snapshot): AuditFinding[] {
  const findings: AuditFinding[] = [];
  const report = (detail: string) => findings.push({ promise: 'accepted-is-kept', detail });
  const of = (name: string) => Number(counters[name] ?? 0);
  const sum = [...ENDS, ...PLACES].reduce((total, name) => total + of(name), 0);
  if (sum !== of('accepted')) report(`accepted is ${of('accepted')}, but the states add up to ${sum}`);
  const states = Object.values(flights).map((flight) => flight.at(-1) ?? '');
  const inFlight = states.filter((state) => state === 'G').length;
  const unknown = states.filter((state) => 'UHKJ'.includes(state)).length;
  if (inFlight !== of('inFlight')) report(`${of('inFlight')} counted in flight, ${inFlight} found`);
  if (unknown !== of('unknown')) report(`${of('unknown')} counted unknown, ${unknown} found`);
  const kinds = Object.values(parked).map((value) => value.charAt(0));
  const inPlace = states.filter((state) => state === 'D').length;
  const expected = { S: of('scheduled'), D: of('deferred') - inPlace, H: of('held') };
  for (const [kind, count] of Object.entries(expected)) {
    const found = kinds.filter((one) => one === kind).length;
    if (found !== count) report(`${count} messages counted as parked (${kind}), ${found} found`);
  }
  return findings;
}

function auditPlaces(
  { counters, flights, leases, slots, pendingEntries }: Snapshot,
  states: ReadonlyMap<string, Table>,
  tenants: ReadonlyMap<string, Readonly<Record<string, Buffer>>>,
): AuditFinding[] {
  const findings: AuditFinding[] = [];
  const report = (detail: string) => findings.push({ promise: 'limits', detail });
  const used = new Map<string, number>();
  const open = new Map<string, number>();
  for (const [lane, flight] of Object.entries(flights)) {
    const state = flight.at(-1) ?? '';
    if (!'GKJ'.includes(state)) continue;
    const [sender = '', tenant = ''] = lane.split('|', 2);
    for (const key of [sender, `${sender}|${tenant}`]) used.set(key, (used.get(key) ?? 0) + 1);
    const entry = flight.slice(0, flight.indexOf('|'));
    if (state === 'G') open.set(entry, (open.get(entry) ?? 0) + 1);
  }
  let backlog = 0;
  for (const [sender, state] of states) {
    const counted = Number(state['inf'] ?? 0);
    if (counted !== (used.get(sender) ?? 0))
      report(`sender ${sender}: ${counted} places counted, ${used.get(sender) ?? 0} used`);
    for (const [tenant, packed] of Object.entries(tenants.get(sender) ?? {})) {
      const record = decodeTenant(packed);
      const found = used.get(`${sender}|${tenant}`) ?? 0;
      if (record.inFlight !== found)
        report(`tenant ${tenant} on ${sender}: ${record.inFlight} places counted, ${found} used`);
      backlog += record.backlog;
    }
  }
  const inLanes = ['queued', 'inFlight', 'unknown'].reduce((total, name) => total + Number(counters[name] ?? 0), 0);
  const inPlace = Object.values(flights).filter((flight) => flight.endsWith('D')).length;
  if (backlog !== inLanes + inPlace)
    report(`${backlog} messages in the tenants' backlogs, ${inLanes + inPlace} in lanes`);
  for (const [entry, lease] of Object.entries(leases)) {
    const left = Number(lease.split('|')[2]);
    if (left !== (open.get(entry) ?? 0))
      report(`hand-over ${entry}: ${left} open counted, ${open.get(entry) ?? 0} found`);
  }
  for (const entry of open.keys())
    if (!(entry in leases)) report(`a lane in flight belongs to the lost hand-over ${entry}`);
  if (pendingEntries !== Object.keys(leases).length) {
    report(`${pendingEntries} entries pending in the stream, ${Object.keys(leases).length} leases`);
  }
  const slotsUsed = Object.values(slots).reduce((total, value) => total + Number(value), 0);
  const flying = [...open.values()].reduce((total, value) => total + value, 0);
  if (slotsUsed !== flying) report(`${slotsUsed} worker slots counted, ${flying} in use`);
  return findings;
}

/** Every conversation with messages must stand in exactly one place, or nothing will ever wake it. */
async function auditLanes(client: RedisClient, prefix: string): Promise<AuditFinding[]> {
  const first = await misplacedLanes(client, prefix);
  if (first.size === 0) return [];
  const second = await misplacedLanes(client, prefix);
  const findings: AuditFinding[] = [];
  for (const [lane, places] of second) {
    if (first.get(lane) !== places) continue;
    const detail = places === 0 ? 'stands nowhere: nothing will wake it' : `stands in ${places} places`;
    findings.push({ promise: places === 0 ? 'no-waste' : 'order', detail: `conversation ${mask(lane)} ${detail}` });
  }
  return findings;
}

async function misplacedLanes(client: RedisClient, prefix: string): Promise<Map<string, number>> {
  const lanes = (await keysOf(client, `${prefix}c:*`)).map((key) => key.slice(prefix.length + 2));
  const places = new Map<string, number>(lanes.map((lane) => [lane, 0]));
  const stands = (lane: string) => {
    const count = places.get(lane);
    if (count !== undefined) places.set(lane, count + 1);
  };
  for (const pattern of ['r:*', 'pw:*']) {
    for (const key of await keysOf(client, prefix + pattern)) (await client.lrange(key, 0, -1)).forEach(stands);
  }
  for (const key of await keysOf(client, `${prefix}tw:*`)) (await client.zrange(key, '0', '-1')).forEach(stands);
  for (const member of await client.zrange(`${prefix}tm`, '0', '-1'))
    if (member.startsWith('l:')) stands(member.slice(2));
  const flights = await client.hgetall(`${prefix}f`);
  for (const [lane, flight] of Object.entries(flights)) if (flight.endsWith('G')) stands(lane);
  return new Map([...places].filter(([, count]) => count !== 1));
}

async function keysOf(client: RedisClient, pattern: string): Promise<string[]> {
  const found = new Set<string>();
  for (const node of mastersOf(client)) {
    let cursor = '0';
    do {
      const [next, keys] = await node.scan(cursor, 'MATCH', globFor(pattern), 'COUNT', 1000);
      for (const key of keys) found.add(key);
      cursor = next;
    } while (cursor !== '0');
  }
  return [...found];
}

/** The hash tag's braces have no meaning in a glob, but brackets and backslashes would. */
function globFor(pattern: string): string {
  return pattern.replaceAll(/[\\[\]]/g, '\\$&');
}

/**
 * Conversation ids are often phone numbers or addresses. Whoever asks for an audit has to find this one again, by the
 * sender, the tenant and four digits or a first letter: the masks of the API show less, because they are for those who
 * only look.
 */
function mask(lane: string): string {
  return lane.replaceAll(/\d(?=\d{4})/g, '•').replaceAll(/(?<=[^|@])[^|@]+(?=@)/g, '•');
}
