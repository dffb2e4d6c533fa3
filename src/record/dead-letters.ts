import { AppError } from '../errors/app-error.ts';
import { isId } from '../util/ids.ts';
import { Conditions } from './conditions.ts';
import { openCursor, page, pageLimit } from './cursor.ts';
import type { Database, Row } from './database.ts';
import type { Page } from './types.ts';

/** A message that will not be tried again unless a person acts. */
export interface DeadLetter {
  readonly messageId: string;
  readonly tenant: string;
  readonly sender: string;
  /** The provider's own code, else ours. */
  readonly code: string;
  /** The queue holds it, because nobody knows whether it was sent. */
  readonly held: boolean;
  /** Epoch ms. */
  readonly deadAtMs: number;
}

export interface DeadLetterFilter {
  readonly tenant?: string | undefined;
  readonly sender?: string | undefined;
  readonly code?: string | undefined;
  /** Dead at or after / before, epoch ms. */
  readonly fromMs?: number | undefined;
  readonly toMs?: number | undefined;
}

export interface DeadLetters {
  /** Newest first. @throws AppError `REQUEST_INVALID` for a cursor that no page gave */
  list(
    filter: DeadLetterFilter & { readonly cursor?: string | undefined; readonly limit?: number | undefined },
  ): Promise<Page<DeadLetter>>;
  get(id: string): Promise<DeadLetter | null>;
  count(filter: DeadLetterFilter): Promise<number>;
  /** In the order in which the messages were made, so that a redrive keeps a conversation's order. @param after id of the last one of the call before */
  oldest(filter: DeadLetterFilter, limit: number, after?: string): Promise<DeadLetter[]>;
  /** Takes letters out for good; those that the queue holds stay. @returns the ids that were taken out */
  discard(ids: readonly string[], by: string): Promise<string[]>;
  /** Sent messages of which no status has told anything since `beforeMs`, at most 100,000. */
  countSilent(beforeMs: number): Promise<number>;
}

interface LetterRow extends Row {
  readonly message_id: string;
  readonly tenant: string;
  readonly sender: string;
  readonly code: string;
  readonly held: boolean;
  readonly dead_at: Date;
}

export function deadLettersOf(database: Database): DeadLetters {
  return {
    async list(filter) {
      const cursor = openCursor(filter.cursor, 1);
      if (cursor !== null && !cursor.keys.every(isId)) throw new AppError('REQUEST_INVALID', { field: 'cursor' });
      const conditions = conditionsOf(filter);
      if (cursor !== null) {
        const at = conditions.value(new Date(cursor.atMs));
        conditions.add(`(dead_at, message_id) < (${at}, ${conditions.value(cursor.keys[0])})`);
      }
      const limit = pageLimit(filter.limit);
      const rows = await database.query<LetterRow>(
        `select * from dead_letters ${conditions.where} order by dead_at desc, message_id desc limit ${limit + 1}`,
        conditions.values,
      );
      return page(rows.map(letterOf), limit, (last) => ({ atMs: last.deadAtMs, keys: [last.messageId] }));
    },

    async get(id) {
      if (!isId(id)) return null;
      const [row] = await database.query<LetterRow>('select * from dead_letters where message_id = $1', [id]);
      return row === undefined ? null : letterOf(row);
    },

    async count(filter) {
      const conditions = conditionsOf(filter);
      const [row] = await database.query<{ count: number } & Row>(
        `select count(*) as count from dead_letters ${conditions.where}`,
        conditions.values,
        { timeoutMs: 10_000 },
      );
      return row?.count ?? 0;
    },

    async oldest(filter, limit, after) {
      const conditions = conditionsOf(filter).when(after, 'message_id > ?::uuid');
      const rows = await database.query<LetterRow>(
        `select * from dead_letters ${conditions.where} order by message_id limit ${Math.trunc(limit)}`,
        conditions.values,
        { timeoutMs: 10_000 },
      );
      return rows.map(letterOf);
    },

    async discard(ids, by) {
      const known = ids.filter(isId);
      return await database.transaction(async (run) => {
        const gone = await run<{ message_id: string }>(
          'delete from dead_letters where message_id = any($1::uuid[]) and not held returning message_id',
          [known],
        );
        const messageIds = gone.map((row) => row.message_id);
        await run(
          `update whatsapp_delivery_failures
           set metadata = metadata || jsonb_build_object('discardedBy', $2::text, 'discardedAt', now()), updated_at = now()
           where id = any($1::uuid[])`,
          [messageIds, by],
        );
        return messageIds;
      });
    },

    async countSilent(beforeMs) {
      const [row] = await database.query<{ count: number } & Row>(
        `select count(*) as count from (
           select from messages where engine_status = 'sent' and delivery_status is null and sent_at < $1 limit 100000
         ) silent`,
        [new Date(beforeMs)],
      );
      return row?.count ?? 0;
    },
  };
}

function conditionsOf(filter: DeadLetterFilter): Conditions {
  return new Conditions()
    .when(filter.tenant, 'tenant = ?')
    .when(filter.sender, 'sender = ?')
    .when(filter.code, 'code = ?')
    .when(filter.fromMs === undefined ? undefined : new Date(filter.fromMs), 'dead_at >= ?')
    .when(filter.toMs === undefined ? undefined : new Date(filter.toMs), 'dead_at < ?');
}

function letterOf(row: LetterRow): DeadLetter {
  return {
    messageId: row.message_id,
    tenant: row.tenant,
    sender: row.sender,
    code: row.code,
    held: row.held,
    deadAtMs: row.dead_at.getTime(),
  };
}
