import { setTimeout as delay } from 'node:timers/promises';
import { RedisSendQueue } from '../../src/engine/queue.ts';
import { newId } from '../../src/util/ids.ts';
import { acceptOne, OPEN_LIMITS } from '../contestants/engine.ts';
import { BenchWorker } from '../engine-worker.ts';
import { atOnce, type LoadMessage, loadMessage } from '../load.ts';
import { type BenchRedis, startBenchRedis } from '../redis.ts';
import { type BenchContext, ms, rate, type Section, type SectionResult } from '../section.ts';
import { quantile, summary } from '../statistics.ts';

const RATE = 80;
const TOKEN_MS = 1000 / RATE;

interface Neighbours {
  readonly label: string;
  readonly tenants: number;
}
const NEIGHBOURS: readonly Neighbours[] = [
  { label: 'alone', tenants: 0 },
  { label: 'beside 1 tenant', tenants: 1 },
  { label: 'beside 1,000 tenants', tenants: 1000 },
];

const quietMessage = (n: number): LoadMessage => ({
  ...loadMessage(n, { conversations: 500, tenants: 1 }),
  tenant: 'quiet',
  conversation: `quiet${n}`,
});

/** A tenant with a message now and then, on a sender that the others keep busy for hours. */
async function listen(redis: BenchRedis, tenants: number, queued: number, samples: number): Promise<number[]> {
  await redis.clear();
  const queue = new RedisSendQueue({ redis: { url: redis.url, db: 0 }, shards: 1, commandTimeoutMs: 20_000 });
  await queue.connect();
  // A burst of one: what is measured is the wait for a turn, and tokens come evenly.
  await queue.configureSender({ ...OPEN_LIMITS, ratePerSecond: RATE, burst: 1 });
  if (tenants > 0) {
    await redis.admin.config('SET', 'appendfsync', 'no');
    const shape = { conversations: Math.max(tenants, 1000), tenants };
    await atOnce(queued, 400, (index) => acceptOne(queue, loadMessage(index, shape), false));
    await redis.admin.config('SET', 'appendfsync', 'always');
  }
  const arrived = new Map<string, (at: number) => void>();
  const worker = new BenchWorker({
    url: redis.url,
    name: `w${newId()}`,
    slots: 50,
    handle: async (grant) => {
      arrived.get(grant.lane.conversation)?.(performance.now());
      await delay(20); // a provider
      return undefined;
    },
  });
  await worker.start();
  const waits: Promise<number>[] = [];
  for (let n = 0; n < samples; n += 1) {
    const message = quietMessage(n);
    const startedAt = performance.now();
    const handled = new Promise<number>((resolve) => {
      arrived.set(message.conversation, (at) => {
        resolve(at - startedAt);
      });
    });
    waits.push(handled);
    await acceptOne(queue, message, false);
    await delay(30 + Math.random() * 40);
  }
  const sample = await Promise.all(waits);
  await worker.close();
  queue.close();
  return sample;
}

async function run(context: BenchContext): Promise<SectionResult> {
  // Enough that every neighbour has more waiting than places: with less they too would be quiet.
  const queued = context.isQuick ? 20_000 : 100_000;
  const samples = context.isQuick ? 60 : 400;
  const redis = await startBenchRedis('always');
  const results: { label: string; sample: number[] }[] = [];
  try {
    for (const { label, tenants } of NEIGHBOURS) {
      context.step(`quiet tenant ${label}`);
      results.push({ label, sample: await listen(redis, tenants, queued, samples) });
    }
  } finally {
    await redis.stop();
  }
  const [alone = Number.NaN, one = Number.NaN, many = Number.NaN] = results.map(({ sample }) => quantile(sample, 0.99));
  const bound = 1.5 * alone + TOKEN_MS;
  return {
    figures: [
      {
        what: `quiet tenant's p99 beside 1 · beside 1,000 tenants with ${rate(queued)} queued on the same ${RATE}/s sender`,
        floor: '≤ 1.5 × alone + one token interval',
        aim: '',
        reached: `${ms(one)} · ${ms(many)} (bound ${ms(bound)}, alone ${ms(alone)})`,
        isMet: one <= bound && many <= bound,
      },
    ],
    tables: [
      {
        title: `A quiet tenant on a sender of ${RATE}/s: accept → handler, appendfsync always`,
        columns: ['', 'samples', 'p50', 'p95', 'p99', 'max'],
        rows: results.map(({ label, sample }) => [
          label,
          String(sample.length),
          ...[0.5, 0.95, 0.99, 1].map((share) => ms(quantile(sample, share))),
        ]),
      },
    ],
    charts: [
      {
        title: "quiet tenant's p99, accept to handler",
        unit: ' ms',
        bars: results.map(({ label, sample }) => ({ label, value: quantile(sample, 0.99), isOurs: true })),
      },
    ],
    data: results.map(({ label, sample }) => ({ label, ...summary(sample) })),
  };
}

export const quiet: Section = { name: 'quiet', steps: () => NEIGHBOURS.length, run };
