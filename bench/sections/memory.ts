import type { Redis } from 'ioredis';
import { BullmqContestant } from '../contestants/bullmq.ts';
import type { AcceptMode, Contestant } from '../contestants/contestant.ts';
import { EngineContestant } from '../contestants/engine.ts';
import { keepKeys } from '../key-ways.ts';
import { loadMessage, type LoadShape } from '../load.ts';
import { type BenchRedis, startBenchRedis, usedBytes } from '../redis.ts';
import type { BenchContext, Section, SectionResult } from '../section.ts';

const BULL = 'BullMQ';
const OURS = 'Waxwing';

interface Spread {
  readonly label: string;
  readonly shape: (messages: number) => LoadShape;
}

const DEEP: Spread = {
  label: 'ten per conversation',
  shape: (messages) => ({ conversations: messages / 10, tenants: 50 }),
};
const FLAT: Spread = {
  label: 'one per conversation, ten per tenant',
  shape: (messages) => ({ conversations: messages, tenants: messages / 10 }),
};

interface Weight {
  readonly label: string;
  readonly spread: string;
  /** Bytes per message in the queue itself. */
  readonly queue: number;
  /** Bytes per message in what is kept until the recorder has it: events with bodies, and ids. */
  readonly unrecorded: number;
  /** Bytes per idempotency record at this fill. */
  readonly idempotency: number;
}

async function remove(client: Redis, pattern: string): Promise<void> {
  for (let cursor = '0'; ;) {
    const [next, keys] = await client.scan(cursor, 'MATCH', pattern, 'COUNT', 1000);
    if (keys.length > 0) await client.del(...keys);
    cursor = next;
    if (cursor === '0') return;
  }
}

interface Fill {
  readonly make: () => Contestant;
  readonly label: string;
  readonly mode: AcceptMode;
  readonly spread: Spread;
  readonly messages: number;
}

async function weigh(redis: BenchRedis, { make, label, mode, spread, messages }: Fill): Promise<Weight> {
  await redis.clear();
  const contestant = make();
  await contestant.open(redis.url);
  const { admin } = redis;
  const before = await usedBytes(admin);
  const shape = spread.shape(messages);
  await contestant.accept({
    from: 0,
    count: messages,
    places: 50,
    mode,
    message: (index) => loadMessage(index, shape),
  });
  const full = await usedBytes(admin);
  await remove(admin, '{wx:*}u:*');
  await remove(admin, '{wx:*}ev');
  const recorded = await usedBytes(admin);
  await remove(admin, '{wx:*}i:*');
  const bare = await usedBytes(admin);
  await contestant.close();
  return {
    label,
    spread: spread.label,
    queue: (bare - before) / messages,
    unrecorded: (full - recorded) / messages,
    idempotency: (recorded - bare) / messages,
  };
}

async function run(context: BenchContext): Promise<SectionResult> {
  const messages = context.isQuick ? 5000 : 20_000;
  // A table of hashes doubles: this is in the middle between two doublings.
  const keyed = context.isQuick ? 20_000 : 1_500_000;
  const redis = await startBenchRedis('off');
  const weights: Weight[] = [];
  try {
    for (const spread of [DEEP, FLAT]) {
      for (const [label, make] of [
        [BULL, () => new BullmqContestant(BULL)],
        [OURS, () => new EngineContestant({ name: OURS })],
      ] as const) {
        context.step(`${label}, ${spread.label}`);
        weights.push(await weigh(redis, { label, make, mode: 'single', spread, messages }));
      }
    }
    context.step(`idempotency records, ${keyed.toLocaleString('en-US')}`);
    weights.push(await weighKeys(redis, keyed));
  } finally {
    await redis.stop();
  }
  const of = (label: string, spread: Spread): Weight | undefined =>
    weights.find((weight) => weight.label === label && weight.spread === spread.label);
  const share = (spread: Spread): number =>
    (of(OURS, spread)?.queue ?? Number.NaN) / (of(BULL, spread)?.queue ?? Number.NaN);
  const [deep, flat] = [share(DEEP), share(FLAT)];
  const idempotency = weights.at(-1)?.idempotency ?? Number.NaN;
  const unrecorded = of(OURS, DEEP)?.unrecorded ?? Number.NaN;
  return {
    figures: [
      {
        what: 'Redis bytes per queued message against BullMQ: ten per conversation · one (ten per tenant)',
        floor: '≤ 0.35 · ≤ 0.65',
        aim: '0.3 · 0.5',
        reached: `${deep.toFixed(2)} · ${flat.toFixed(2)} (beside it per message: idempotency ${Math.round(idempotency)} B, unrecorded events ${Math.round(unrecorded)} B)`,
        isMet: deep <= 0.35 && flat <= 0.65,
      },
    ],
    tables: [
      {
        title: 'Redis memory per queued message, bytes',
        columns: ['', 'messages', 'queue', 'kept until recorded', 'idempotency record'],
        rows: weights.map(({ label, spread, queue, unrecorded: events, idempotency: key }) => [
          label,
          spread,
          queue > 0 ? String(Math.round(queue)) : '–',
          events > 1 ? String(Math.round(events)) : '–',
          key > 1 ? String(Math.round(key)) : '–',
        ]),
      },
    ],
    charts: [DEEP, FLAT].map((spread) => ({
      title: `Redis bytes per message, ${spread.label}`,
      unit: ' B',
      bars: [BULL, OURS].map((label) => ({
        label,
        value: of(label, spread)?.queue ?? Number.NaN,
        isOurs: label === OURS,
      })),
    })),
    data: weights,
  };
}

/** The records alone, as `accept` writes them: with the messages a fill of a day would take minutes. */
async function weighKeys(redis: BenchRedis, records: number): Promise<Weight> {
  await redis.clear();
  const before = await usedBytes(redis.admin);
  await keepKeys(redis, 'one hash a day', records);
  const after = await usedBytes(redis.admin);
  const spread = `${records.toLocaleString('en-US')} keys of one shard and day`;
  return { label: OURS, spread, queue: 0, unrecorded: 0, idempotency: (after - before) / records };
}

export const memory: Section = { name: 'memory', steps: () => 5, run };
