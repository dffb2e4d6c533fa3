import { setTimeout as delay } from 'node:timers/promises';
import { BullmqContestant } from '../contestants/bullmq.ts';
import type { AcceptMode, Contestant } from '../contestants/contestant.ts';
import { EngineContestant } from '../contestants/engine.ts';
import { GroupmqContestant } from '../contestants/groupmq.ts';
import { RawContestant } from '../contestants/raw.ts';
import {
  atLeast,
  atMost,
  type BenchContext,
  type Figure,
  perSecond,
  type SectionResult,
  type Table,
  thousands,
} from '../figures.ts';
import { loadMessage } from '../load.ts';
import { type BenchRedis, type Durability, scriptPercentileMs, serverCost, startBenchRedis } from '../redis.ts';
import { median } from '../statistics.ts';

/** 2,000 conversations of 50 tenants, 50 calls at once, a handler that does nothing. */
const SHAPE = { conversations: 2000, tenants: 50 };
const PLACES = 50;

interface Entry {
  readonly label: string;
  readonly mode: AcceptMode;
  readonly make: () => Contestant;
}

const ENTRIES: readonly Entry[] = [
  { label: 'raw stream', mode: 'single', make: () => new RawContestant() },
  { label: 'BullMQ add', mode: 'single', make: () => new BullmqContestant('BullMQ add') },
  { label: 'BullMQ addBulk', mode: 'bulk', make: () => new BullmqContestant('BullMQ addBulk') },
  { label: 'GroupMQ', mode: 'single', make: () => new GroupmqContestant() },
  { label: 'Waxwing', mode: 'single', make: () => new EngineContestant({ name: 'Waxwing' }) },
  { label: 'Waxwing, a key each', mode: 'keyed', make: () => new EngineContestant({ name: 'Waxwing' }) },
];

interface Sample {
  readonly acceptPerSecond: number;
  readonly drainPerSecond: number;
  readonly commandsPerMessage: number;
  readonly aofBytesPerMessage: number;
  readonly scriptP99Ms: number;
}

export async function throughput(context: BenchContext): Promise<SectionResult> {
  const figures: Figure[] = [];
  const tables: Table[] = [];
  const data: Record<string, unknown> = {};
  for (const durability of ['always', 'off'] as const) {
    const samples = await measureAll(durability, context);
    data[durability] = Object.fromEntries(samples);
    tables.push(tableOf(durability, samples));
    figures.push(...figuresOf(durability, samples));
  }
  context.step('order with a provider of 5 to 45 ms');
  const disorder = await outOfOrder(context);
  data['outOfOrder'] = disorder;
  tables.push({
    title: 'Out of order, provider of 5 to 45 ms, 50 at once',
    head: ['', 'messages', 'out of order'],
    rows: disorder.map(({ label, count, wrong }) => [label, thousands(count), thousands(wrong)]),
  });
  const ours = disorder.find(({ label }) => label === 'Waxwing');
  figures.push(atMost('messages out of order', 0, 0, ours?.wrong ?? Number.NaN));
  return { figures, tables, data };
}

async function measureAll(durability: Durability, context: BenchContext): Promise<Map<string, Sample[]>> {
  const samples = new Map<string, Sample[]>(ENTRIES.map(({ label }) => [label, []]));
  const redis = await startBenchRedis(durability);
  try {
    for (let round = 0; round < context.rounds; round += 1) {
      // Each round begins with another one, so that none always runs on the warmest or the most tired machine.
      const turn = ENTRIES.map((_, index) => ENTRIES[(index + round) % ENTRIES.length]).filter(
        (one) => one !== undefined,
      );
      for (const entry of turn) {
        context.step(`throughput, AOF ${durability}, round ${round + 1}: ${entry.label}`);
        samples.get(entry.label)?.push(await measure(entry, redis, context.quick ? 1500 : 8000));
      }
    }
  } finally {
    await redis.stop();
  }
  return samples;
}

