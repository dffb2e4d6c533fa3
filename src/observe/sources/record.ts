import type { Figure, MetricDefinition, MetricSource } from '../../model/figures.ts';
import type { OpenTotals, Recorder, WaxwingRecord } from '../../record/index.ts';

const own = { type: 'gauge', scope: 'process' } as const;
const shared = { type: 'gauge', scope: 'shared' } as const;

export const RECORD_METRICS: readonly MetricDefinition[] = [
  { ...own, name: 'waxwing_postgres_up', help: '1 while this process reaches PostgreSQL.' },
  {
    ...own,
    name: 'waxwing_postgres_connections',
    help: 'Connections of this process by state; waiting = calls that have none yet.',
    labels: ['state'],
  },
  { ...own, name: 'waxwing_postgres_connections_max', help: 'Most connections that the pool opens.' },
  {
    ...shared,
    name: 'waxwing_oldest_waiting_seconds',
    help: 'Age of the message that has waited longest, as far as recorded; 0 = none waits. Asked every 10 s at most.',
  },
  {
    ...shared,
    name: 'waxwing_delivery_failures',
    help: 'Rows of the failure record, by state (PENDING, FAILED); counted up to 10,000.',
    labels: ['status'],
  },
  {
    ...shared,
    name: 'waxwing_dead_letters',
    help: 'Dead letters that nobody has redriven or discarded; counted up to 10,000.',
  },
  {
    ...shared,
    name: 'waxwing_messages_without_status',
    help: 'Messages sent longer ago than STATUS_WATCHDOG_SECONDS and less than a week ago of which no status came; counted up to 10,000.',
  },
  {
    ...shared,
    name: 'waxwing_recorder_quarantined',
    help: 'Events that could not be recorded and need a person.',
    labels: ['shard'],
  },
  { ...own, name: 'waxwing_recorder_active', help: '1 where this process records the shard.', labels: ['shard'] },
];

/** PostgreSQL and what only it knows. */
export function recordSource(options: {
  readonly record: Pick<WaxwingRecord, 'connections' | 'totals'>;
  readonly recorders: () => readonly Pick<Recorder, 'state'>[];
  /** A message sent longer ago than this should have a status by now. */
  readonly silentAfterSeconds: number;
}): MetricSource {
  const { totals } = options.record;
  const counted = remembered(async () => {
    const [oldest, open] = await Promise.all([totals.oldestWaitingAtMs(), totals.open(options)]);
    return { oldest, open };
  });
  return {
    name: 'record',
    metrics: RECORD_METRICS,
    async read() {
      const { open, idle, waiting, max } = options.record.connections();
      return [
        ...Object.entries({ used: open - idle, idle, waiting }).map(([state, value]) => ({
          name: 'waxwing_postgres_connections',
          labels: { state },
          value,
        })),
        { name: 'waxwing_postgres_connections_max', value: max },
        ...options.recorders().map((recorder, shard) => ({
          name: 'waxwing_recorder_active',
          labels: { shard: String(shard) },
          value: recorder.state().phase === 'recording' ? 1 : 0,
        })),
        ...(await fromPostgres(totals, counted)),
      ];
    },
  };
}

/** They look at every tenant and at thousands of rows, so they are asked six times a minute at most. */
const COUNTED_FRESH_MS = 10_000;

function remembered<T>(read: () => Promise<T>): () => Promise<T> {
  let kept: { readonly value: T; readonly atMs: number } | undefined;
  return async () => {
    if (kept === undefined || performance.now() - kept.atMs >= COUNTED_FRESH_MS) {
      kept = { value: await read(), atMs: performance.now() };
    }
    return kept.value;
  };
}

async function fromPostgres(
  totals: WaxwingRecord['totals'],
  counted: () => Promise<{ readonly oldest: number | null; readonly open: OpenTotals }>,
): Promise<Figure[]> {
  try {
    const [{ oldest, open }, quarantined] = await Promise.all([counted(), totals.quarantined()]);
    const ageMs = oldest === null ? 0 : Math.max(0, Date.now() - oldest);
    return [
      { name: 'waxwing_postgres_up', value: 1 },
      { name: 'waxwing_oldest_waiting_seconds', value: ageMs / 1000 },
      { name: 'waxwing_delivery_failures', labels: { status: 'PENDING' }, value: open.pending },
      { name: 'waxwing_delivery_failures', labels: { status: 'FAILED' }, value: open.failed },
      { name: 'waxwing_dead_letters', value: open.deadLetters },
      { name: 'waxwing_messages_without_status', value: open.silent },
      // One series for each shard also when there is nothing, so that an alert can end.
      ...sharesOf(quarantined).map(([shard, value]) => ({
        name: 'waxwing_recorder_quarantined',
        labels: { shard },
        value,
      })),
    ];
  } catch {
    return [{ name: 'waxwing_postgres_up', value: 0 }];
  }
}

function sharesOf(quarantined: readonly { readonly shard: number; readonly count: number }[]): [string, number][] {
  if (quarantined.length === 0) return [['0', 0]];
  return quarantined.map(({ shard, count }) => [String(shard), count]);
}
