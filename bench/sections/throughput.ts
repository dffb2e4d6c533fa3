import type { AcceptMode, Contestant } from '../contestants/contestant.ts';
import { BullmqContestant } from '../contestants/bullmq.ts';
import { EngineContestant } from '../contestants/engine.ts';
import { GroupmqContestant } from '../contestants/groupmq.ts';
import { RawContestant } from '../contestants/raw.ts';
import { loadMessage, type LoadShape } from '../load.ts';
import {
  type BenchRedis,
  type Durability,
  scriptPercentileMs,
  type ServerCost,
  serverCost,
  startBenchRedis,
} from '../redis.ts';
import {
  type BenchContext,
  type Figure,
  rate,
  ratio,
  type Section,
  type SectionResult,
  type Table,
} from '../section.ts';
import { median } from '../statistics.ts';
import { measureOrder, ORDER_STEPS, type OrderCount, orderTable } from './order.ts';

const SHAPE: LoadShape = { conversations: 2000, tenants: 50 };
const PLACES = 50;
const DURABILITIES: readonly Durability[] = ['always', 'off'];

interface Entrant {
  readonly label: string;
  readonly make: () => Contestant;
  readonly mode: AcceptMode;
  /** Accepts under way, and messages in work, at once. */
  readonly places: number;
  readonly isDrained: boolean;
  /** Share of the messages: one by one is slow and needs no more. */
  readonly share: number;
}

const entrant = (label: string, make: () => Contestant, more: Partial<Entrant> = {}): Entrant => ({
  label,
  make,
  mode: 'single',
  places: PLACES,
  isDrained: true,
  share: 1,
  ...more,
});

const RAW = 'raw stream';
const BULL = 'BullMQ add';
const BULK = 'BullMQ addBulk (50)';
const BULL_KEYED = 'BullMQ add, own job id';
const BULL_ALONE = 'BullMQ add, one by one';
const GROUP = 'GroupMQ';
const OURS = 'Waxwing';
const OURS_KEYED = 'Waxwing, a key on each';
const OURS_UNPACED = 'Waxwing, no pair limits';
const OURS_ALONE = 'Waxwing, one by one';
/** The default of WORKER_CONCURRENCY. */
const MANY_PLACES = 200;
const BULL_MANY = `BullMQ add, ${MANY_PLACES} at once`;
const OURS_MANY = `Waxwing, ${MANY_PLACES} at once`;

const ENTRANTS: readonly Entrant[] = [
  entrant(RAW, () => new RawContestant()),
  entrant(OURS, () => new EngineContestant({ name: OURS })),
  entrant(BULL, () => new BullmqContestant(BULL)),
  entrant(OURS_KEYED, () => new EngineContestant({ name: OURS_KEYED }), { mode: 'keyed' }),
  entrant(BULK, () => new BullmqContestant(BULK), { mode: 'bulk', isDrained: false }),
  entrant(OURS_UNPACED, () => new EngineContestant({ name: OURS_UNPACED, limits: { pairBucketCapacity: 0 } })),
  entrant(BULL_KEYED, () => new BullmqContestant(BULL_KEYED), { mode: 'keyed', isDrained: false }),
  entrant(GROUP, () => new GroupmqContestant()),
  entrant(OURS_MANY, () => new EngineContestant({ name: OURS_MANY }), { places: MANY_PLACES }),
  entrant(BULL_MANY, () => new BullmqContestant(BULL_MANY), { places: MANY_PLACES }),
  entrant(BULL_ALONE, () => new BullmqContestant(BULL_ALONE), { places: 1, isDrained: false, share: 1 / 16 }),
  entrant(OURS_ALONE, () => new EngineContestant({ name: OURS_ALONE }), { places: 1, isDrained: false, share: 1 / 16 }),
];

interface Turn {
  readonly acceptPerSecond: number;
  readonly drainPerSecond: number;
  readonly accept: PerMessage;
  readonly drain: PerMessage;
  readonly drainScriptP99Ms: number;
}

interface PerMessage {
  readonly commands: number;
  readonly scriptCalls: number;
  readonly aofBytes: number;
}

const perMessage = (cost: ServerCost, count: number): PerMessage => ({
  commands: cost.commands / count,
  scriptCalls: cost.scripts / count,
  aofBytes: cost.aofBytes / count,
});