async function measure({ mode, make }: Entry, redis: BenchRedis, count: number): Promise<Sample> {
  await redis.clear();
  const contestant = make();
  await contestant.open(redis.url);
  const message = (index: number) => loadMessage(index, SHAPE);
  const before = await serverCost(redis.admin);
  const startedAt = performance.now();
  await contestant.accept({ from: 0, count, places: PLACES, mode, message });
  const acceptMs = performance.now() - startedAt;
  await redis.admin.config('RESETSTAT');
  const middle = await serverCost(redis.admin);
  const drainMs = await contestant.drain({ count, places: PLACES, handle: () => Promise.resolve() });
  const scriptP99Ms = await scriptPercentileMs(redis.admin, 'p99');
  const drained = await serverCost(redis.admin, middle);
  await contestant.close();
  return {
    acceptPerSecond: perSecond(count, acceptMs),
    drainPerSecond: perSecond(count, drainMs),
    commandsPerMessage: drained.commands / count,
    aofBytesPerMessage: (drained.aofBytes + middle.aofBytes - before.aofBytes) / count,
    scriptP99Ms,
  };
}

function tableOf(durability: Durability, samples: ReadonlyMap<string, readonly Sample[]>): Table {
  const rows = [...samples].map(([label, list]) => [
    label,
    thousands(of(list, 'acceptPerSecond')),
    thousands(of(list, 'drainPerSecond')),
    of(list, 'commandsPerMessage').toFixed(1),
    durability === 'off' ? '–' : thousands(of(list, 'aofBytesPerMessage')),
  ]);
  return {
    title: `AOF ${durability === 'always' ? 'fsynced on every write' : 'off'}: medians of ${samples.get('Waxwing')?.length ?? 0} interleaved rounds`,
    head: ['', 'accept/s', 'drain/s', 'commands per drained message', 'AOF bytes per message'],
    rows,
  };
}

function figuresOf(durability: Durability, samples: ReadonlyMap<string, readonly Sample[]>): Figure[] {
  const get = (label: string) => samples.get(label) ?? [];
  const ratio = (label: string, other: string, key: keyof Sample) =>
    median(get(label).map((one, round) => one[key] / (get(other)[round]?.[key] ?? Number.NaN)));
  const isAlways = durability === 'always';
  const name = isAlways ? 'fsync always' : 'AOF off';
  const accept = ratio('Waxwing', 'BullMQ add', 'acceptPerSecond');
  const keyed = ratio('Waxwing, a key each', 'BullMQ add', 'acceptPerSecond');
  const drain = ratio('Waxwing', 'BullMQ add', 'drainPerSecond');
  const raw = ratio('Waxwing', 'raw stream', 'drainPerSecond');
  const figures = [
    atLeast(`drain/s against BullMQ, ${name}`, isAlways ? 1.3 : 1.6, 2.5, drain),
    atLeast(`drain/s against raw stream operations, ${name}`, isAlways ? 0.55 : 0.6, 0.8, raw),
  ];
  if (!isAlways) return figures;
  return [
    atLeast('accept/s against BullMQ add, fsync always', 2, 3, accept),
    atLeast('accept/s with an idempotency key each, fsync always', 1.7, 3, keyed),
    ...figures,
    atMost('script p99 during drain', 2, null, of(get('Waxwing'), 'scriptP99Ms'), ' ms'),
  ];
}

function of(samples: readonly Sample[], key: keyof Sample): number {
  return median(samples.map((one) => one[key]));
}

/** Starts at the provider, per conversation: each must be younger than the one before. */
async function outOfOrder({ quick }: BenchContext) {
  const count = quick ? 400 : 2000;
  const redis = await startBenchRedis('off');
  const results: { label: string; count: number; wrong: number }[] = [];
  try {
    for (const { label, mode, make } of ENTRIES.filter((one) =>
      ['BullMQ add', 'GroupMQ', 'Waxwing'].includes(one.label),
    )) {
      await redis.clear();
      const contestant = make();
      await contestant.open(redis.url);
      const message = (index: number) => loadMessage(index, { conversations: 100, tenants: 10 });
      await contestant.accept({ from: 0, count, places: 1, mode, message });
      const last = new Map<string, number>();
      let wrong = 0;
      await contestant.drain({
        count,
        places: PLACES,
        handle: async ({ conversation, index }) => {
          await delay(5 + Math.random() * 40);
          // Judged at the end of the call: the moment at which the provider has it.
          if (index < (last.get(conversation) ?? -1)) wrong += 1;
          last.set(conversation, Math.max(index, last.get(conversation) ?? -1));
        },
      });
      results.push({ label, count, wrong });
      await contestant.close();
    }
  } finally {
    await redis.stop();
  }
  return results;
}
