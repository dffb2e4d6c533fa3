import { AppError } from '../errors/app-error.ts';
import { isId } from '../util/ids.ts';
import { remembered } from '../util/remembered.ts';
import { Conditions } from './conditions.ts';
import { openCursor, page, pageLimit } from './cursor.ts';
import type { Database, Row } from './database.ts';
import type { Page } from './types.ts';

export const FAILURE_STATUSES = ['PENDING', 'RESOLVED', 'FAILED'] as const;
export type FailureStatus = (typeof FAILURE_STATUSES)[number];

/** A row of `whatsapp_delivery_failures`. Times are epoch ms. */
export interface FailureRecord {
  /** The message's id. */
  readonly id: string;
  readonly phoneNumber: string;
  /** The text; for other types the content as JSON. */
  readonly message: string;
  readonly idempotencyKey: string | null;
  readonly errorMessage: string | null;
  /** The provider's own code, else ours. */
  readonly errorCode: string | null;
  readonly attemptCount: number;
  readonly status: FailureStatus;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly nextRetryAtMs: number | null;
  readonly lastAttemptAtMs: number | null;
  readonly resolvedAtMs: number | null;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
}

export interface FailureFilter {
  readonly status?: FailureStatus | undefined;
  readonly tenant?: string | undefined;
  readonly sender?: string | undefined;
  readonly code?: string | undefined;
  readonly phoneNumber?: string | undefined;
  /** First failed at or after / before, epoch ms. */
  readonly fromMs?: number | undefined;
  readonly toMs?: number | undefined;
  readonly cursor?: string | undefined;
  readonly limit?: number | undefined;
}

/** What starting a retry needs to know of a row. */
export type DueFailure = Pick<FailureRecord, 'id' | 'attemptCount'>;

export interface FailureCounts {
  readonly pending: number;
  readonly resolved: number;
  readonly failed: number;
}

export interface Failures {
  /** Newest first. @throws AppError `REQUEST_INVALID` for a cursor that no page gave */
  list(filter: FailureFilter): Promise<Page<FailureRecord>>;
  get(id: string): Promise<FailureRecord | null>;
  /** Over a large table some seconds old at most: metrics and reports may ask as often as they like. */
  counts(): Promise<FailureCounts>;
  /** The 100 most frequent; as fresh as `counts()`. Rows by code and state, the most frequent first: every code under its own name, also one that no table knows. */
  byCode(): Promise<{ readonly code: string; readonly status: FailureStatus; readonly count: number }[]>;
  /** Pending rows whose retry is next, earliest first, without those whose table entry asks for a pause of its own. */
  due(limit: number): Promise<DueFailure[]>;
  /** Failures that a status reported and that wait to be taken into the queue, earliest first. */
  reported(limit: number): Promise<FailureRecord[]>;
  /** Pending rows in the order of their ids, for the audit. @param after id of the page before */
  pendingAfter(after: string | null, limit: number): Promise<{ readonly id: string; readonly shard: number }[]>;
  /** Which of these are settled in the record: RESOLVED, and the message sent. */
  settledAmong(ids: readonly string[]): Promise<string[]>;
  /** Writes the queue's times where the table has others (by more than a second). @returns how many differed */
  correctTimes(times: readonly { readonly id: string; readonly dueAtMs: number }[]): Promise<number>;
  /**
   * Nothing more will be tried: the row ends as FAILED, and the message is a dead letter if it is failed.
   * @returns false when it did not wait any more, so that of two who give it up one hears true
   */
  giveUp(id: string, resolution: string): Promise<boolean>;
}

interface FailureRow extends Row {
  readonly id: string;
  readonly phone_number: string;
  readonly message: string;
  readonly idempotency_key: string | null;
  readonly error_message: string | null;
  readonly error_code: string | null;
  readonly attempt_count: number;
  readonly status: FailureStatus;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly next_retry_at: Date | null;
  readonly last_attempt_at: Date | null;
  readonly resolved_at: Date | null;
  readonly created_at: Date;
  readonly updated_at: Date;
}

/** Counting reads an index of all rows; a report may take a moment longer than a request. */
const COUNT_TIMEOUT_MS = 10_000;
/** A page of several filters at once has the index of one of them, and may look through many rows. */
const LIST_TIMEOUT_MS = 5_000;

