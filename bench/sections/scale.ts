import { EngineContestant } from '../contestants/engine.ts';
import { atLeast, type BenchContext, perSecond, type SectionResult, thousands } from '../figures.ts';
import { loadMessage } from '../load.ts';
import { startBenchRedis } from '../redis.ts';

const SHAPE = { conversations: 100_000, tenants: 10_000 };
/** Accepted and drained on top of what is queued, at each level. */
const PROBE = 20_000;

interface Level {
  readonly queued: number;
  readonly acceptPerSecond: number;
  readonly drainPerSecond: number;
}

/** The engine alone with more and more queued, over 100,000 conversations of 10,000 tenants. */
export async function scale({ quick, step }: BenchContext): Promise<SectionResult> {
  const levels = quick ? [2000, 10_000] : [10_000, 100_000, 1_000_000];
  const probe = quick ? 1000 : PROBE;
  const redis = await startBenchRedis('off');
  const results: Level[] = [];
  try {
    const engine = new EngineContestant({ name: 'Waxwing' });
    await engine.open(redis.url);
    let next = 0;
    let queued = 0;
    const message = (index: number) => loadMessage(index, SHAPE);
    const add = async (count: number) => {
      await engine.accept({ from: next, count, places: 200, mode: 'single', message });
      next += count;
      queued += count;
      // Nobody records here; in a program the recorder forgets the events.
      await redis.admin.del('{wx:0}ev');
    };
    for (const level of levels) {
      step(`scale: filling to ${thousands(level)}`);
      while (queued < level) await add(Math.min(50_000, level - queued));
      step(`scale: measuring at ${thousands(level)}`);
      // Twice, the better one: a hiccup of the machine must not look like a slope.
      const accepts: number[] = [];
      const drains: number[] = [];
      for (let run = 0; run < 2; run += 1) {
        const startedAt = performance.now();
        await add(probe);
        accepts.push(perSecond(probe, performance.now() - startedAt));
        drains.push(
          perSecond(probe, await engine.drain({ count: probe, places: 50, handle: () => Promise.resolve() })),
        );
        queued -= probe;
      }
      results.push({ queued: level, acceptPerSecond: Math.max(...accepts), drainPerSecond: Math.max(...drains) });
    }
    await engine.close();
  } finally {
    await redis.stop();
  }
  const [first, last] = [results[0], results.at(-1)];
  const ratio = (key: 'acceptPerSecond' | 'drainPerSecond') =>
    (last?.[key] ?? Number.NaN) / (first?.[key] ?? Number.NaN);
  const span = `${thousands(levels.at(-1) ?? 0)} queued against ${thousands(levels[0] ?? 0)}`;
  return {
    figures: [
      atLeast(`accept/s at ${span}`, 0.85, 0.95, ratio('acceptPerSecond')),
      atLeast(`drain/s at ${span}`, 0.85, 0.95, ratio('drainPerSecond')),
    ],
    tables: [
      {
        title: 'The engine alone, AOF off, 100,000 conversations of 10,000 tenants',
        head: ['queued', 'accept/s', 'drain/s'],
        rows: results.map((one) => [one.queued, one.acceptPerSecond, one.drainPerSecond].map(thousands)),
      },
    ],
    data: results,
  };
}
