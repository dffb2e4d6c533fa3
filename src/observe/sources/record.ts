import type { Figure, MetricDefinition, MetricSource } from '../../model/figures.ts';
import type { Recorder, WaxwingRecord } from '../../record/index.ts';

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
    help: 'Age of the message that has waited longest, as far as recorded; 0 = none waits.',
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
}): MetricSource {
  const oldest = remembered(() => options.record.totals.oldestWaitingAtMs());
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
        ...(await fromPostgres(options.record, oldest)),
      ];
    },
  };
}

/** It looks at every tenant, so it is asked six times a minute at most. */
const OLDEST_FRESH_MS = 10_000;

function remembered<T>(read: () => Promise<T>): () => Promise<T> {
  let kept: { readonly value: T; readonly atMs: number } | undefined;
  return async () => {
    if (kept === undefined || performance.now() - kept.atMs >= OLDEST_FRESH_MS) {
      kept = { value: await read(), atMs: performance.now() };
    }
    return kept.value;
  };
}

async function fromPostgres(
  { totals }: Pick<WaxwingRecord, 'totals'>,
  oldestWaiting: () => Promise<number | null>,
): Promise<Figure[]> {
  try {
    const [oldest, quarantined] = await Promise.all([oldestWaiting(), totals.quarantined()]);
    const ageMs = oldest === null ? 0 : Math.max(0, Date.now() - oldest);
    return [
      { name: 'waxwing_postgres_up', value: 1 },
      { name: 'waxwing_oldest_waiting_seconds', value: ageMs / 1000 },
      ...quarantined.map(({ shard, count }) => ({
        name: 'waxwing_recorder_quarantined',
        labels: { shard: String(shard) },
        value: count,
      })),
    ];
  } catch {
    return [{ name: 'waxwing_postgres_up', value: 0 }];
  }
}
