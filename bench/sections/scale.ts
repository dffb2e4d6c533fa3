import { RedisSendQueue } from '../../src/engine/queue.ts';
import { newId } from '../../src/util/ids.ts';
import { acceptOne, OPEN_LIMITS } from '../contestants/engine.ts';
import { BenchWorker } from '../engine-worker.ts';
import { atOnce, loadMessage, type LoadShape } from '../load.ts';
import { type BenchRedis, startBenchRedis } from '../redis.ts';
import { type BenchContext, rate, type Section, type SectionResult } from '../section.ts';
import { median } from '../statistics.ts';

const SHAPE: LoadShape = { conversations: 100_000, tenants: 10_000 };
const PLACES = 50;
const PRELOAD_PLACES = 400;

interface Level {
  readonly queued: number;
  readonly redis: BenchRedis;
  readonly queue: RedisSendQueue;
  next: number;
  readonly accepts: number[];
  readonly drains: number[];
}

/** Each level has a server of its own, so that the rounds can go from one to the next and share what the machine does. */
async function fill(queued: number, context: BenchContext): Promise<Level> {
  context.step(`filling ${rate(queued)}`);
  const redis = await startBenchRedis('off');
  const queue = new RedisSendQueue({ redis: { url: redis.url, db: 0 }, shards: 1, commandTimeoutMs: 60_000 });
  await queue.connect();
  await queue.configureSender(OPEN_LIMITS);
  const level: Level = { queued, redis, queue, next: 0, accepts: [], drains: [] };
  for (let left = queued; left > 0; left -= 50_000) {
    await accept(level, Math.min(left, 50_000), PRELOAD_PLACES);
    await record(level);
  }
  return level;
}

async function accept(level: Level, count: number, places: number): Promise<number> {
  const startedAt = performance.now();
  await atOnce(count, places, (index) => acceptOne(level.queue, loadMessage(index, SHAPE), false), level.next);
  level.next += count;
  return (count / (performance.now() - startedAt)) * 1000;
}

async function drain(level: Level, count: number): Promise<number> {
  const worker = new BenchWorker({
    url: level.redis.url,
    name: `w${newId()}`,
    slots: PLACES,
    handle: () => Promise.resolve(undefined),
  });
  const startedAt = performance.now();
  await worker.start();
  await worker.settledCount(count);
  const perSecond = (count / (performance.now() - startedAt)) * 1000;
  await worker.close();
  return perSecond;
}

/** As the recorder does: what is recorded is no longer in Redis. */
async function record({ redis }: Level): Promise<void> {
  const ids = await redis.admin.keys('{wx:0}u:*');
  await redis.admin.del('{wx:0}ev', ...ids);
}

async function run(context: BenchContext): Promise<SectionResult> {
  const sizes = context.isQuick ? [1000, 10_000, 50_000] : [10_000, 100_000, 1_000_000];
  const batch = context.isQuick ? 2000 : 20_000;
  const levels: Level[] = [];
  try {
    for (const size of sizes) levels.push(await fill(size, context));
    for (let round = 0; round <= context.rounds; round += 1) {
      for (const level of levels) {
        const isWarmUp = round === 0;
        context.step(`${rate(level.queued)} queued, ${isWarmUp ? 'warm-up' : `round ${round}`}`);
        const accepted = await accept(level, batch, PLACES);
        const drained = await drain(level, batch);
        await record(level);
        if (isWarmUp) continue;
        level.accepts.push(accepted);
        level.drains.push(drained);
      }
    }
  } finally {
    for (const { queue, redis } of levels) {
      queue.close();
      await redis.stop();
    }
  }
  const first = levels[0];
  const last = levels.at(-1);
  const against = (pick: (level: Level) => readonly number[]): number => {
    if (first === undefined || last === undefined) return Number.NaN;
    return median(pick(last).map((value, at) => value / (pick(first)[at] ?? Number.NaN)));
  };
  const accepts = against((level) => level.accepts);
  const drains = against((level) => level.drains);
  const name = `${rate(last?.queued ?? 0)} queued against ${rate(first?.queued ?? 0)}`;
  return {
    figures: [
      {
        what: `accept · drain at ${name}`,
        floor: '≥ 0.85',
        aim: '0.95 at 10 M',
        reached: `${accepts.toFixed(2)} · ${drains.toFixed(2)}`,
        isMet: accepts >= 0.85 && drains >= 0.85,
      },
    ],
    tables: [
      {
        title: `Waxwing alone, 100,000 conversations, 10,000 tenants, AOF off: ${rate(batch)} accepted and drained at each level`,
        columns: ['queued', 'accept/s', 'drain/s'],
        rows: levels.map(({ queued, accepts: a, drains: d }) => [rate(queued), rate(median(a)), rate(median(d))]),
      },
    ],
    charts: [
      {
        title: 'drain/s by messages queued',
        unit: '/s',
        bars: levels.map(({ queued, drains: d }) => ({
          label: `${rate(queued)} queued`,
          value: median(d),
          isOurs: true,
        })),
      },
    ],
    data: levels.map(({ queued, accepts: a, drains: d }) => ({ queued, accepts: a, drains: d })),
  };
}

export const scale: Section = { name: 'scale', steps: ({ rounds }) => 3 + 3 * (rounds + 1), run };
