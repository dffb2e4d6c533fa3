import { BullmqContestant } from '../contestants/bullmq.ts';
import type { Contestant } from '../contestants/contestant.ts';
import { EngineContestant } from '../contestants/engine.ts';
import { atMost, type BenchContext, type SectionResult } from '../figures.ts';
import { loadMessage, type LoadShape } from '../load.ts';
import { type BenchRedis, info, startBenchRedis } from '../redis.ts';

interface Bytes {
  readonly queued: number;
  readonly unrecorded: number;
  readonly idempotency: number;
}

/** Redis bytes per queued message; events that wait for the record and idempotency told apart. */
export async function memory({ quick, step }: BenchContext): Promise<SectionResult> {
  const count = quick ? 4000 : 40_000;
  const redis = await startBenchRedis('off');
  try {
    const shapes: { label: string; shape: LoadShape; floor: number; aim: number }[] = [
      {
        label: 'ten per conversation',
        shape: { conversations: count / 10, tenants: count / 100 },
        floor: 0.35,
        aim: 0.3,
      },
      {
        label: 'one per conversation, ten per tenant',
        shape: { conversations: count, tenants: count / 10 },
        floor: 0.65,
        aim: 0.5,
      },
    ];
    step('memory: BullMQ');
    const bullmq = await bytesOf(
      redis,
      new BullmqContestant('BullMQ'),
      shapes[0]?.shape ?? { conversations: 1, tenants: 1 },
      count,
    );
    const rows: string[][] = [['BullMQ', bullmq.queued.toFixed(0), '–', '–', '1.00']];
    const figures = [];
    const data: Record<string, Bytes> = { BullMQ: bullmq };
    for (const { label, shape, floor, aim } of shapes) {
      step(`memory: ${label}`);
      const bytes = await bytesOf(redis, new EngineContestant({ name: 'Waxwing' }), shape, count);
      data[label] = bytes;
      const ratio = bytes.queued / bullmq.queued;
      rows.push([
        `Waxwing, ${label}`,
        ...[bytes.queued, bytes.unrecorded, bytes.idempotency].map((one) => one.toFixed(0)),
        ratio.toFixed(2),
      ]);
      figures.push(atMost(`Redis bytes per queued message against BullMQ, ${label}`, floor, aim, ratio));
    }
    const head = ['', 'queued', 'until recorded', 'idempotency (24 h)', 'queued against BullMQ'];
    return { figures, tables: [{ title: 'Redis bytes per message of about 200 bytes', head, rows }], data };
  } finally {
    await redis.stop();
  }
}

async function bytesOf(redis: BenchRedis, contestant: Contestant, shape: LoadShape, count: number): Promise<Bytes> {
  await redis.clear();
  await contestant.open(redis.url);
  const empty = await used(redis);
  const mode = contestant instanceof EngineContestant ? 'keyed' : 'single';
  await contestant.accept({ from: 0, count, places: 50, mode, message: (index) => loadMessage(index, shape) });
  const full = await used(redis);
  const withoutKeys = await afterRemoving(redis, '{wx:0}i:*');
  await redis.admin.del('{wx:0}ev');
  const queued = await afterRemoving(redis, '{wx:0}u:*');
  await contestant.close();
  return {
    queued: (queued - empty) / count,
    unrecorded: (withoutKeys - queued) / count,
    idempotency: (full - withoutKeys) / count,
  };
}

async function afterRemoving(redis: BenchRedis, pattern: string): Promise<number> {
  for await (const keys of redis.admin.scanStream({ match: pattern, count: 1000 })) {
    const list = keys as string[];
    if (list.length > 0) await redis.admin.del(...list);
  }
  return await used(redis);
}

async function used(redis: BenchRedis): Promise<number> {
  return Number((await info(redis.admin, 'memory')).get('used_memory_dataset') ?? Number.NaN);
}
