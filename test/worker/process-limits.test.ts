import { expect, it } from 'vitest';
import type { RedisSendQueue } from '../../src/engine/queue.ts';
import type { MessageProvider } from '../../src/providers/contract.ts';
import type { SendWorkerOptions } from '../../src/worker/send-worker.ts';
import { FAILURE, FREE_SENDER, message } from '../engine/support/bench.ts';
import { eventually } from '../support/services.ts';
import { useRooms } from './support/room.ts';

/*
 * What one process may do, whatever the engine hands it: judged by what reaches its provider.
 */

const ANSWER_MS = 20;
const LATE = { ...FAILURE, code: 'PROVIDER_UNREACHABLE', retryable: true } as const;

const open = useRooms();

/** A provider that answers after 20 ms and remembers when it was called, and how many calls were open at once. */
class Counting implements MessageProvider {
  readonly name = 'cloud';
  readonly startedAtMs: number[] = [];
  /** Who each call was made for, in that order. */
  readonly senders: string[] = [];
  openMax = 0;
  #open = 0;

  async send({
    account,
    beforeFirstByte,
  }: Parameters<MessageProvider['send']>[0]): ReturnType<MessageProvider['send']> {
    if (beforeFirstByte?.() === false) {
      return { kind: 'not-sent', error: LATE };
    }
    this.startedAtMs.push(performance.now());
    this.senders.push(account.id);
    this.#open += 1;
    this.openMax = Math.max(this.openMax, this.#open);
    await new Promise((resolve) => setTimeout(resolve, ANSWER_MS));
    this.#open -= 1;
    return { kind: 'sent', providerMessageId: `wamid.${this.startedAtMs.length}`, httpStatus: 200 };
  }

  startedFor(sender: string): number {
    return this.senders.filter((one) => one === sender).length;
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** So many messages wait, each in a conversation of its own, and then the worker begins. */
async function work(
  shards: number,
  waiting: number,
  limits: Pick<SendWorkerOptions, 'slots' | 'globalRatePerSecond' | 'globalConcurrency'>,
  senderOf: (n: number) => string = (n) => `s${n % shards}`,
): Promise<{ provider: Counting; queue: RedisSendQueue; startedAtMs: number }> {
  const { queue, startWorker } = await open(shards);
  for (let shard = 0; shard < shards; shard += 1) {
    await queue.configureSender({ ...FREE_SENDER, sender: `s${shard}`, shard });
  }
  await Promise.all(
    Array.from({ length: waiting }, (_, n) =>
      queue.accept(message({ sender: senderOf(n), conversation: `c${n}`, contact: `p${n}` })),
    ),
  );
  const provider = new Counting();
  const startedAtMs = performance.now();
  await startWorker(provider, limits);
  return { provider, queue, startedAtMs };
}

it('S4 · GLOBAL_RATE_PER_SECOND holds under a backlog: no more start than its burst and its rate allow', async () => {
  const rate = 200;
  const { provider, queue, startedAtMs } = await work(1, 300, {
    slots: 200,
    globalRatePerSecond: rate,
    globalConcurrency: 0,
  });
  await eventually(async () => (await queue.counters()).sent === 300, { timeoutMs: 30_000 });
  const { startedAtMs: starts } = provider;
  expect(starts).toHaveLength(300);
  starts.forEach((atMs, index) => {
    expect(index + 1).toBeLessThanOrEqual(rate / 10 + ((atMs - startedAtMs) / 1000) * rate + 1);
  });
  expect((await queue.counters()).unknown).toBe(0);
});

it('S4 · a message of one shard does not wait for the backlog of another, though that fills every place', async () => {
  const { provider, queue } = await work(
    2,
    600,
    { slots: 4, globalRatePerSecond: 0, globalConcurrency: 0 },
    () => 's0',
  );
  await eventually(() => provider.startedAtMs.length >= 40);
  const before = provider.startedFor('s0');
  for (let n = 0; n < 3; n += 1) {
    await queue.accept(message({ sender: 's1', conversation: `quiet${n}`, contact: `q${n}` }));
    await eventually(() => provider.startedFor('s1') === n + 1);
  }
  expect(provider.startedFor('s0') - before).toBeLessThan(100);
  expect(provider.openMax).toBeLessThanOrEqual(4);
});

it('S4 · two shards with a backlog come to equal parts, though one had every place when the other began', async () => {
  const { provider, queue } = await work(
    2,
    800,
    { slots: 10, globalRatePerSecond: 0, globalConcurrency: 0 },
    () => 's0',
  );
  await eventually(() => provider.startedAtMs.length >= 100);
  await Promise.all(
    Array.from({ length: 100 }, (_, n) =>
      queue.accept(message({ sender: 's1', conversation: `late${n}`, contact: `l${n}` })),
    ),
  );
  const firstBefore = provider.startedFor('s0');
  await eventually(() => provider.startedFor('s1') === 100, { timeoutMs: 30_000 });
  const firstMeanwhile = provider.startedFor('s0') - firstBefore;
  expect(firstMeanwhile).toBeGreaterThan(50);
  expect(firstMeanwhile).toBeLessThan(200);
  expect(provider.openMax).toBeLessThanOrEqual(10);
});

it('S4 · WORKER_CONCURRENCY holds over all shards, also where all of them have a backlog at the start', async () => {
  const { provider, queue } = await work(8, 800, { slots: 10, globalRatePerSecond: 0, globalConcurrency: 0 });
  await eventually(async () => (await queue.counters()).sent === 800, { timeoutMs: 30_000 });
  expect(provider.openMax).toBeLessThanOrEqual(10);
  expect(provider.openMax).toBeGreaterThan(5);
  expect(provider.startedAtMs).toHaveLength(800);
});