async function takeTurn(redis: BenchRedis, entry: Entrant, messages: number): Promise<Turn> {
  const count = Math.max(50, Math.round(messages * entry.share));
  await redis.clear();
  const contestant = entry.make();
  await contestant.open(redis.url);
  try {
    const before = await serverCost(redis.admin);
    const startedAt = performance.now();
    await contestant.accept({
      from: 0,
      count,
      places: entry.places,
      mode: entry.mode,
      message: (index) => loadMessage(index, SHAPE),
    });
    const acceptMs = performance.now() - startedAt;
    const accept = perMessage(await serverCost(redis.admin, before), count);
    const empty = { commands: 0, scriptCalls: 0, aofBytes: 0 };
    const acceptPerSecond = (count / acceptMs) * 1000;
    if (!entry.isDrained) {
      return { acceptPerSecond, drainPerSecond: Number.NaN, accept, drain: empty, drainScriptP99Ms: Number.NaN };
    }
    await redis.admin.config('RESETSTAT');
    const between = await serverCost(redis.admin);
    const drainMs = await contestant.drain({ count, places: entry.places, handle: () => Promise.resolve() });
    const drain = perMessage(await serverCost(redis.admin, between), count);
    const drainScriptP99Ms = await scriptPercentileMs(redis.admin, 'p99');
    return { acceptPerSecond, drainPerSecond: (count / drainMs) * 1000, accept, drain, drainScriptP99Ms };
  } finally {
    await contestant.close();
  }
}

type Turns = ReadonlyMap<string, readonly Turn[]>;

/** Rounds of one turn each, everybody in turn, the order moved on by one each time; the first round warms up only. */
async function runRounds(redis: BenchRedis, durability: Durability, context: BenchContext): Promise<Turns> {
  const turns = new Map<string, Turn[]>(ENTRANTS.map(({ label }) => [label, []]));
  for (let round = 0; round <= context.rounds; round += 1) {
    for (let n = 0; n < ENTRANTS.length; n += 1) {
      const entry = ENTRANTS[(n + round) % ENTRANTS.length];
      if (entry === undefined) continue;
      const isWarmUp = round === 0;
      context.step(`fsync ${durability}: ${entry.label}, ${isWarmUp ? 'warm-up' : `round ${round}`}`);
      const turn = await takeTurn(redis, entry, isWarmUp ? Math.ceil(context.messages / 4) : context.messages);
      if (!isWarmUp) turns.get(entry.label)?.push(turn);
    }
  }
  return turns;
}

const of = (turns: Turns, label: string, pick: (turn: Turn) => number): number[] => (turns.get(label) ?? []).map(pick);
const accepted = (turn: Turn): number => turn.acceptPerSecond;
const drained = (turn: Turn): number => turn.drainPerSecond;

/** Median over the rounds of what one did against the other in the same round. */
function against(turns: Turns, one: string, other: string, pick: (turn: Turn) => number): number {
  const others = of(turns, other, pick);
  return median(of(turns, one, pick).map((value, round) => value / (others[round] ?? Number.NaN)));
}

const text = (value: number): string => (Number.isNaN(value) ? '–' : rate(value));
const small = (value: number): string => (value === 0 ? '–' : value.toFixed(value < 1 ? 3 : 1));

function roundsTable(durability: Durability, turns: Turns): Table {
  return {
    title:
      durability === 'always' ? 'Every write on disk before its answer (appendfsync always)' : 'Append-only file off',
    columns: [
      '',
      'accept/s',
      'vs BullMQ',
      'drain/s',
      'vs BullMQ',
      'vs raw',
      'commands/message a+d',
      'script calls a+d',
      'AOF bytes a+d',
      'script p99 in drain',
    ],
    rows: ENTRANTS.map(({ label, isDrained }) => {
      const m = (pick: (turn: Turn) => number): number => median(of(turns, label, pick));
      const both = (pick: (cost: PerMessage) => number): string =>
        `${small(m((turn) => pick(turn.accept)))} + ${isDrained ? small(m((turn) => pick(turn.drain))) : '–'}`;
      return [
        label,
        text(m(accepted)),
        ratio(against(turns, label, BULL, accepted)),
        text(m(drained)),
        isDrained ? ratio(against(turns, label, BULL, drained)) : '–',
        isDrained ? ratio(against(turns, label, RAW, drained)) : '–',
        both((cost) => cost.commands),
        both((cost) => cost.scriptCalls),
        both((cost) => Math.round(cost.aofBytes)),
        Number.isNaN(m((turn) => turn.drainScriptP99Ms)) ? '–' : `${m((turn) => turn.drainScriptP99Ms).toFixed(2)} ms`,
      ];
    }),
  };
}

const NOTES = [
  'Medians of the rounds; ratios are medians of the ratios within one round. Messages of about 200 bytes, 2,000 conversations, 50 tenants, 50 at once where nothing else is said, a handler that does nothing.',
  'Waxwing: single accepts that one tick joins; drained with begin, order, tenant cap, sender cap, token bucket, pair bucket and lifecycle events on. BullMQ and raw streams keep no order and no limits; GroupMQ keeps order.',
];

