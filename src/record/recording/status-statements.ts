import { rowSet } from './row-set.ts';
import type { Statement } from './statements.ts';

/* The statements that keep what providers told of messages, and what follows from it. Messages are written before. */

export const statusRows = rowSet({
  provider_message_id: 'text',
  status: 'text',
  provider_at: 'timestamptz',
  error: 'jsonb',
  later_retry: 'jsonb',
  is_time_ours: 'boolean',
  more: 'jsonb',
});

export const insertStatuses: Statement = {
  name: 'insert_statuses',
  text: `
    insert into status_events (
      provider_message_id, status, provider_at, message_id, error, later_retry, is_time_ours, more
    )
    select
      row.provider_message_id, row.status, row.provider_at, known.message_id, row.error, row.later_retry,
      row.is_time_ours, row.more
    from ${statusRows.from('row')}
    left join provider_messages known on known.provider_message_id = row.provider_message_id
    order by row.provider_message_id, row.status, row.provider_at
    on conflict do nothing`,
};

export const matchStatuses: Statement = {
  name: 'match_statuses',
  text: `
    update status_events set message_id = known.message_id
    from provider_messages known
    where known.provider_message_id = any($1::text[])
      and known.message_id is not null
      and status_events.provider_message_id = known.provider_message_id
      and status_events.message_id is null`,
};

/**
 * Derives the delivery from all statuses of a message, so that their order of arrival cannot matter: read (or a voice
 * message played) over delivered over failed over sent. A read also proves the delivery. A failure counts only for
 * the provider id that the message has now: an earlier id failed before the message was sent again. The conversation's
 * time moves with it.
 */
export const deriveDeliveries: Statement = {
  name: 'derive_deliveries',
  text: `
    with changed as (
    update messages set
      delivery_status = delivery.status,
      delivered_at = delivery.delivered_at,
      read_at = delivery.read_at,
      delivery_failed_at = delivery.failed_at,
      delivery_error = delivery.error,
      updated_at = now()
    from (
      select
        id,
        was,
        case
          when read_at is not null then 'read'
          when delivered_at is not null then 'delivered'
          when failed_at is not null then 'failed'
          when sent then 'sent'
        end as status,
        coalesce(delivered_at, read_at) as delivered_at,
        read_at,
        case when read_at is null and delivered_at is null then failed_at end as failed_at,
        case when read_at is null and delivered_at is null then error end as error
      from (
        select
          message.id,
          message.delivery_status as was,
          bool_or(status.status = 'sent') as sent,
          min(status.provider_at) filter (where status.status = 'delivered') as delivered_at,
          min(status.provider_at) filter (where status.status in ('read', 'played')) as read_at,
          min(status.provider_at) filter (
            where status.status = 'failed' and status.provider_message_id = message.provider_message_id
          ) as failed_at,
          (array_agg(status.error order by status.provider_at) filter (
            where status.status = 'failed' and status.provider_message_id = message.provider_message_id
          ))[1] as error
        from (
          select distinct message_id from provider_messages
          where provider_message_id = any($1::text[]) and message_id is not null
        ) touched
        join messages message on message.id = touched.message_id
        join status_events status on status.message_id = message.id
        group by message.id
      ) proof
    ) delivery
    where messages.id = delivery.id
      and (messages.delivery_status, messages.delivered_at, messages.read_at, messages.delivery_failed_at,
        messages.delivery_error)
        is distinct from
        (delivery.status, delivery.delivered_at, delivery.read_at, delivery.failed_at, delivery.error)
    returning messages.id, messages.sender, messages.tenant, messages.conversation, messages.status as shown,
        messages.delivery_status as status, delivery.was
    ),
    touched as (
      select conversations.tenant, conversations.sender, conversations.id
      from conversations
      join (select distinct tenant, sender, conversation from changed) thread
        on conversations.tenant = thread.tenant and conversations.sender = thread.sender
        and conversations.id = thread.conversation
      order by conversations.tenant, conversations.sender, conversations.id
      for no key update of conversations
    ),
    moved as (
      update conversations set updated_at = now()
      from touched
      where conversations.tenant = touched.tenant and conversations.sender = touched.sender
        and conversations.id = touched.id
    )
    select id, sender, tenant, conversation, status, was, shown, exists (
      select from whatsapp_delivery_failures failure where failure.id = changed.id and failure.status <> 'RESOLVED'
    ) as has_failure
    from changed`,
};

export const toldRows = rowSet({
  ord: 'integer',
  message_id: 'uuid',
  type: 'text',
  at: 'timestamptz',
  is_news: 'boolean',
});

/**
 * Puts what became of messages into the outbox of events, numbered with everything else of their conversations. A
 * message that is known to be delivered is not told to be sent afterwards: statuses may be faster than the answer.
 */
export const tellStatuses: Statement = {
  name: 'tell_statuses',
  text: `
    with told as (
      select row.ord, row.type as news,
        coalesce(row.at, case row.type
          when 'read' then message.read_at
          when 'delivered' then message.delivered_at
          else message.delivery_failed_at end, now()) as at,
        message.*, event_endpoint_of(message.tenant) as endpoint
      from ${toldRows.from('row')}
      join messages message on message.id = row.message_id
      where row.is_news or message.delivery_status is null or message.delivery_status in ('sent', 'failed')
    ),
    thread as (
      select tenant, sender, conversation, count(*) as news from told
      where endpoint is not null
      group by tenant, sender, conversation
    ),
    locked as (
      select conversations.tenant, conversations.sender, conversations.id, thread.news
      from conversations
      join thread on conversations.tenant = thread.tenant and conversations.sender = thread.sender
        and conversations.id = thread.conversation
      order by conversations.tenant, conversations.sender, conversations.id
      for no key update of conversations
    ),
    numbers as (
      update conversations set event_seq = event_seq + locked.news, updated_at = now()
      from locked
      where conversations.tenant = locked.tenant and conversations.sender = locked.sender
        and conversations.id = locked.id
      returning conversations.tenant, conversations.sender, conversations.id, event_seq, locked.news
    ),
    numbered as (
      select told.*, numbers.event_seq - numbers.news
        + row_number() over (partition by told.tenant, told.sender, told.conversation order by told.ord) as number
      from told
      join numbers on numbers.tenant = told.tenant and numbers.sender = told.sender
        and numbers.id = told.conversation
      where told.endpoint is not null
    )
    insert into event_outbox (endpoint, tenant, sender, conversation, seq, type, message_id, data, occurred_at)
    select
      endpoint, tenant, sender, conversation, number, 'message.' || news, id,
      jsonb_build_object(
        'id', id, 'tenant', tenant, 'sender', sender, 'conversation', conversation, 'sequence', number,
        'direction', 'outbound', 'to', to_address, 'recipient', recipient, 'contact', jsonb_build_object('id', contact_id),
        'type', type, 'status', news, 'providerMessageId', provider_message_id, 'attempts', attempts,
        'error', case when news = 'failed' then coalesce(error, delivery_error) end,
        'metadata', coalesce(metadata, '{}'), 'createdAt', iso_of(created_at), 'sentAt', iso_of(sent_at),
        'deliveredAt', iso_of(delivered_at), 'readAt', iso_of(read_at)
      ),
      at
    from numbered
    order by ord
    returning id`,
};
