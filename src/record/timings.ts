import type { Database, Row } from './database.ts';

/** Figures of the newest attempts; null when there were none. All times in ms. */
export interface AttemptTimings {
  readonly attempts: number;
  /** From the first byte to the provider's answer. */
  readonly processingMs: { readonly p50: number; readonly p95: number; readonly p99: number };
  /** From the accept to the start of the first attempt. */
  readonly acceptToProviderMs: { readonly p50: number; readonly p95: number; readonly p99: number };
}

export interface Timings {
  /** Of the newest messages, at most `messagesMax` (default 1,000): read along the primary key, so it stays cheap. */
  recent(messagesMax?: number): Promise<AttemptTimings | null>;
  /** How long attempts of a sender take on average, ms, by the newest 2,000 of all senders; null when none is its. */
  meanOf(sender: string): Promise<number | null>;
}

interface TimingRow extends Row {
  readonly attempts: number;
  readonly processing: number[] | null;
  readonly waiting: number[] | null;
}

export function timingsOf(database: Database): Timings {
  return {
    async recent(messagesMax = 1000) {
      const [row] = await database.query<TimingRow>(
        // Ids are UUIDv7: the greatest are the newest.
        `with newest as (
           select a.message_id, a.attempt, a.started_at, a.ended_at
           from attempts a order by a.message_id desc, a.attempt desc limit $1
         )
         select count(*)::int as attempts,
           percentile_cont(array[0.5, 0.95, 0.99]) within group (
             order by extract(epoch from n.ended_at - n.started_at) * 1000) as processing,
           percentile_cont(array[0.5, 0.95, 0.99]) within group (
             order by extract(epoch from n.started_at - coalesce(m.send_at, m.created_at)) * 1000)
             filter (where n.attempt = 1) as waiting
         from newest n join messages m on m.id = n.message_id`,
        [messagesMax],
      );
      if (row?.processing == null) return null;
      return {
        attempts: row.attempts,
        processingMs: percentiles(row.processing),
        acceptToProviderMs: percentiles(row.waiting ?? [0, 0, 0]),
      };
    },
    async meanOf(sender) {
      const [row] = await database.query<{ mean: number | null } & Row>(
        `with newest as (
           select a.message_id, a.started_at, a.ended_at
           from attempts a order by a.message_id desc, a.attempt desc limit 2000
         )
         select avg(extract(epoch from n.ended_at - n.started_at) * 1000)::float8 as mean
         from newest n join messages m on m.id = n.message_id
         where m.sender = $1`,
        [sender],
      );
      return row?.mean ?? null;
    },
  };
}

function percentiles(values: readonly number[]) {
  const [p50 = 0, p95 = 0, p99 = 0] = values.map((value) => Math.round(Math.max(0, value) * 10) / 10);
  return { p50, p95, p99 };
}
