import { rowSet } from './row-set.ts';
import type { Statement } from './statements.ts';

/* The statements that keep the failure record and the dead letters. Messages are written before these run. */

/** What the row says of its message; `message` in the queries below is the message's row. */
const PHONE = 'coalesce(message.to_address, message.recipient, message.alias)';
const TEXT = "coalesce(case when message.type = 'text' then message.content ->> 'body' end, message.content::text)";
const ABOUT = `jsonb_build_object('messageId', message.id, 'tenant', message.tenant, 'sender', message.sender,
  'conversation', message.conversation, 'type', message.type)`;
/** Marks of an earlier end, which a new failure or a new attempt takes away. */
const WITHOUT_ENDS = "known.metadata - 'resolution' - 'discardedAt' - 'discardedBy'";

export const failedRows = rowSet({
  id: 'uuid',
  status: 'text',
  at: 'timestamptz',
  attempt_count: 'integer',
  error_code: 'text',
  error_message: 'text',
  next_retry_at: 'timestamptz',
  metadata: 'jsonb',
});

export const upsertFailures: Statement = {
  name: 'upsert_failures',
  text: `
    insert into whatsapp_delivery_failures as known (
      id, phone_number, message, idempotency_key, error_message, error_code, attempt_count, status, metadata,
      next_retry_at, last_attempt_at, created_at
    )
    select
      message.id, ${PHONE}, ${TEXT}, message.idempotency_key, row.error_message, row.error_code, row.attempt_count,
      row.status, ${ABOUT} || row.metadata, row.next_retry_at, row.at, date_trunc('milliseconds', row.at)
    from ${failedRows.from('row')}
    join messages message on message.id = row.id
    order by message.id
    on conflict (id) do update set
      error_message = excluded.error_message,
      error_code = excluded.error_code,
      attempt_count = greatest(known.attempt_count, excluded.attempt_count),
      status = excluded.status,
      metadata = (${WITHOUT_ENDS}) || excluded.metadata,
      next_retry_at = excluded.next_retry_at,
      last_attempt_at = excluded.last_attempt_at,
      resolved_at = null,
      updated_at = now()`,
};

export const endedRows = rowSet({
  id: 'uuid',
  status: 'text',
  at: 'timestamptz',
  attempt_count: 'integer',
  last_attempt_at: 'timestamptz',
  metadata: 'jsonb',
});

export const endFailures: Statement = {
  name: 'end_failures',
  text: `
    update whatsapp_delivery_failures known set
      status = row.status,
      resolved_at = case when row.status = 'RESOLVED' then row.at end,
      attempt_count = greatest(known.attempt_count, coalesce(row.attempt_count, 1)),
      last_attempt_at = coalesce(row.last_attempt_at, known.last_attempt_at),
      next_retry_at = null,
      metadata = (${WITHOUT_ENDS}) || row.metadata,
      updated_at = now()
    from ${endedRows.from('row')}
    where known.id = row.id and known.status <> 'RESOLVED'`,
};

export const redrivenRows = rowSet({
  id: 'uuid',
  at: 'timestamptz',
  cause: 'text',
  by_name: 'text',
  next_retry_at: 'timestamptz',
});

/**
 * A person's redrive begins the count anew, with a whole schedule before it; a new attempt after a report is a slow
 * retry; a repair changes nothing but the time.
 */
export const reopenFailures: Statement = {
  name: 'reopen_failures',
  text: `
    update whatsapp_delivery_failures known set
      status = 'PENDING',
      attempt_count = case row.cause
        when 'person' then 1 when 'report' then known.attempt_count + 1 else known.attempt_count end,
      next_retry_at = row.next_retry_at,
      resolved_at = null,
      metadata = (${WITHOUT_ENDS})
        || jsonb_build_object('source', 'attempt',
          'waitsFor', case row.cause
            when 'report' then 'report' when 'repair' then coalesce(known.metadata ->> 'waitsFor', 'schedule')
            else 'schedule' end)
        || case row.cause
          when 'person' then jsonb_build_object('redrivenBy', row.by_name, 'redrivenAt', row.at,
            'redrives', coalesce((known.metadata ->> 'redrives')::integer, 0) + 1, 'laterRetries', 0)
          when 'report' then
            jsonb_build_object('laterRetries', coalesce((known.metadata ->> 'laterRetries')::integer, 0) + 1)
          else '{}'
        end,
      updated_at = now()
    from ${redrivenRows.from('row')}
    where known.id = row.id`,
};

/**
 * Failures that a status reported. The error table says which codes are tried once more, and when; the others are
 * final. A report of one provider id counts once, whatever is derived again later.
 */
