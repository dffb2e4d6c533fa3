import { rowSet } from './row-set.ts';

/**
 * The recorder's statements. All are prepared once per connection and take a batch of any size. Each inserts in the
 * order of its key, so that two shards' recorders that touch the same rows wait for each other and do not deadlock.
 */
export interface Statement {
  readonly name: string;
  readonly text: string;
}

const position = { shard: 'integer', entry_ms: 'bigint', entry_seq: 'bigint', entry_index: 'integer' } as const;

export const eventRows = rowSet({ ...position, message_id: 'uuid', at: 'timestamptz', event: 'text', detail: 'jsonb' });

export const insertEvents: Statement = {
  name: 'insert_events',
  text: `
    insert into message_events (shard, entry_ms, entry_seq, entry_index, message_id, at, event, detail)
    select * from ${eventRows.from('row')}
    on conflict do nothing
    returning entry_ms, entry_seq, entry_index`,
};

export const senderEventRows = rowSet({
  ...position,
  sender: 'text',
  at: 'timestamptz',
  event: 'text',
  detail: 'jsonb',
});

export const insertSenderEvents: Statement = {
  name: 'insert_sender_events',
  text: `
    insert into sender_events (shard, entry_ms, entry_seq, entry_index, sender, at, event, detail)
    select * from ${senderEventRows.from('row')}
    on conflict do nothing`,
};

/** A tenant may have been made while PostgreSQL was away; its limits are the defaults until somebody sets them. */
export const insertTenants: Statement = {
  name: 'insert_tenants',
  text: `
    insert into tenants (id, name)
    select id, id from unnest($1::text[]) as row (id)
    where not exists (select from tenants where tenants.id = row.id)
    order by id
    on conflict do nothing`,
};

export const contactRows = rowSet({ id: 'uuid', tenant: 'text', kind: 'text', value: 'text' });

/** The anti-join keeps known contacts, nearly all, from burning an index insertion each. */
export const insertContacts: Statement = {
  name: 'insert_contacts',
  text: `
    with alias as (
      insert into contact_aliases (tenant, kind, value, contact_id)
      select tenant, kind, value, id from ${contactRows.from('row')}
      where not exists (
        select from contact_aliases known
        where known.tenant = row.tenant and known.kind = row.kind and known.value = row.value
      )
      order by tenant, kind, value
      on conflict do nothing
      returning contact_id, tenant
    )
    insert into contacts (id, tenant) select contact_id, tenant from alias`,
};

export const otherAliasRows = rowSet({
  tenant: 'text',
  kind: 'text',
  value: 'text',
  other_kind: 'text',
  other_value: 'text',
});

export const insertOtherAliases: Statement = {
  name: 'insert_other_aliases',
  text: `
    insert into contact_aliases (tenant, kind, value, contact_id)
    select row.tenant, row.other_kind, row.other_value, canonical.contact_id
    from ${otherAliasRows.from('row')}
    join contact_aliases canonical
      on canonical.tenant = row.tenant and canonical.kind = row.kind and canonical.value = row.value
    order by row.tenant, row.other_kind, row.other_value
    on conflict do nothing`,
};

export const messageRows = rowSet({
  id: 'uuid',
  tenant: 'text',
  sender: 'text',
  conversation: 'text',
  alias_kind: 'text',
  alias: 'text',
  to_address: 'text',
  recipient: 'text',
  type: 'text',
  content: 'jsonb',
  context: 'jsonb',
  metadata: 'jsonb',
  priority: 'smallint',
  engine_status: 'text',
  shard: 'integer',
  seq: 'bigint',
  attempts: 'integer',
  provider_message_id: 'text',
  error: 'jsonb',
  idempotency_key: 'text',
  send_at: 'timestamptz',
  expires_at: 'timestamptz',
  created_at: 'timestamptz',
  sent_at: 'timestamptz',
  failed_at: 'timestamptz',
  held: 'boolean',
});

