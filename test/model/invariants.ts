import { isPaced, isRunning, pairOf, type Message, type Reference } from './reference.ts';
import type { ShardDump } from './shard-dump.ts';

/*
 * The recount: what is counted, packed and indexed in the shard against what is really there, and both against the
 * reference. Every sentence here is a fact that holds between any two script calls.
 */

export class Broken extends Error {
  override readonly name = 'Broken';
}
function must(claim: boolean, sentence: string): asserts claim {
  if (!claim) throw new Broken(sentence);
}
function same(found: unknown, wanted: unknown, what: string): void {
  const [a, b] = [JSON.stringify(found), JSON.stringify(wanted)];
  must(a === b, `${what}: the shard says ${a}, wanted ${b}`);
}
function tally<K>(keys: Iterable<K>): Map<K, number> {
  const counts = new Map<K, number>();
  for (const key of keys) counts.set(key, (counts.get(key) ?? 0) + 1);
  return counts;
}
function sorted<T>(items: Iterable<T>): T[] {
  return [...items].sort();
}

export function checkShard(reference: Reference, dump: ShardDump): void {
  const messages = [...reference.messages.values()];
  checkCounters(messages, dump);
  checkLanes(reference, dump);
  checkFlights(messages, dump);
  checkTenants(messages, dump);
  checkSenders(messages, dump);
  checkCircuits(reference, dump);
  checkLeases(dump);
  checkPairs(reference, messages, dump);
  checkTimers(messages, dump);
}

/** Promise 1: accepted = the sum of the others, and each equals what the reference holds. */
function checkCounters(messages: readonly Message[], dump: ShardDump): void {
  const states = tally(messages.map(({ state }) => state));
  const counter = (name: string) => Number(dump.counters.get(name) ?? 0);
  const all = [
    'queued',
    'scheduled',
    'deferred',
    'inFlight',
    'unknown',
    'held',
    'sent',
    'failed',
    'cancelled',
    'expired',
  ] as const;
  for (const state of all) same(counter(state), states.get(state) ?? 0, `counter ${state}`);
  same(
    counter('accepted'),
    all.map(counter).reduce((sum, n) => sum + n),
    'accepted = the sum of the others',
  );
}

/** Each message in exactly one place; each lane in exactly one place. */
function checkLanes(reference: Reference, dump: ShardDump): void {
  const lanes = [...dump.lanes]
    .filter(([, stored]) => stored.length > 0)
    .map(([lane, stored]) => [lane, stored.map(({ id }) => id)]);
  same(sorted(lanes), sorted(reference.lanes), 'messages of the conversations in order');
  const parked = [...reference.messages.values()].filter(
    ({ inLane, state }) => !inLane && ['scheduled', 'deferred', 'held'].includes(state),
  );
  same(sorted(dump.parked.keys()), sorted(parked.map(({ id }) => id)), 'parked messages');
  const places = tally([
    ...[...dump.ready.values()].flat(),
    ...[...dump.pairWaits.values()].flat(),
    ...[...dump.templateWaits.values()].flat(),
    ...[...dump.timers.keys()].flatMap((member) => (member.startsWith('l:') ? [member.slice(2)] : [])),
    ...[...dump.flights].flatMap(([lane, { state }]) => (state === 'G' ? [lane] : [])),
  ]);
  for (const lane of dump.lanes.keys()) same(places.get(lane) ?? 0, 1, `places of the lane ${lane}`);
  for (const lane of places.keys()) must(dump.lanes.has(lane), `${lane} stands somewhere although it is empty`);
}

function checkFlights(messages: readonly Message[], dump: ShardDump): void {
  for (const [lane, flight] of dump.flights) {
    must(/^[GRDUHKJ]$/.test(flight.state), `${lane} has the flight state ${flight.state}`);
    const message = messages.find(({ id }) => id === flight.id);
    if (message?.state === 'cancelled' || message?.state === 'expired') continue; // dropped when its lane is served
    if (message?.state === 'sent' && dump.tombstones.has(message.id)) continue; // proved while it waited: dropped then, too
    must(message !== undefined && message.inLane, `the flight of ${lane} is of a message that is not in its lane`);
    const states = { inFlight: 'G', queued: 'R', deferred: 'D', unknown: 'UHKJ' } as const;
    const allowed = message.state in states ? states[message.state as keyof typeof states] : '';
    must(allowed.includes(flight.state), `${message.id} is ${message.state}, its flight says ${flight.state}`);
    same(flight.attempts, message.attempts, `attempts of ${message.id}`);
    same(flight.ambiguous, message.ambiguous, `ambiguous attempts of ${message.id}`);
  }
  const flying = messages.filter(({ state }) => state === 'inFlight' || state === 'unknown');
  for (const { id, lane } of flying) same(dump.flights.get(lane)?.id, id, `flight of ${lane}`);
  const doubtful = messages
    .filter(({ state, isInDoubt }) => state === 'unknown' || state === 'held' || isInDoubt)
    .map(({ id, lane }) => [id, lane]);
  same(sorted(dump.unknown), sorted(doubtful), 'unknown messages');
}