export const insertReportedFailures: Statement = {
  name: 'insert_reported_failures',
  text: `
    with reported as (
      select
        message.*, report.provider_at, report.error as report_error, report.later_retry,
        (
          report.later_retry is not null
          and coalesce((old.metadata ->> 'laterRetries')::integer, 0) < (report.later_retry ->> 'retriesMax')::integer
          and (
            not coalesce((report.later_retry ->> 'onlyForLink')::boolean, false)
            or jsonb_path_exists(message.content, '$.**.link')
          )
          and (
            message.expires_at is null
            or message.expires_at > report.provider_at + (report.later_retry ->> 'waitMs')::bigint * interval '1 ms'
          )
        ) as goes_again
      from messages message
      cross join lateral (
        select provider_at, error, later_retry from status_events
        where status_events.provider_message_id = message.provider_message_id and status_events.status = 'failed'
        order by provider_at limit 1
      ) report
      left join whatsapp_delivery_failures old on old.id = message.id
      where message.id = any($1::uuid[]) and message.status = 'failed' and message.engine_status = 'sent'
    )
    insert into whatsapp_delivery_failures as known (
      id, phone_number, message, idempotency_key, error_message, error_code, status, metadata,
      next_retry_at, last_attempt_at, created_at
    )
    select
      message.id, ${PHONE}, ${TEXT}, message.idempotency_key,
      coalesce(message.report_error ->> 'detail', 'The status told no reason.'),
      coalesce(message.report_error ->> 'providerCode', message.report_error ->> 'code', 'DELIVERY_FAILED'),
      case when goes_again then 'PENDING' else 'FAILED' end,
      ${ABOUT} || jsonb_build_object('source', 'report', 'reportedFor', message.provider_message_id),
      case when goes_again then provider_at + (later_retry ->> 'waitMs')::bigint * interval '1 ms' end,
      coalesce(message.sent_at, provider_at), date_trunc('milliseconds', provider_at)
    from reported message
    order by message.id
    on conflict (id) do update set
      error_message = excluded.error_message,
      error_code = excluded.error_code,
      status = excluded.status,
      metadata = (${WITHOUT_ENDS}) || excluded.metadata,
      next_retry_at = excluded.next_retry_at,
      last_attempt_at = excluded.last_attempt_at,
      resolved_at = null,
      updated_at = now()
    where known.metadata ->> 'reportedFor' is distinct from excluded.metadata ->> 'reportedFor'
    returning known.status`,
};

/** A device got the message after all. */
export const resolveDelivered: Statement = {
  name: 'resolve_delivered',
  text: `
    update whatsapp_delivery_failures known set
      status = 'RESOLVED', resolved_at = coalesce(message.delivered_at, now()), next_retry_at = null,
      metadata = (${WITHOUT_ENDS}) || jsonb_build_object('resolution', 'delivered'), updated_at = now()
    from messages message
    where message.id = any($1::uuid[]) and known.id = message.id
      and message.status in ('delivered', 'read') and known.status <> 'RESOLVED'`,
};

const IS_DEAD = `(
  (message.status = 'failed' and failure.status = 'FAILED' and not failure.metadata ? 'discardedAt')
  or (message.status = 'unknown' and message.held)
)`;

export const forgetDeadLetters: Statement = {
  name: 'forget_dead_letters',
  text: `
    delete from dead_letters letter
    using messages message
    left join whatsapp_delivery_failures failure on failure.id = message.id
    where letter.message_id = any($1::uuid[]) and message.id = letter.message_id and not coalesce(${IS_DEAD}, false)`,
};

export const insertDeadLetters: Statement = {
  name: 'insert_dead_letters',
  text: `
    insert into dead_letters as known (message_id, tenant, sender, code, held, dead_at)
    select
      message.id, message.tenant, message.sender,
      coalesce(
        case when message.held then 'PROVIDER_OUTCOME_UNKNOWN' end, failure.error_code,
        message.error ->> 'providerCode', message.error ->> 'code', 'UNKNOWN'
      ),
      message.held,
      date_trunc('milliseconds', coalesce(message.failed_at, message.delivery_failed_at, now()))
    from messages message
    left join whatsapp_delivery_failures failure on failure.id = message.id
    where message.id = any($1::uuid[]) and ${IS_DEAD}
    order by message.id
    on conflict (message_id) do update set code = excluded.code, held = excluded.held, dead_at = excluded.dead_at
      where (known.code, known.held) is distinct from (excluded.code, excluded.held)`,
};
