import { afterEach, beforeEach, expect, test } from 'vitest';
import type { StatusEvidence } from '../../src/engine/contract.ts';
import { shardPrefix } from '../../src/engine/keys.ts';
import { RedisSendQueue } from '../../src/engine/queue.ts';
import { testRedis, type TestRedis } from '../support/services.ts';
import { watchStandstill } from '../support/standstill.ts';

const SHARDS = 3;
let redis: TestRedis;
let queue: RedisSendQueue;
beforeEach(async () => {
  redis = await testRedis();
  queue = new RedisSendQueue({ redis: { url: redis.url, db: 0 }, shards: SHARDS });
  await queue.connect();
});
afterEach(() => {
  queue.close();
});

const status = (n: number): StatusEvidence => ({
  messageId: '',
  attempt: null,
  providerMessageId: `wamid.${n}`,
  status: 'delivered',
  providerAtMs: 1_800_000_000_000,
  error: null,
});
/** Each told by itself, as webhooks are. */
const tellEach = (count: number) => Array.from({ length: count }, (_, n) => queue.statuses([status(n)]));

async function kept(): Promise<string> {
  const { client } = queue.runner;
  const entries = await Promise.all(
    Array.from({ length: SHARDS }, (_, shard) => client.xrange(`${shardPrefix(shard)}ev`, '-', '+')),
  );
  return JSON.stringify(entries);
}

test('P1 · statuses that come one by one in one tick share calls, and each is kept once', async () => {
  const before = queue.runner.calls;
  await Promise.all(tellEach(200));
  // Seven calls of at most 32 to each shard.
  expect(queue.runner.calls - before).toBeLessThanOrEqual(7 * SHARDS);
  const text = await kept();
  for (let n = 0; n < 200; n += 1) expect(text.split(`wamid.${n}\\`).length - 1, `wamid.${n}`).toBe(1);
});

test('P1 · while Redis stands still all that were told are refused together, in time', async () => {
  await redis.kill('SIGSTOP');
  try {
    const standstill = watchStandstill();
    const startMs = performance.now();
    const heard = await Promise.allSettled(tellEach(500));
    expect(performance.now() - startMs).toBeLessThan(2000 + standstill.ms());
    for (const one of heard) expect(one).toMatchObject({ status: 'rejected', reason: { code: 'QUEUE_UNAVAILABLE' } });
  } finally {
    await redis.kill('SIGCONT');
  }
});