export function failuresOf(database: Database): Failures {
  const many = async (text: string, values: unknown[]) =>
    (await database.query<FailureRow>(text, values)).map((row) => failureOf(row));
  return {
    async list(filter) {
      const cursor = openCursor(filter.cursor, 1);
      if (cursor !== null && !cursor.keys.every(isId)) throw new AppError('REQUEST_INVALID', { field: 'cursor' });
      const conditions = new Conditions()
        .when(filter.status, 'status = ?')
        .when(filter.phoneNumber, 'phone_number = ?')
        .when(filter.code, 'error_code = ?')
        .when(filter.tenant, "metadata ->> 'tenant' = ?")
        .when(filter.sender, "metadata ->> 'sender' = ?")
        .when(dateOf(filter.fromMs), 'created_at >= ?')
        .when(dateOf(filter.toMs), 'created_at < ?');
      if (cursor !== null) {
        const at = conditions.value(new Date(cursor.atMs));
        conditions.add(`(created_at, id) < (${at}, ${conditions.value(cursor.keys[0])})`);
      }
      const limit = pageLimit(filter.limit);
      const rows = await database.query<FailureRow>(
        `select * from whatsapp_delivery_failures ${conditions.where}
         order by created_at desc, id desc limit ${limit + 1}`,
        conditions.values,
        { timeoutMs: LIST_TIMEOUT_MS },
      );
      return page(rows.map(failureOf), limit, (last) => ({ atMs: last.createdAtMs, keys: [last.id] }));
    },

    async get(id) {
      if (!isId(id)) return null;
      const [found] = await many('select * from whatsapp_delivery_failures where id = $1', [id]);
      return found ?? null;
    },

    counts: remembered(async () => {
      const rows = await database.query<{ status: FailureStatus; count: number } & Row>(
        'select status, count(*) as count from whatsapp_delivery_failures group by status',
        [],
        { timeoutMs: COUNT_TIMEOUT_MS },
      );
      const of = (status: FailureStatus) => rows.find((row) => row.status === status)?.count ?? 0;
      return { pending: of('PENDING'), resolved: of('RESOLVED'), failed: of('FAILED') };
    }),

    byCode: remembered(async () => {
      return await database.query<{ code: string; status: FailureStatus; count: number } & Row>(
        `select coalesce(error_code, 'UNKNOWN') as code, status, count(*) as count
         from whatsapp_delivery_failures group by 1, 2 order by 3 desc, 1, 2 limit 100`,
        [],
        { timeoutMs: COUNT_TIMEOUT_MS },
      );
    }),

    async due(limit) {
      const rows = await database.query<{ id: string; attempt_count: number } & Row>(DUE_FAILURES, [limit]);
      return rows.map((row) => ({ id: row.id, attemptCount: row.attempt_count }));
    },
    reported: (limit) => many(REPORTED_FAILURES, [limit]),

    async pendingAfter(after, limit) {
      return await database.query<{ id: string; shard: number } & Row>(
        `select failure.id, message.shard
         from whatsapp_delivery_failures failure join messages message on message.id = failure.id
         where failure.status = 'PENDING' and not failure.metadata @> '{"source": "report"}'
           and ($1::uuid is null or failure.id > $1)
         order by failure.id limit $2`,
        [after, limit],
      );
    },

    async settledAmong(ids) {
      const rows = await database.query<{ id: string } & Row>(
        `select failure.id from whatsapp_delivery_failures failure join messages message on message.id = failure.id
         where failure.id = any($1::uuid[]) and failure.status = 'RESOLVED'
           and message.status in ('sent', 'delivered', 'read')`,
        [ids],
      );
      return rows.map(({ id }) => id);
    },

    async correctTimes(times) {
      const rows = await database.query<{ id: string } & Row>(
        `update whatsapp_delivery_failures failure set next_retry_at = row.due_at, updated_at = now()
         from unnest($1::uuid[], $2::timestamptz[]) as row (id, due_at)
         where failure.id = row.id and failure.status = 'PENDING'
           and (failure.next_retry_at is null or abs(extract(epoch from failure.next_retry_at - row.due_at)) > 1)
         returning failure.id`,
        [times.map(({ id }) => id), times.map(({ dueAtMs }) => new Date(dueAtMs))],
      );
      return rows.length;
    },

    async giveUp(id, resolution) {
      return await database.transaction(async (run) => {
        const ended = await run(
          `update whatsapp_delivery_failures
           set status = 'FAILED', next_retry_at = null, metadata = metadata || jsonb_build_object('resolution', $2::text),
             updated_at = now()
           where id = $1 and status = 'PENDING' returning id`,
          [id, resolution],
        );
        if (ended.length === 0) return false;
        await run(
          `insert into dead_letters (message_id, tenant, sender, code, held, dead_at)
           select message.id, message.tenant, message.sender, coalesce(failure.error_code, 'UNKNOWN'), false,
             date_trunc('milliseconds', now())
           from messages message join whatsapp_delivery_failures failure on failure.id = message.id
           where message.id = $1 and message.status = 'failed' and failure.status = 'FAILED'
           on conflict do nothing`,
          [id],
        );
        return true;
      });
    },
  };
}

/** The time of a row that waits for the schedule; null where the provider or the error table asks for a pause of its own. */
const SCHEDULED_AT = `
  (case when coalesce(metadata ->> 'waitsFor', 'schedule') = 'schedule' and not metadata @> '{"source": "report"}'
    then next_retry_at end)`;
/** What the retry worker asks most, by indexes of the same words; a test looks at their plans. */
export const DUE_FAILURES = `
  select id, attempt_count from whatsapp_delivery_failures
  where status = 'PENDING' and ${SCHEDULED_AT} is not null order by ${SCHEDULED_AT} limit $1`;
export const REPORTED_FAILURES = `
  select * from whatsapp_delivery_failures
  where status = 'PENDING' and metadata @> '{"source": "report"}' order by next_retry_at limit $1`;

function dateOf(ms: number | undefined): Date | undefined {
  return ms === undefined ? undefined : new Date(ms);
}

function msOf(date: Date | null): number | null {
  return date === null ? null : date.getTime();
}

function failureOf(row: FailureRow): FailureRecord {
  return {
    id: row.id,
    phoneNumber: row.phone_number,
    message: row.message,
    idempotencyKey: row.idempotency_key,
    errorMessage: row.error_message,
    errorCode: row.error_code,
    attemptCount: row.attempt_count,
    status: row.status,
    metadata: row.metadata,
    nextRetryAtMs: msOf(row.next_retry_at),
    lastAttemptAtMs: msOf(row.last_attempt_at),
    resolvedAtMs: msOf(row.resolved_at),
    createdAtMs: row.created_at.getTime(),
    updatedAtMs: row.updated_at.getTime(),
  };
}
