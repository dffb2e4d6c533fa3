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

/**
 * Sent again under a new provider id: the failure of the old one no longer counts. Left standing, a failure of the new id
 * in the same second, which is all that providers tell of time, would look like no news.
 */
const FAILED_BEFORE = `row.provider_message_id <> messages.provider_message_id and messages.delivery_status = 'failed'`;

export const updateMessages: Statement = {
  name: 'update_messages',
  text: `
    update messages set
      engine_status = row.engine_status,
      attempts = greatest(messages.attempts, row.attempts),
      seq = coalesce(row.seq, messages.seq),
      provider_message_id = coalesce(row.provider_message_id, messages.provider_message_id),
      delivery_status = case when ${FAILED_BEFORE} then null else messages.delivery_status end,
      delivery_failed_at = case when ${FAILED_BEFORE} then null else messages.delivery_failed_at end,
      delivery_error = case when ${FAILED_BEFORE} then null else messages.delivery_error end,
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

export const quarantineRows = rowSet({ ...position, raw: 'text', error: 'text' });

export const insertQuarantine: Statement = {
  name: 'insert_quarantine',
  text: `
    insert into recorder_quarantine (shard, entry_ms, entry_seq, entry_index, raw, error)
    select * from ${quarantineRows.from('row')}
    on conflict do nothing`,
};
