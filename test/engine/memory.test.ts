import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RedisSendQueue } from '../../src/engine/queue.ts';
import { WorkerLink } from '../../src/engine/worker-link.ts';
import { newId } from '../../src/util/ids.ts';
import { eventually, testRedis, type TestRedis } from '../support/services.ts';

/* A Redis that is nearly full: accepting stops, sending goes on and makes room. */

let redis: TestRedis;
let queue: RedisSendQueue;

beforeAll(async () => {
  redis = await testRedis({ maxMemory: '24mb' });
  queue = new RedisSendQueue({ redis: { url: redis.url }, shards: 1 });
  await queue.connect();
  await queue.configureSender({
    sender: 's',
    shard: 0,
    ratePerSecond: 0,
    burst: 1,
    concurrency: 100,
    pairGapMs: 0,
    pairBucketCapacity: 0,
    pairBucketRefillPerSecond: 0,
  });
});

afterAll(() => queue.close());

const pad = 'x'.repeat(4000);
function accept(n: number, into = queue) {
  return into.accept({
    id: newId(),
    lane: { sender: 's', tenant: 't', conversation: `c${n % 200}` },
    contact: `+4477009${String(n % 200).padStart(5, '0')}`,
    priority: 5,
    body: JSON.stringify({ n, pad }),
    tenantLimits: { concurrency: 50, weight: 1, backlogMax: 1_000_000 },
  });
}

describe('a queue Redis that fills up', () => {
  it('F20 · refuses accepts while its disk is said to be full, and only then', async () => {
    let isDiskFull = true;
    const told = new RedisSendQueue({ redis: { url: redis.url }, shards: 1, isDiskFull: () => isDiskFull });
    try {
      await told.connect();
      const before = await told.counters();
      await expect(accept(0, told)).rejects.toMatchObject({ code: 'QUEUE_FULL', retryable: true });
      expect(await told.counters()).toEqual(before);
      isDiskFull = false;
      expect(await accept(0, told)).toMatchObject({ kind: 'accepted' });
    } finally {
      told.close();
    }
  });

  it('refuses accepts cleanly before it is full, still drains, and accepts again', { timeout: 60_000 }, async () => {
    let { accepted } = await queue.counters();
    let refusal: unknown;
    for (let n = 0; n < 10_000 && refusal === undefined; n += 1) {
      await accept(n).then(
        () => (accepted += 1),
        (error: unknown) => (refusal = error),
      );
    }
    expect(refusal).toMatchObject({ code: 'QUEUE_FULL', retryable: true });
    expect(await queue.counters()).toMatchObject({ accepted, queued: accepted });

    const link: WorkerLink = new WorkerLink({
      redis: { url: redis.url },
      shard: 0,
      worker: 'w',
      slots: 50,
      onGrants: (grants) => {
        void (async () => {
          if (!(await link.begin(grants[0]?.entry ?? ''))) return;
          for (const grant of grants) {
            void link.settle({ grant, settlement: { kind: 'sent', providerMessageId: 'wamid' }, report: null });
          }
        })();
      },
    });
    await link.start();
    await eventually(async () => (await queue.counters()).sent === accepted, { timeoutMs: 30_000 });
    // What fills it now is what the record has not taken yet; a recorder would. Forgotten, there is room again.
    await queue.runner.client.del('{wx:0}ev');
    await eventually(async () => (await accept(0)).kind === 'accepted', { timeoutMs: 5000 });
    await link.close();
  });
});