function figures(results: ReadonlyMap<Durability, Turns>): Figure[] {
  const always = results.get('always') ?? new Map<string, Turn[]>();
  const off = results.get('off') ?? new Map<string, Turn[]>();
  const plain = against(always, OURS, BULL, accepted);
  const keyed = against(always, OURS_KEYED, BULL, accepted);
  const bull = [against(always, OURS, BULL, drained), against(off, OURS, BULL, drained)] as const;
  const raw = [against(always, OURS, RAW, drained), against(off, OURS, RAW, drained)] as const;
  const p99 = median(of(always, OURS, (turn) => turn.drainScriptP99Ms));
  const many = (turns: Turns, pick: (turn: Turn) => number) => ratio(against(turns, OURS_MANY, BULL_MANY, pick));
  return [
    {
      what: 'accept/s against BullMQ 6 `add`, fsync always · with a key on each',
      floor: '2× · 1.7×',
      aim: '3×',
      reached: `${ratio(plain)} · ${ratio(keyed)}`,
      isMet: plain >= 2 && keyed >= 1.7,
    },
    {
      what: 'drain/s against BullMQ 6, every guarantee on: fsync always · AOF off',
      floor: '1.3× · 1.6×',
      aim: '2.5×',
      reached: `${ratio(bull[0])} · ${ratio(bull[1])}`,
      isMet: bull[0] >= 1.3 && bull[1] >= 1.6,
    },
    {
      what: 'drain/s against raw stream operations: fsync always · AOF off',
      floor: '0.55 · 0.6',
      aim: '0.8',
      reached: `${raw[0].toFixed(2)} · ${raw[1].toFixed(2)}`,
      isMet: raw[0] >= 0.55 && raw[1] >= 0.6,
    },
    {
      what: `  with ${MANY_PLACES} at once on both sides, the default: accept/s · drain/s, fsync always · drain/s, AOF off`,
      floor: '',
      aim: '',
      reached: `${many(always, accepted)} · ${many(always, drained)} · ${many(off, drained)}`,
      isMet: null,
    },
    {
      what: 'script p99 during drain',
      floor: '≤ 2 ms',
      aim: '',
      reached: `${p99.toFixed(2)} ms`,
      isMet: p99 <= 2,
    },
  ];
}

function orderFigure(orders: readonly OrderCount[]): Figure {
  const ours = orders.find(({ label }) => label === 'Waxwing')?.outOfOrder ?? Number.NaN;
  return {
    what: 'messages out of order with a provider of 5 to 45 ms',
    floor: '0',
    aim: '0',
    reached: orders.map(({ label, outOfOrder }) => `${label} ${outOfOrder}`).join(' · '),
    isMet: ours === 0,
  };
}

async function run(context: BenchContext): Promise<SectionResult> {
  const results = new Map<Durability, Turns>();
  let orders: readonly OrderCount[] = [];
  for (const durability of DURABILITIES) {
    const redis = await startBenchRedis(durability);
    try {
      results.set(durability, await runRounds(redis, durability, context));
      if (durability === 'always') orders = await measureOrder(redis, context);
    } finally {
      await redis.stop();
    }
  }
  const drawn = [BULL, GROUP, RAW, OURS];
  return {
    figures: [...figures(results), orderFigure(orders)],
    tables: [
      ...[...results].map(([durability, turns], at) => ({
        ...roundsTable(durability, turns),
        ...(at === results.size - 1 ? { notes: NOTES } : {}),
      })),
      orderTable(orders),
    ],
    charts: [...results].flatMap(([durability, turns]) =>
      (['accept', 'drain'] as const).map((phase) => ({
        title: `${phase}/s, ${durability === 'always' ? 'fsync always' : 'AOF off'}`,
        unit: '/s',
        bars: [...drawn, ...(phase === 'accept' ? [BULK, OURS_KEYED] : [])].map((label) => ({
          label,
          value: median(of(turns, label, phase === 'accept' ? accepted : drained)),
          isOurs: label.startsWith(OURS),
        })),
      })),
    ),
    data: {
      rounds: Object.fromEntries([...results].map(([durability, turns]) => [durability, Object.fromEntries(turns)])),
      orders,
    },
  };
}

export const throughput: Section = {
  name: 'throughput',
  steps: ({ rounds }) => DURABILITIES.length * (rounds + 1) * ENTRANTS.length + ORDER_STEPS,
  run,
};
