import type { Database, Row } from './database.ts';
import type { RecordTotal } from './types.ts';

/** Counting reads every message: an audit may take its time, a request may not. */
const COUNT_TIMEOUT_MS = 120_000;

const UUID = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/;

export interface Totals {
  /** Recorded messages by shard and state; what `waxwing doctor` compares with the engine's counters. */
  byStatus(): Promise<RecordTotal[]>;
  /** When the longest waiting message was accepted, epoch ms; null = none waits, as far as recorded. */
  oldestWaitingAtMs(): Promise<number | null>;
  /**
   * The longest waiting messages, one for each tenant that has any, oldest first.
   * @param options.tenants only of these; absent = of all
   * @param options.limit 1 … 200
   */
  oldestWaiting(options: { readonly tenants?: readonly string[]; readonly limit: number }): Promise<WaitingMessage[]>;
  /** What waits for somebody, each counted up to 10,000. */
  open(options: { readonly silentAfterSeconds: number }): Promise<OpenTotals>;
  /** Those of these messages that have been sent, as far as recorded. At most 1,000 ids. */
  sentOf(ids: readonly string[]): Promise<string[]>;
  /** Events that could not be recorded, by shard. Anything but an empty list needs a person. */
  quarantined(): Promise<{ readonly shard: number; readonly count: number }[]>;
}

/** A message that has waited longer than all others of its tenant. */
export interface WaitingMessage {
  readonly id: string;
  readonly tenant: string;
  readonly sender: string;
  readonly createdAtMs: number;
}

export interface OpenTotals {
  /** Rows of the failure record by state. */
  readonly pending: number;
  readonly failed: number;
  readonly deadLetters: number;
  /** Sent in the last seven days, longer ago than `silentAfterSeconds`, and no status came. */
  readonly silent: number;
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
    async sentOf(ids) {
      const known = ids.filter((id) => UUID.test(id));
      const rows = await database.query<{ id: string } & Row>(
        `select id from messages where id = any($1::uuid[]) and engine_status = 'sent' order by id`,
        [known],
      );
      return rows.map(({ id }) => id);
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
    async oldestWaiting({ tenants = null, limit }) {
      const rows = await database.query<{ id: string; tenant: string; sender: string; created_at: Date } & Row>(
        `select first.* from tenants owner cross join lateral (
           select message.id, message.tenant, message.sender, message.created_at from messages message
           where message.tenant = owner.id and message.status = 'queued'
           order by message.created_at, message.id limit 1
         ) first
         where $1::text[] is null or owner.id = any($1)
         order by first.created_at, first.id limit $2`,
        [tenants, limit],
      );
      return rows.map(({ created_at: at, ...row }) => ({ ...row, createdAtMs: at.getTime() }));
    },
    async open({ silentAfterSeconds }) {
      const [row] = await database.query<OpenTotals & Row>(
        // Each ends after 10,000 entries of its index: a figure for people needs no more.
        `select
           (select count(*) from (select from whatsapp_delivery_failures where status = 'PENDING' limit 10000) a) as pending,
           (select count(*) from (select from whatsapp_delivery_failures where status = 'FAILED' limit 10000) b) as failed,
           (select count(*) from (select from dead_letters limit 10000) c) as "deadLetters",
           (select count(*) from (
              select from messages
              where engine_status = 'sent' and delivery_status is null
                and sent_at between now() - interval '7 days' and now() - make_interval(secs => $1)
              limit 10000) d) as silent`,
        [silentAfterSeconds],
      );
      return row ?? { pending: 0, failed: 0, deadLetters: 0, silent: 0 };
    },
    async quarantined() {
      return database.query<{ shard: number; count: number } & Row>(
        'select shard, count(*) as count from recorder_quarantine group by shard order by shard',
      );
    },
  };
}
