import { AppError } from '../errors/app-error.ts';
import type { MessageError, MessageStatus, MessageType } from '../model/message.ts';
import { isId } from '../util/ids.ts';
import { Conditions } from './conditions.ts';
import { openCursor, page, pageLimit } from './cursor.ts';
import type { Database, Row } from './database.ts';
import type { DeliveryStatus, EngineStatus, Page, RecordedAttempt, RecordedMessage, TimelineItem } from './types.ts';

export interface MessageFilter {
  /** Null = of every tenant: for the platform key and administrators only. */
  readonly tenant: string | null;
  readonly conversation?: string | undefined;
  readonly sender?: string | undefined;
  readonly status?: MessageStatus | undefined;
  /** Only messages that were sent before this and of which no status has told anything since, epoch ms. */
  readonly silentSinceMs?: number | undefined;
  /** Created at or after, epoch ms. */
  readonly fromMs?: number | undefined;
  /** Created before, epoch ms. */
  readonly toMs?: number | undefined;
  /** The longest waiting first; default false: newest first. */
  readonly isOldestFirst?: boolean | undefined;
  readonly cursor?: string | undefined;
  /** 1 … 200, default 50. */
  readonly limit?: number | undefined;
}

/** States that few of all messages are in: looked up tenant by tenant, because an index of all would find them late. */
const RARE = new Set<MessageStatus>(['queued', 'scheduled', 'deferred', 'unknown', 'failed', 'cancelled', 'expired']);

/** Recorded messages. A message appears here moments after its accept: `SendQueue.unrecorded()` has it until then. */
export interface Messages {
  /** @param tenant another tenant's message is as unknown as one that never was; null = any tenant */
  find(tenant: string | null, id: string): Promise<RecordedMessage | null>;
  /** Newest first. @throws AppError `REQUEST_INVALID` for a cursor that no page gave */
  list(filter: MessageFilter): Promise<Page<RecordedMessage>>;
  /** All that happened to a message, oldest first, or null when the message is unknown (to this tenant). */
  timeline(tenant: string | null, id: string): Promise<TimelineItem[] | null>;
  /** Calls to the provider, in their order; empty for an unknown message. */
  attempts(tenant: string | null, id: string): Promise<RecordedAttempt[]>;
}

const COLUMNS = `
  id, tenant, sender, conversation, contact_id, alias, to_address, recipient, type, content, context, metadata, priority,
  status, engine_status, delivery_status, shard, seq, attempts, provider_message_id, error, delivery_error,
  idempotency_key, send_at, expires_at, created_at, sent_at, delivered_at, read_at, failed_at, delivery_failed_at,
  updated_at`;

/** A message with more events than this was in a loop; the first ones tell which. */
const TIMELINE_MAX = 2_000;

interface MessageRow extends Row {
  readonly id: string;
  readonly tenant: string;
  readonly sender: string;
  readonly conversation: string;
  readonly contact_id: string | null;
  readonly alias: string;
  readonly to_address: string | null;
  readonly recipient: string | null;
  readonly type: MessageType;
  readonly content: unknown;
  readonly context: { readonly message_id: string } | null;
  readonly metadata: Readonly<Record<string, unknown>> | null;
  readonly priority: number;
  readonly status: MessageStatus;
  readonly engine_status: EngineStatus;
  readonly delivery_status: DeliveryStatus | null;
  readonly shard: number;
  readonly seq: number;
  readonly attempts: number;
  readonly provider_message_id: string | null;
  readonly error: MessageError | null;
  readonly delivery_error: MessageError | null;
  readonly idempotency_key: string | null;
  readonly send_at: Date | null;
  readonly expires_at: Date | null;
  readonly created_at: Date;
  readonly sent_at: Date | null;
  readonly delivered_at: Date | null;
  readonly read_at: Date | null;
  readonly failed_at: Date | null;
  readonly delivery_failed_at: Date | null;
  readonly updated_at: Date;
}

