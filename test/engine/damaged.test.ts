import { afterEach, beforeAll, expect, it } from 'vitest';
import { packLane } from '../../src/engine/lane.ts';
import { shardPrefix } from '../../src/engine/keys.ts';
import { auditShard } from '../../src/engine/audit.ts';
import { eventually, testRedis, type TestRedis } from '../support/services.ts';
import { Bench, SENT } from './support/bench.ts';

let redis: TestRedis;
let bench: Bench;
beforeAll(async () => {
  redis = await testRedis();
});
afterEach(() => bench.close());

/** Turns over one bit of the stored message at the head of a conversation. */
async function flip(conversation: string, bit: number): Promise<void> {
  const key = `${shardPrefix(0)}c:${packLane({ sender: 's1', tenant: 't1', conversation })}`;
  const element = await bench.client.lindexBuffer(key, 0);
  if (element === null) throw new Error(`${conversation} is empty`);
  const at = Math.floor(bit / 8);
  element[at] = (element[at] ?? 0) ^ (1 << (bit % 8));
  await bench.client.lset(key, 0, element);
}

it('F17 · a flipped bit anywhere before the body ends that message at most: its followers, its tenant and the others go on', async () => {
  bench = await Bench.open(redis, { pairBucketCapacity: 5, pairBucketRefillPerSecond: 100, concurrency: 50 });
  const first = await bench.accept({ conversation: 'c0' });
  const element = (await bench.client.lindex(`${shardPrefix(0)}c:${packLane(first.lane)}`, 0)) ?? '';
  // Number, priority, expiry, id, attempts, person: all that stands before the checksum of the body.
  const bits = 8 * (element.lastIndexOf('|') + 1);
  const heads = [first.id];
  const followers: string[] = [];
  const limits = { concurrency: 50, backlogMax: 5000 };
  for (let bit = 0; bit < bits; bit += 3) {
    const conversation = `c${bit}`;
    if (bit > 0) heads.push((await bench.accept({ conversation, limits })).id);
    followers.push((await bench.accept({ conversation, limits })).id);
  }
  const other = await bench.accept({ tenant: 't2', conversation: 'other' });
  for (let bit = 0; bit < bits; bit += 3) await flip(`c${bit}`, bit);
  await bench.worker('w1');
  await bench.worker('w2');
  const started = () => new Set(bench.ids());
  await bench.until(() => [...followers, other.id].every((id) => started().has(id)), 'all that are whole', 20_000);
  expect(bench.ids().filter((id) => followers.includes(id))).toHaveLength(followers.length);
  const counters = await bench.queue.counters();
  const damaged = heads.filter((id) => !started().has(id));
  expect(damaged.length).toBeGreaterThan(20);
  expect(counters).toMatchObject({ accepted: heads.length + followers.length + 1, queued: 0 });
  // None of them is in the way later.
  const late = await bench.accept({ conversation: 'c0' });
  await bench.until(() => started().has(late.id), 'one more of the first conversation');
});

it.each([
  ['before a worker comes to it', 300, true],
  ['after it was found to be damaged', 2500, false],
])(
  'F17 · a damaged message that expires %s ends once, and its timer harms nothing',
  async (_, livesMs, startsExpired) => {
    // The clock stands while they are accepted and damaged: none may expire on a slow disk before its bit is turned over.
    const acceptedAtMs = Date.now();
    let clock = () => acceptedAtMs;
    const limited = { pairBucketCapacity: 5, pairBucketRefillPerSecond: 100, concurrency: 50 };
    bench = await Bench.open(redis, limited, { clock: () => clock() });
    const expiresAtMs = acceptedAtMs + livesMs;
    const limits = { concurrency: 50, backlogMax: 5000 };
    for (let bit = 0; bit < 400; bit += 3) {
      await bench.accept({ conversation: `c${bit}`, limits, expiresAtMs });
      await flip(`c${bit}`, bit);
    }
    const behindMs = Date.now() - (startsExpired ? expiresAtMs + 1 : acceptedAtMs);
    clock = () => Date.now() - behindMs;
    await bench.worker('w1');
    const timers = async () => await bench.client.zcard(`${shardPrefix(0)}at`);
    const expired = () => clock() > expiresAtMs;
    await eventually(async () => expired() && (await timers()) === 0, { what: 'all timers of expiries to fire' });
    const late = await bench.accept({ conversation: 'late' });
    await bench.until(() => bench.ids().includes(late.id), 'one more message');
    await eventually(async () => (await bench.queue.counters()).inFlight === 0);
    expect(await bench.queue.counters()).toMatchObject({ accepted: 135, queued: 0 });
    expect(await bench.client.hlen(`${shardPrefix(0)}x`)).toBe(0);
    expect(await auditShard(bench.client, 0)).toEqual([]);
  },
);

it.each([
  ['its number', 0],
  ['the bar behind its number', 1],
  ['its priority', 2],
])('F17 · the pair of a head that is damaged in %s, while it stands ready, is kept for nobody', async (_, at) => {
  bench = await Bench.open(redis, { pairBucketCapacity: 5, pairBucketRefillPerSecond: 0.001 });
  let answer: () => void = () => undefined;
  const answered = new Promise<void>((resolve) => (answer = resolve));
  await bench.worker('w1', async () => {
    await answered;
    return SENT;
  });
  const { contact } = await bench.accept({ conversation: 'c1' });
  await bench.accept({ conversation: 'c1' });
  await bench.started(1);
  await bench.queue.pauseSender('s1', 'a test');
  answer();
  await bench.settled(1);
  const pair = `${shardPrefix(0)}p:s1|${contact}`;
  expect(await bench.client.pttl(pair)).toBe(-1);
  await flip('c1', 8 * at + 6);
  await bench.queue.resumeSender('s1');
  await eventually(async () => (await bench.queue.counters()).failed === 1);
  // It ends by itself when its bucket is full.
  expect(await bench.client.pttl(pair)).toBeGreaterThan(0);
});