/** Conversations count the rows that were really inserted, so a repeated message is not counted twice. */
export const insertMessages: Statement = {
  name: 'insert_messages',
  text: `
    with inserted as (
      insert into messages (
        id, tenant, sender, conversation, contact_id, alias, to_address, recipient, type, content, context, metadata,
        priority, engine_status, shard, seq, attempts, provider_message_id, error, idempotency_key,
        send_at, expires_at, created_at, sent_at, failed_at, held
      )
      select
        row.id, row.tenant, row.sender, row.conversation, contact.contact_id, row.alias, row.to_address, row.recipient,
        row.type, row.content, row.context, row.metadata,
        row.priority, row.engine_status, row.shard, row.seq, row.attempts, row.provider_message_id, row.error,
        row.idempotency_key, row.send_at, row.expires_at, row.created_at, row.sent_at, row.failed_at, row.held
      from ${messageRows.from('row')}
      left join contact_aliases contact
        on contact.tenant = row.tenant and contact.kind = row.alias_kind and contact.value = row.alias
      on conflict (id) do nothing
      returning tenant, sender, conversation, contact_id, created_at, seq
    )
    insert into conversations as known (tenant, sender, id, contact_id, messages_out, created_at, last_message_at)
    select
      tenant, sender, conversation, (array_agg(contact_id order by seq desc))[1],
      count(*), min(created_at), max(created_at)
    from inserted
    group by tenant, sender, conversation
    order by tenant, sender, conversation
    on conflict (tenant, sender, id) do update set
      messages_out = known.messages_out + excluded.messages_out,
      last_message_at = greatest(known.last_message_at, excluded.last_message_at),
      updated_at = now(),
      contact_id = coalesce(known.contact_id, excluded.contact_id)`,
};

export const changeRows = rowSet({
  id: 'uuid',
  engine_status: 'text',
  attempts: 'integer',
  seq: 'bigint',
  provider_message_id: 'text',
  sent_at: 'timestamptz',
  failed_at: 'timestamptz',
  error_set: 'boolean',
  error: 'jsonb',
  held: 'boolean',
});

export const updateMessages: Statement = {
  name: 'update_messages',
  text: `
    update messages set
      engine_status = row.engine_status,
      attempts = greatest(messages.attempts, row.attempts),
      seq = coalesce(row.seq, messages.seq),
      provider_message_id = coalesce(row.provider_message_id, messages.provider_message_id),
      sent_at = coalesce(row.sent_at, messages.sent_at),
      failed_at = row.failed_at,
      error = case when row.error_set then row.error else messages.error end,
      held = row.held,
      updated_at = now()
    from ${changeRows.from('row')}
    where messages.id = row.id
    returning messages.tenant, messages.conversation`,
};

/** Conversations of messages, by their ids and by those of their provider. */
export const threadsOfMessages: Statement = {
  name: 'threads_of_messages',
  text: `
    select tenant, conversation from messages where id = any($1::uuid[])
    union
    select message.tenant, message.conversation
    from provider_messages sent join messages message on message.id = sent.message_id
    where sent.provider_message_id = any($2::text[])`,
};

export const attemptRows = rowSet({
  message_id: 'uuid',
  attempt: 'integer',
  worker: 'text',
  started_at: 'timestamptz',
  ended_at: 'timestamptz',
  outcome: 'text',
  http_status: 'integer',
  error: 'jsonb',
});

export const insertAttempts: Statement = {
  name: 'insert_attempts',
  text: `
    insert into attempts (message_id, attempt, worker, started_at, ended_at, outcome, http_status, error)
    select * from ${attemptRows.from('row')}
    on conflict do nothing`,
};

/**
 * Comes before the statuses, on both sides: the row's key makes a recorder wait for another shard's that is writing
 * the same provider id, and its next statements then see what that one committed. So neither a status that is early
 * nor a `sent` that is late can slip past the other.
 */
export const insertProviderMessages: Statement = {
  name: 'insert_provider_messages',
  text: `
    insert into provider_messages as known (provider_message_id, message_id)
    select * from unnest($1::text[], $2::uuid[]) as row (provider_message_id, message_id)
    order by provider_message_id
    on conflict (provider_message_id) do update set message_id = excluded.message_id
      where known.message_id is null and excluded.message_id is not null`,
};

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

export const quarantineRows = rowSet({ ...position, raw: 'text', error: 'text' });

export const insertQuarantine: Statement = {
  name: 'insert_quarantine',
  text: `
    insert into recorder_quarantine (shard, entry_ms, entry_seq, entry_index, raw, error)
    select * from ${quarantineRows.from('row')}
    on conflict do nothing`,
};