export function messagesOf(database: Database): Messages {
  return {
    async find(tenant, id) {
      if (!isId(id)) return null;
      const [row] = await database.query<MessageRow>(
        `select ${COLUMNS} from messages where id = $1 and ($2::text is null or tenant = $2)`,
        [id, tenant],
      );
      return row === undefined ? null : fromRow(row);
    },

    async list(filter) {
      const cursor = openCursor(filter.cursor, 1);
      if (cursor !== null && !cursor.keys.every(isId)) throw new AppError('REQUEST_INVALID', { field: 'cursor' });
      const conditions = new Conditions()
        .when(filter.tenant ?? undefined, 'tenant = ?')
        .when(filter.conversation, 'conversation = ?')
        .when(filter.sender, 'sender = ?')
        .when(filter.status, 'status = ?')
        .when(dateOf(filter.silentSinceMs), "engine_status = 'sent' and delivery_status is null and sent_at < ?")
        .when(dateOf(filter.fromMs), 'created_at >= ?')
        .when(dateOf(filter.toMs), 'created_at < ?');
      if (cursor !== null) {
        const at = conditions.value(new Date(cursor.atMs));
        const beyond = filter.isOldestFirst === true ? '>' : '<';
        conditions.add(`(created_at, id) ${beyond} (${at}, ${conditions.value(cursor.keys[0])})`);
      }
      const limit = pageLimit(filter.limit);
      const direction = filter.isOldestFirst === true ? 'asc' : 'desc';
      const order = `order by created_at ${direction}, id ${direction} limit ${limit + 1}`;
      const isRare = filter.tenant === null && filter.status !== undefined && RARE.has(filter.status);
      const rows = await database.query<MessageRow>(
        isRare
          ? `select ${COLUMNS} from messages where id in (
               select found.id from tenants owner cross join lateral (
                 select id, created_at from messages ${conditions.add('tenant = owner.id').where} ${order}
               ) found order by found.created_at ${direction}, found.id ${direction} limit ${limit + 1}
             ) ${order}`
          : `select ${COLUMNS} from messages ${conditions.where} ${order}`,
        conditions.values,
      );
      return page(rows.map(fromRow), limit, (last) => ({ atMs: last.createdAtMs, keys: [last.id] }));
    },

    async timeline(tenant, id) {
      if (!isId(id)) return null;
      const rows = await database.query<{ at: Date; event: string; detail: TimelineItem['detail'] } & Row>(
        // Meta's times are whole seconds: a status stands behind what happened within its second, and the statuses
        // of one second stand in the order in which a phone makes them.
        `with message as (
           select id from messages where id = $1 and ($2::text is null or tenant = $2)
         )
         select at, event, detail from (
           select event.at, event.event, event.detail || '{"source": "engine"}' as detail,
             event.at as stands_at, 0 as rank, event.entry_ms, event.entry_seq, event.entry_index
           from message join message_events event on event.message_id = message.id
           union all
           select status.provider_at, status.status,
             jsonb_build_object('source', 'provider', 'providerMessageId', status.provider_message_id,
               'error', status.error, 'recordedAt', status.recorded_at),
             case when status.provider_at = date_trunc('second', status.provider_at)
               then status.provider_at + interval '999 milliseconds' else status.provider_at end,
             case status.status when 'sent' then 1 when 'delivered' then 2 when 'read' then 3 else 4 end, 0, 0, 0
           from message join status_events status on status.message_id = message.id
         ) item
         order by stands_at, rank, entry_ms, entry_seq, entry_index limit ${TIMELINE_MAX}`,
        [id, tenant],
      );
      if (rows.length === 0 && (await this.find(tenant, id)) === null) return null;
      return rows.map(({ at, event, detail }) => ({ atMs: at.getTime(), event, detail }));
    },

    async attempts(tenant, id) {
      if (!isId(id)) return [];
      const rows = await database.query<AttemptRow>(
        `select attempts.* from attempts join messages on messages.id = attempts.message_id
         where messages.id = $1 and ($2::text is null or messages.tenant = $2)
         order by attempts.attempt`,
        [id, tenant],
      );
      return rows.map((row) => ({
        messageId: row.message_id,
        attempt: row.attempt,
        worker: row.worker,
        startedAtMs: row.started_at.getTime(),
        endedAtMs: row.ended_at.getTime(),
        outcome: row.outcome,
        ...(row.http_status === null ? {} : { httpStatus: row.http_status }),
        ...(row.error === null ? {} : { error: row.error }),
      }));
    },
  };
}

interface AttemptRow extends Row {
  readonly message_id: string;
  readonly attempt: number;
  readonly worker: string;
  readonly started_at: Date;
  readonly ended_at: Date;
  readonly outcome: RecordedAttempt['outcome'];
  readonly http_status: number | null;
  readonly error: MessageError | null;
}

function dateOf(ms: number | undefined): Date | undefined {
  return ms === undefined ? undefined : new Date(ms);
}

function fromRow(row: MessageRow): RecordedMessage {
  // The provider's failure speaks only where it made the status: a failed engine has its own error.
  const isDeliveryFailed = row.status === 'failed' && row.engine_status === 'sent';
  return {
    id: row.id,
    tenant: row.tenant,
    sender: row.sender,
    conversation: row.conversation,
    contactId: row.contact_id,
    contact: row.alias,
    to: row.to_address,
    recipient: row.recipient,
    type: row.type,
    content: row.content,
    context: row.context,
    metadata: row.metadata ?? {},
    priority: row.priority,
    status: row.status,
    engineStatus: row.engine_status,
    deliveryStatus: row.delivery_status,
    shard: row.shard,
    seq: row.seq,
    attempts: row.attempts,
    providerMessageId: row.provider_message_id,
    error: isDeliveryFailed ? row.delivery_error : isDelivered(row) ? null : row.error,
    idempotencyKey: row.idempotency_key,
    sendAtMs: ms(row.send_at),
    expiresAtMs: ms(row.expires_at),
    createdAtMs: row.created_at.getTime(),
    sentAtMs: ms(row.sent_at),
    deliveredAtMs: ms(row.delivered_at),
    readAtMs: ms(row.read_at),
    failedAtMs: row.status === 'failed' ? ms(isDeliveryFailed ? row.delivery_failed_at : row.failed_at) : null,
    updatedAtMs: row.updated_at.getTime(),
  };
}

function isDelivered(row: MessageRow): boolean {
  return row.status === 'delivered' || row.status === 'read';
}

function ms(date: Date | null): number | null {
  return date === null ? null : date.getTime();
}
