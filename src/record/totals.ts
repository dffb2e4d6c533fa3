import type { Database, Row } from './database.ts';
import type { RecordTotal } from './types.ts';

/** Counting reads every message: an audit may take its time, a request may not. */
const COUNT_TIMEOUT_MS = 120_000;

export interface Totals {
  /** Recorded messages by shard and state; what `waxwing doctor` compares with the engine's counters. */
  byStatus(): Promise<RecordTotal[]>;
  /** When the longest waiting message was accepted, epoch ms; null = none waits, as far as recorded. */
  oldestWaitingAtMs(): Promise<number | null>;
  /** Events that could not be recorded, by shard. Anything but an empty list needs a person. */
  quarantined(): Promise<{ readonly shard: number; readonly count: number }[]>;
}

export function totalsOf(database: Database): Totals {
  return {
    async byStatus() {
      return database.query<RecordTotal & Row>(
        `select shard, engine_status as "engineStatus", status, count(*) as count
         from messages group by shard, engine_status, status order by shard, engine_status, status`,
        [],
        { timeoutMs: COUNT_TIMEOUT_MS },
      );
    },
    async oldestWaitingAtMs() {
      const [row] = await database.query<{ at: number | null } & Row>(
        // One look into the index for each tenant, instead of an index that every message would have to be put into.
        `select extract(epoch from min(first.created_at))::float8 * 1000 as at
         from tenants tenant cross join lateral (
           select message.created_at from messages message
           where message.tenant = tenant.id and message.status = 'queued'
           order by message.created_at, message.id limit 1
         ) first`,
      );
      return row?.at ?? null;
    },
    async quarantined() {
      return database.query<{ shard: number; count: number } & Row>(
        'select shard, count(*) as count from recorder_quarantine group by shard order by shard',
      );
    },
  };
}
