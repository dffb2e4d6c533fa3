import { setTimeout as delay } from 'node:timers/promises';
import { RedisSendQueue } from '../../src/engine/queue.ts';
import { newId } from '../../src/util/ids.ts';
import { acceptOne, OPEN_LIMITS } from '../contestants/engine.ts';
import { BenchWorker } from '../engine-worker.ts';
import { loadMessage } from '../load.ts';
import { startBenchRedis } from '../redis.ts';
import { type BenchContext, ms, type Section, type SectionResult } from '../section.ts';
import { quantile, summary } from '../statistics.ts';

const SHAPE = { conversations: 2000, tenants: 50 };

/** One message at a time through an idle engine, with every write on disk. */
async function run(context: BenchContext): Promise<SectionResult> {
  const messages = context.isQuick ? 100 : 600;
  const redis = await startBenchRedis('always');
  const queue = new RedisSendQueue({ redis: { url: redis.url, db: 0 }, shards: 1 });
  await queue.connect();
  await queue.configureSender(OPEN_LIMITS);
  const arrived = new Map<string, (at: number) => void>();
  const worker = new BenchWorker({
    url: redis.url,
    name: `w${newId()}`,
    slots: 50,
    handle: (grant) => {
      arrived.get(grant.lane.conversation)?.(performance.now());
      return Promise.resolve(undefined);
    },
  });
  await worker.start();
  const toReply: number[] = [];
  const toHandler: number[] = [];
  for (let n = 0; n < messages; n += 1) {
    if (n % 50 === 0) context.step(`idle accept to handler, ${n} of ${messages}`);
    const message = loadMessage(n, SHAPE);
    const handled = new Promise<number>((resolve) => arrived.set(message.conversation, resolve));
    const startedAt = performance.now();
    await acceptOne(queue, message, false);
    toReply.push(performance.now() - startedAt);
    toHandler.push((await handled) - startedAt);
    arrived.delete(message.conversation);
    // Longer than the settle takes: the next one finds everything idle again.
    await delay(8 + Math.random() * 8);
  }
  await worker.close();
  queue.close();
  await redis.stop();
  const [p50, p99] = [quantile(toHandler, 0.5), quantile(toHandler, 0.99)];
  return {
    figures: [
      {
        what: 'accept → handler when idle, after `begin` (no HTTP on either side; disk durability)',
        floor: '',
        aim: '',
        reached: `p50 ${ms(p50)}, p99 ${ms(p99)}`,
        isMet: null,
      },
    ],
    tables: [
      {
        title: 'Idle latency, appendfsync always, one message at a time',
        columns: ['from the accept call', 'p50', 'p95', 'p99', 'max'],
        rows: (
          [
            ['to its reply', toReply],
            ['to the handler (after begin)', toHandler],
          ] as const
        ).map(([label, sample]) => [label, ...[0.5, 0.95, 0.99, 1].map((share) => ms(quantile(sample, share)))]),
      },
    ],
    charts: [],
    data: { toReply: summary(toReply), toHandler: summary(toHandler) },
  };
}

export const latency: Section = { name: 'latency', steps: ({ isQuick }) => (isQuick ? 2 : 12), run };
