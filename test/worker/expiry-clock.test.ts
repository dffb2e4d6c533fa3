import { afterEach, beforeAll, expect, it, vi } from 'vitest';
import { RedisSendQueue } from '../../src/engine/queue.ts';
import type { MessageProvider, SenderAccount } from '../../src/providers/contract.ts';
import { SendWorker } from '../../src/worker/send-worker.ts';
import { FAILURE, FREE_SENDER, message } from '../engine/support/bench.ts';
import { eventually, testRedis, type TestRedis } from '../support/services.ts';

/*
 * `expiresAt` is judged by the queue's clock, also in the worker's last look before the first byte. Queue and worker
 * are on one machine here; the worker's clock is moved by moving `Date.now()`.
 */

const NOT_SENT = { kind: 'not-sent', error: { ...FAILURE, code: 'PROVIDER_UNREACHABLE', retryable: true } } as const;
const ACCOUNT: SenderAccount = {
  id: 's1',
  provider: 'cloud',
  externalId: 's1',
  apiUrl: 'http://127.0.0.1:1/v23.0',
  credentials: { accessToken: 't', appSecret: 's' },
};

let redis: TestRedis;
let databases = 0;
const ends: (() => unknown)[] = [];
beforeAll(async () => {
  redis = await testRedis();
});
afterEach(async () => {
  vi.restoreAllMocks();
  for (const end of ends.splice(0).reverse()) await end();
});

/** A worker whose provider takes so long over each message before it would write the first byte. */
async function open(beforeMs: number) {
  const target = { url: redis.url, db: (databases += 1) };
  const queue = new RedisSendQueue({ redis: target, shards: 1 });
  ends.push(() => {
    queue.close();
  });
  await queue.connect();
  await queue.configureSender(FREE_SENDER);
  const asked: boolean[] = [];
  const provider: MessageProvider = {
    name: 'cloud',
    async send({ beforeFirstByte }) {
      await new Promise((resolve) => setTimeout(resolve, beforeMs));
      const may = beforeFirstByte?.() !== false;
      asked.push(may);
      return may ? { kind: 'sent', providerMessageId: 'wamid.1', httpStatus: 200 } : NOT_SENT;
    },
    close: () => Promise.resolve(),
  };
  const worker = new SendWorker({
    redis: target,
    shards: 1,
    worker: 'w1',
    slots: 1,
    globalRatePerSecond: 0,
    globalConcurrency: 0,
    firstByteByMs: 5000,
    providers: { cloud: provider },
    policyFor: () => ({ attemptsMax: 3, backoffMs: 1, scheduleSeconds: [], deferBlocks: false }),
    readAccount: () => Promise.resolve(ACCOUNT),
    tagKey: Buffer.alloc(32),
  });
  await worker.start();
  ends.push(() => worker.stop(1000));
  return { queue, asked };
}

function moveClock(byMs: number): void {
  const now = Date.now.bind(Date);
  vi.spyOn(Date, 'now').mockImplementation(() => now() + byMs);
}

it('a worker whose clock is ahead sends what has not expired by the queue’s, at its first attempt', async () => {
  const { queue, asked } = await open(0);
  const one = message({ expiresAtMs: Date.now() + 60_000 });
  moveClock(600_000);
  await queue.accept(one);
  await eventually(async () => (await queue.counters()).sent === 1);
  expect(asked).toEqual([true]);
});

it('a worker whose clock is behind sends nothing late', async () => {
  const { queue, asked } = await open(400);
  const one = message({ expiresAtMs: Date.now() + 300 });
  moveClock(-600_000);
  await queue.accept(one);
  await eventually(async () => (await queue.counters()).expired === 1);
  expect(asked).toEqual([false]);
  expect((await queue.counters()).sent).toBe(0);
});