/** Promise 3, the tenant's part: its record equals a recount. */
function checkTenants(messages: readonly Message[], dump: ShardDump): void {
  const running = tally(messages.filter(isRunning).map(({ key }) => key));
  const backlog = tally(messages.filter(({ inLane }) => inLane).map(({ key }) => key));
  const parked = tally(
    messages
      .filter(({ inLane, state }) => !inLane && ['scheduled', 'deferred', 'held'].includes(state))
      .map(({ key }) => key),
  );
  const ready = new Map<string, number>();
  for (const [name, lanes] of dump.ready) {
    const key = name.slice(0, name.lastIndexOf('|'));
    ready.set(key, (ready.get(key) ?? 0) + lanes.length);
    const bit = 1 << Number(name.slice(name.lastIndexOf('|') + 1));
    must(((dump.tenants.get(key)?.mask ?? 0) & bit) !== 0, `${key} does not know of its ready lanes ${name}`);
  }
  const inRing = (rings: ReadonlyMap<string, readonly string[]>) =>
    tally([...rings].flatMap(([sender, tenants]) => tenants.map((tenant) => `${sender}|${tenant}`)));
  const [inNew, inOld] = [inRing(dump.newRing), inRing(dump.oldRing)];
  for (const key of [...running.keys(), ...backlog.keys(), ...parked.keys(), ...inNew.keys(), ...inOld.keys()]) {
    must(dump.tenants.has(key), `${key} has work and no record`);
  }
  for (const [key, tenant] of dump.tenants) {
    const wanted = [running.get(key) ?? 0, backlog.get(key) ?? 0, parked.get(key) ?? 0, ready.get(key) ?? 0];
    same(
      [tenant.inFlight, tenant.backlog, tenant.parked, tenant.ready],
      wanted,
      `in flight, backlog, parked, ready of ${key}`,
    );
    same(
      [inNew.get(key) ?? 0, inOld.get(key) ?? 0],
      [tenant.ring === 1 ? 1 : 0, tenant.ring === 2 ? 1 : 0],
      `rings of ${key} (${tenant.ring})`,
    );
    const mustStand = tenant.ready > 0 && tenant.inFlight < tenant.cap && !tenant.paused;
    must(!mustStand || tenant.ring > 0, `${key} has a ready lane and room and stands in no ring`);
  }
}

function checkSenders(messages: readonly Message[], dump: ShardDump): void {
  const running = tally(messages.filter(isRunning).map(({ sender }) => sender));
  for (const [id, fields] of dump.senders) {
    const inFlight = Number(fields.get('inf') ?? 0);
    same(inFlight, running.get(id) ?? 0, `in flight of sender ${id}`);
    const hasWork = dump.newRing.has(id) || dump.oldRing.has(id);
    const isProbing = /\|./.test(fields.get('circuit') ?? '');
    const canGive = hasWork && !isProbing && !fields.has('paused') && inFlight < Number(fields.get('cap'));
    must(
      !canGive || dump.able.has(id) || dump.timers.has(`s:${id}`),
      `sender ${id} could give, and nothing would ever ask it`,
    );
  }
}

/** What is kept with a sender, the index of open circuits and the reference say the same. */
function checkCircuits(reference: Reference, dump: ShardDump): void {
  const stored = [...dump.senders].flatMap(([id, fields]) => {
    const circuit = fields.get('circuit');
    return circuit === undefined ? [] : [[id, circuit]];
  });
  const wanted = [...reference.senders].flatMap(([id, { circuit }]) =>
    circuit === null ? [] : [[id, `${circuit.untilMs}|${circuit.probe ?? ''}`]],
  );
  same(sorted(stored), sorted(wanted), 'circuits of the senders');
  same(sorted(dump.circuits), sorted(wanted), 'index of the circuits');
  for (const [name, lanes] of dump.templateWaits) {
    const [sender = '', template = ''] = name.split('|');
    const isHeld = reference.senders.get(sender)?.heldTemplates.has(template) === true;
    must(isHeld || dump.timers.has(`t:${name}`), `${lanes.join(', ')} wait for ${name}, which nobody holds`);
  }
  for (const [id, { circuit }] of reference.senders) {
    const isWaiting = circuit !== null && circuit.probe === null && circuit.untilMs > reference.nowMs;
    // Whatever else moves the sender's timer, the circuit's end must not be forgotten.
    must(!isWaiting || dump.timers.has(`s:${id}`), `the circuit of ${id} is open, and nothing would ever probe it`);
  }
}

