import { setTimeout as delay } from 'node:timers/promises';
import { acceptOne, OPEN_LIMITS } from '../contestants/engine.ts';
import { BenchWorker } from '../engine-worker.ts';
import { type BenchContext, type Figure, type SectionResult } from '../figures.ts';
import { atOnce, loadMessage } from '../load.ts';
import { type BenchRedis, startBenchRedis } from '../redis.ts';
import { quantile } from '../statistics.ts';
import { RedisSendQueue } from '../../src/engine/queue.ts';

const RATE = 80;
const INTERVAL_MS = 1000 / RATE;

/** A quiet tenant on a sender of 80/s: alone, beside one loud tenant, and beside 1,000. */
export async function quiet({ quick, step }: BenchContext): Promise<SectionResult> {
  const redis = await startBenchRedis('always');
  const queued = quick ? 5000 : 100_000;
  const count = quick ? 20 : 150;
  try {
    const cases: [label: string, loud: number][] = [
      ['alone', 0],
      ['beside 1 loud tenant', 1],
      [`beside ${quick ? 100 : 1000} loud tenants`, quick ? 100 : 1000],
    ];
    const results: { label: string; p50: number; p99: number }[] = [];
    for (const [label, loud] of cases) {
      step(`quiet tenant: ${label}`);
      const list = await latencies(redis, loud, loud === 0 ? 0 : queued, count);
      results.push({ label, p50: quantile(list, 0.5), p99: quantile(list, 0.99) });
    }
    const alone = results[0]?.p99 ?? Number.NaN;
    const allowed = 1.5 * alone + INTERVAL_MS;
    const figures: Figure[] = results.slice(1).map(({ label, p99 }) => ({
      what: `quiet tenant's p99 ${label}, ${queued.toLocaleString('en')} queued on the same sender`,
      floor: `≤ ${allowed.toFixed(1)} ms (1.5 × alone + 1 token)`,
      aim: '',
      reached: `${p99.toFixed(1)} ms`,
      ok: p99 <= allowed,
    }));
    const rows = results.map(({ label, p50, p99 }) => [label, p50.toFixed(1), p99.toFixed(1)]);
    return {
      figures,
      tables: [{ title: 'Quiet tenant, ms from accept to handler, sender of 80/s', head: ['', 'p50', 'p99'], rows }],
      data: results,
    };
  } finally {
    await redis.stop();
  }
}

async function latencies(redis: BenchRedis, loud: number, queued: number, count: number): Promise<number[]> {
  await redis.clear();
  const queue = new RedisSendQueue({ redis: { url: redis.url, db: 0 }, shards: 1, commandTimeoutMs: 20_000 });
  await queue.connect();
  await queue.configureSender({ ...OPEN_LIMITS, ratePerSecond: RATE, burst: 1, pairBucketCapacity: 0 });
  if (queued > 0) {
    await atOnce(queued, 200, (index) =>
      acceptOne(queue, loadMessage(index, { conversations: queued / 10, tenants: loud }), false),
    );
    await redis.admin.del('{wx:0}ev');
  }
  const startedAt = new Map<string, number>();
  let heard: (() => void) | undefined;
  const worker = new BenchWorker({
    url: redis.url,
    name: 'w',
    slots: 50,
    handle: (grant) => {
      if (grant.lane.tenant === 'quiet') startedAt.set(grant.messageId, performance.now());
      heard?.();
      return Promise.resolve(undefined);
    },
  });
  await worker.start();
  const list: number[] = [];
  for (let n = 0; n < count; n += 1) {
    const acceptedAt = performance.now();
    const id = await acceptOne(
      queue,
      { ...loadMessage(n, { conversations: 1_000_000, tenants: 1 }), tenant: 'quiet', conversation: `q${n}` },
      false,
    );
    while (!startedAt.has(id)) await new Promise<void>((resolve) => (heard = resolve));
    list.push((startedAt.get(id) ?? Number.NaN) - acceptedAt);
    await delay(20 + Math.random() * 40);
  }
  await worker.close();
  queue.close();
  return list;
}
