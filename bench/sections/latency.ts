import { setTimeout as delay } from 'node:timers/promises';
import { acceptOne, OPEN_LIMITS, SENDER } from '../contestants/engine.ts';
import { BenchWorker } from '../engine-worker.ts';
import { atMost, type BenchContext, type Figure, type SectionResult } from '../figures.ts';
import { loadMessage } from '../load.ts';
import { type BenchRedis, serverCost, startBenchRedis } from '../redis.ts';
import { quantile } from '../statistics.ts';
import type { SenderLimits, Settlement } from '../../src/engine/contract.ts';
import { RedisSendQueue } from '../../src/engine/queue.ts';

const WORKERS = 20;
const EARLY_MS = 5; // tolerance for the network

/** A queue and 20 workers on one Redis with fsync on every write; `started` hears of each begun message. */
class Stage {
  readonly queue: RedisSendQueue;
  readonly #workers: BenchWorker[];
  readonly started: { id: string; atMs: number }[] = [];
  settlement: ((attempt: number) => Settlement | undefined) | undefined;
  #heard: (() => void) | undefined;

  constructor(redis: BenchRedis, workers: number) {
    this.queue = new RedisSendQueue({ redis: { url: redis.url, db: 0 }, shards: 1 });
    this.#workers = Array.from({ length: workers }, (_, n) => {
      return new BenchWorker({
        url: redis.url,
        name: `w${n}`,
        slots: 10,
        handle: (grant) => {
          this.started.push({ id: grant.messageId, atMs: performance.now() });
          this.#heard?.();
          return Promise.resolve(this.settlement?.(grant.attempt));
        },
      });
    });
  }

  async open(limits: Partial<SenderLimits>): Promise<void> {
    await this.queue.connect();
    await this.queue.configureSender({ ...OPEN_LIMITS, ...limits });
    for (const worker of this.#workers) await worker.start();
  }

  async startedCount(count: number): Promise<void> {
    while (this.started.length < count) await new Promise<void>((resolve) => (this.#heard = resolve));
  }

  async close(): Promise<void> {
    for (const worker of this.#workers) await worker.close();
    this.queue.close();
  }
}

/** Idle latency, lateness of timers, and script calls per message, all with 20 workers. */
export async function latency(context: BenchContext): Promise<SectionResult> {
  const { quick, step } = context;
  const count = quick ? 30 : 300;
  const redis = await startBenchRedis('always');
  try {
    step('latency: idle');
    const idle = await idleLatency(redis, count);
    step('latency: timers');
    const timers = {
      'pair gap': await pairGap(redis, count),
      retry: await retries(redis, quick ? 30 : 200),
      sendAt: await scheduled(redis, quick ? 30 : 200),
    };
    const late = Object.values(timers).flat();
    const early = late.filter((ms) => ms < -EARLY_MS).length;
    const figures: Figure[] = [
      atMost('accept → handler when idle, p50 (without HTTP)', 6, 3, quantile(idle.latencies, 0.5), ' ms'),
      atMost('accept → handler when idle, p99 (without HTTP)', 20, 10, quantile(idle.latencies, 0.99), ' ms'),
      atMost('pair gap, retry or sendAt due → handler, p99 late, 20 workers', 20, 5, quantile(late, 0.99), ' ms'),
      atMost('timers fired early', 0, 0, early),
      atMost('script calls per message with 20 idle workers', 5, null, idle.callsPerMessage),
    ];
    const rows = Object.entries({ idle: idle.latencies, ...timers }).map(([name, list]) => [
      name,
      ...[0.5, 0.99, 1].map((share) => quantile(list, share).toFixed(1)),
    ]);
    const table = {
      title: 'Milliseconds until the handler, fsync always, 20 workers',
      head: ['', 'p50', 'p99', 'max'],
      rows,
    };
    return { figures, tables: [table], data: { idle, timers } };
  } finally {
    await redis.stop();
  }
}

async function onStage<T>(
  redis: BenchRedis,
  limits: Partial<SenderLimits>,
  play: (stage: Stage) => Promise<T>,
): Promise<T> {
  await redis.clear();
  const stage = new Stage(redis, WORKERS);
  try {
    await stage.open({ pairBucketCapacity: 0, ...limits });
    return await play(stage);
  } finally {
    await stage.close();
  }
}

async function idleLatency(redis: BenchRedis, count: number) {
  return await onStage(redis, {}, async (stage) => {
    const latencies: number[] = [];
    const before = await serverCost(redis.admin);
    for (let n = 0; n < count; n += 1) {
      const sentAtMs = performance.now();
      await acceptOne(stage.queue, loadMessage(n, { conversations: 1_000_000, tenants: 10 }), false);
      await stage.startedCount(n + 1);
      latencies.push((stage.started[n]?.atMs ?? Number.NaN) - sentAtMs);
      await delay(4);
    }
    const cost = await serverCost(redis.admin, before);
    // The workers' heartbeats run on whether there are messages or not; a run of the same length without any tells them.
    const idleBefore = await serverCost(redis.admin);
    await delay(1000);
    const beats = (await serverCost(redis.admin, idleBefore)).scripts;
    const seconds = latencies.reduce((sum, ms) => sum + ms + 4, 0) / 1000;
    return { latencies, callsPerMessage: (cost.scripts - beats * seconds) / count };
  });
}

/** One conversation with a gap of 20 ms: each start, against the settle before it plus the gap. */
async function pairGap(redis: BenchRedis, count: number): Promise<number[]> {
  const GAP_MS = 20;
  return await onStage(redis, { pairGapMs: GAP_MS }, async (stage) => {
    for (let n = 0; n < count; n += 1)
      await acceptOne(stage.queue, loadMessage(n, { conversations: 1, tenants: 1 }), false);
    await stage.startedCount(count);
    // The settle follows the start within a few ms that belong to no timer: lateness is counted from the start.
    return stage.started.slice(1).map((one, index) => one.atMs - (stage.started[index]?.atMs ?? 0) - GAP_MS);
  });
}

async function retries(redis: BenchRedis, count: number): Promise<number[]> {
  const DELAY_MS = 150;
  return await onStage(redis, {}, async (stage) => {
    stage.settlement = (attempt) => (attempt === 1 ? { kind: 'retry', delayMs: DELAY_MS, counted: true } : undefined);
    for (let n = 0; n < count; n += 1) {
      await acceptOne(stage.queue, loadMessage(n, { conversations: 1_000_000, tenants: 50 }), false);
      await delay(5);
    }
    await stage.startedCount(2 * count);
    const first = new Map<string, number>();
    const late: number[] = [];
    for (const { id, atMs } of stage.started) {
      const before = first.get(id);
      if (before === undefined) first.set(id, atMs);
      else late.push(atMs - before - DELAY_MS);
    }
    return late;
  });
}

async function scheduled(redis: BenchRedis, count: number): Promise<number[]> {
  return await onStage(redis, {}, async (stage) => {
    const due = new Map<string, number>();
    for (let n = 0; n < count; n += 1) {
      const sendAtMs = Date.now() + 300 + n * 7;
      const dueAtMs = performance.now() + (sendAtMs - Date.now());
      const id = await acceptOne(stage.queue, loadMessage(n, { conversations: 1_000_000, tenants: 50 }), false, {
        sender: SENDER,
        sendAtMs,
      });
      due.set(id, dueAtMs);
    }
    await stage.startedCount(count);
    return stage.started.map(({ id, atMs }) => atMs - (due.get(id) ?? Number.NaN));
  });
}