function checkLeases(dump: ShardDump): void {
  const open = tally([...dump.flights.values()].filter(({ state }) => state === 'G').map(({ entry }) => entry));
  same(
    sorted([...dump.leases].map(([entry, { left }]) => [entry, left])),
    sorted(open),
    'lanes that each lease still holds',
  );
  same(sorted(dump.handOvers.keys()), sorted(dump.leases.keys()), 'entries of the stream are the leases');
  same(
    sorted(dump.pending),
    sorted([...dump.leases].map(([entry, { worker }]) => [entry, worker])),
    'pending entries are the leases',
  );
  const unbegun = [...dump.leases].filter(([, { state }]) => state === 'L').map(([entry]) => entry);
  same(sorted(dump.unbegun.keys()), sorted(unbegun), 'leases that were not begun');
  const slots = new Map<string, number>();
  for (const { worker, left } of dump.leases.values()) slots.set(worker, (slots.get(worker) ?? 0) + left);
  same(sorted([...dump.slots].map(([worker, n]) => [worker, Number(n)])), sorted(slots), 'slots in use');
}

function checkPairs(reference: Reference, messages: readonly Message[], dump: ShardDump): void {
  const running = new Set(messages.filter(isRunning).map(pairOf));
  const readyPairs = new Set(
    [...dump.ready.values()].flat().map((lane) => `${lane.split('|')[0] ?? ''}|${dump.heads.get(lane)?.contact ?? ''}`),
  );
  const flying = new Set([...dump.flights].map(([lane, { contact }]) => `${lane.split('|')[0] ?? ''}|${contact}`));
  for (const [pair, { isBusy, hasWaiting, isEnding }] of dump.pairs) {
    must(
      isEnding || hasWaiting || readyPairs.has(pair) || flying.has(pair),
      `the key of the pair ${pair} is kept for nobody`,
    );
    must(!isBusy || running.has(pair), `the pair ${pair} is busy with nothing`);
    same(hasWaiting, dump.pairWaits.has(pair), `the pair ${pair} knows of its waiting lanes`);
  }
  for (const pair of dump.pairWaits.keys()) {
    // Every end of an attempt opens its pair again, also of one that did not take it.
    const isCalled = running.has(pair) || dump.timers.has(`p:${pair}`) || readyPairs.has(pair);
    must(isCalled, `lanes wait for the pair ${pair}, and nothing would ever call them`);
  }
  for (const message of messages) {
    if (!isRunning(message) || !message.tookPair || !isPaced(reference.senders.get(message.sender)?.setup ?? NEVER))
      continue;
    must(dump.pairs.get(pairOf(message))?.isBusy === true, `${message.id} is in flight and its pair is not busy`);
  }
}
const NEVER = { rate: 0, burst: 1, cap: 1, gapMs: 0, pairCapacity: 0, pairMsPerToken: 0 };

/** Nothing is timed for a message that is gone; everything that waits for a time has its timer. */
function checkTimers(messages: readonly Message[], dump: ShardDump): void {
  for (const member of dump.wallTimers.keys()) {
    const id = member.startsWith('a:') ? member.slice(2) : (/^x:\d+:([^:]*):/.exec(member)?.[1] ?? '');
    const message = messages.find((one) => one.id === id);
    const isOpen = message !== undefined && !['sent', 'failed', 'cancelled', 'expired', 'held'].includes(message.state);
    must(isOpen, `a wall timer ${member} of a message that is ${message?.state ?? 'unheard of'}`);
  }
  for (const message of messages) {
    if (message.state === 'scheduled')
      must(dump.wallTimers.has(`a:${message.id}`), `${message.id} has no timer for its sendAt`);
    if (message.state === 'deferred' && !message.inLane)
      must(dump.timers.has(`d:${message.id}`), `${message.id} has no timer for its retry`);
  }
}
