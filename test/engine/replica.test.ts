import { afterEach, beforeAll, expect, test } from 'vitest';
import { AppError } from '../../src/errors/app-error.ts';
import { RedisSendQueue } from '../../src/engine/queue.ts';
import { eventually } from '../support/eventually.ts';
import { followed, testPair, type TestPair, withClient } from '../support/many-redis.ts';
import { watchStandstill } from '../support/standstill.ts';
import type { Grant } from '../../src/engine/contract.ts';
import { WorkerLink } from '../../src/engine/worker-link.ts';
import { FREE_SENDER, message, SENT } from './support/bench.ts';

let pair: TestPair;
let queue: RedisSendQueue;

beforeAll(async () => {
  pair = await testPair();
});
afterEach(async () => {
  queue.close();
  await pair.replica.kill('SIGCONT');
});

async function open(): Promise<void> {
  await withClient(pair.primary.port, async (client) => await client.flushall());
  queue = new RedisSendQueue({ redis: { url: pair.primary.url, db: 0 }, shards: 1, durability: 'replica' });
  await queue.connect();
  await queue.configureSender(FREE_SENDER);
}

async function onReplica(): Promise<number> {
  return await withClient(pair.replica.port, async (client) => Number(await client.hget('{wx:0}n', 'accepted')));
}

test('R1 · with ACCEPT_DURABILITY=replica a message is on the replica when its client hears of it', async () => {
  await open();
  for (let count = 1; count <= 20; count += 1) {
    expect((await queue.accept(message())).kind).toBe('accepted');
    expect(await onReplica()).toBe(count);
  }
});

test('R1 · many at once share confirmations, and all of them are confirmed', async () => {
  await open();
  const results = await Promise.all(Array.from({ length: 300 }, () => queue.accept(message())));
  expect(results.every(({ kind }) => kind === 'accepted')).toBe(true);
  expect(await onReplica()).toBe(300);
});

test('R1 · 503 while the replica stands still; a repeat with the key counts once when it goes on', async () => {
  await open();
  expect((await queue.accept(message())).kind).toBe('accepted');
  await pair.replica.kill('SIGSTOP');
  const first = message({ key: 'k1' });
  const standstill = watchStandstill(() => withClient(pair.primary.port, async (client) => await client.ping()));
  const startMs = performance.now();
  const refused = await queue.accept(first).catch((error: unknown) => error);
  expect(refused).toBeInstanceOf(AppError);
  expect(refused).toMatchObject({ code: 'QUEUE_UNAVAILABLE', status: 503, retryable: true });
  expect(performance.now() - startMs).toBeLessThan(2000 + standstill.ms());
  // Once it is known to be away, nothing more is stored in vain.
  await expect(queue.accept(message({ key: 'k2' }))).rejects.toMatchObject({ code: 'QUEUE_UNAVAILABLE' });
  expect((await queue.counters()).accepted).toBe(2);

  await pair.replica.kill('SIGCONT');
  await followed(pair.primary);
  const again = await eventually(() => queue.accept(message({ key: 'k1' })), { timeoutMs: 10_000 });
  expect(again).toEqual({ kind: 'duplicate', id: first.id });
  expect((await queue.counters()).accepted).toBe(2);
  expect(await onReplica()).toBe(2);
});

test('R1 · a primary that is made a replica while an accept waits: 503, not a fault of ours', async () => {
  await open();
  const { primary, replica } = pair;
  await replica.kill('SIGSTOP');
  const heard = queue.accept(message()).catch((error: unknown) => error);
  await withClient(primary.port, async (client) => {
    await eventually(async () => (await client.info('clients')).includes('blocked_clients:1'), {
      timeoutMs: 900,
      what: 'the accept to wait for its replica',
    });
    await client.replicaof('127.0.0.1', replica.port);
  });
  try {
    expect(await heard).toMatchObject({ code: 'QUEUE_UNAVAILABLE' });
  } finally {
    await withClient(primary.port, async (client) => await client.replicaof('NO', 'ONE'));
    await replica.kill('SIGCONT');
    await followed(primary);
  }
});

test('R1 · a duplicate, too, is answered only when the replica has the first', async () => {
  await open();
  await pair.replica.kill('SIGSTOP');
  await expect(queue.accept(message({ key: 'k' }))).rejects.toMatchObject({ code: 'QUEUE_UNAVAILABLE' });
  // Another process with a connection of its own, which wrote nothing of it.
  const other = new RedisSendQueue({ redis: { url: pair.primary.url, db: 0 }, shards: 1, durability: 'replica' });
  await other.connect();
  await other.configureSender(FREE_SENDER);
  await expect(other.accept(message({ key: 'k' }))).rejects.toMatchObject({ code: 'QUEUE_UNAVAILABLE' });
  other.close();
});

test('R1 · with min-replicas-to-write nothing more is begun while the replica is away, and nothing goes twice after it', async () => {
  await open();
  await withClient(pair.primary.port, async (primary) => {
    const started: Grant[] = [];
    let answer: () => void = () => undefined;
    const answered = new Promise<void>((resolve) => (answer = resolve));
    const link: WorkerLink = new WorkerLink({
      redis: { url: pair.primary.url, db: 0 },
      shard: 0,
      worker: 'w1',
      slots: 5,
      onGrants: (grants) => void Promise.all(grants.map(send)),
    });
    const send = async (grant: Grant) => {
      const isBegun = await link.begin(grant.entry);
      if (isBegun) {
        started.push(grant);
        await answered;
      }
      await link.settle({ grant, settlement: isBegun ? SENT : { kind: 'unstarted' }, report: null });
    };
    await link.start();
    const refusals = async () =>
      Number(/errorstat_NOREPLICAS:count=(\d+)/.exec(await primary.info('errorstats'))?.[1] ?? 0);
    try {
      for (let n = 0; n < 5; n += 1) await queue.accept(message());
      await eventually(() => started.length === 1);
      // One more than there are: as if none were in time.
      await primary.config('SET', 'min-replicas-to-write', 2);
      answer();
      await expect(queue.accept(message())).rejects.toMatchObject({ code: 'QUEUE_UNAVAILABLE' });
      const before = await refusals();
      await eventually(async () => (await refusals()) > before + 20, {
        what: 'a worker that tells its outcome in vain',
      });
      expect(started).toHaveLength(1);
    } finally {
      await primary.config('SET', 'min-replicas-to-write', 0);
    }
    await eventually(async () => (await queue.counters()).sent === 5);
    expect(started.map(({ attempt }) => attempt)).toEqual([1, 1, 1, 1, 1]);
    expect(await queue.counters()).toMatchObject({ accepted: 5, sent: 5, unknown: 0 });
    await link.close();
  });
});
