import type { StatementOptions } from '../database.ts';
import { rowSet } from '../recording/row-set.ts';

/**
 * The statements of what comes in. Each takes a batch of any size and inserts in the order of its keys, and tables
 * come in the order in which the recorder touches them, so that processes wait for each other and do not deadlock.
 *
 * What is looked up by a key stands in a lateral part with `limit 1` or `offset 0`, which PostgreSQL does not dissolve:
 * one look-up in the index of that key per row. Left free, it joins whole tables while its statistics say they are
 * small, as they do in the first minutes of a burst, and finds a person's conversation by reading those of everybody.
 */

/**
 * Rows up to which a statement is prepared under a name. PostgreSQL plans such a statement once and keeps the plan,
 * however the tables grow. A larger batch is planned when it runs: that costs about 2 ms, a plan for tables that were
 * empty much more.
 */
const PLANNED_ONCE_MAX = 5;

/** How to run a statement of so many rows. */
export function named(name: string, rows: number): StatementOptions {
  return rows <= PLANNED_ONCE_MAX ? { name } : {};
}

const aliasKey = { tenant: 'text', kind: 'text', value: 'text' } as const;

export const aliasKeys = rowSet(aliasKey);

export const findAliases = `
  select row.tenant, row.kind, row.value, coalesce(contact.merged_into, contact.id) as contact_id
  from ${aliasKeys.from('row')}
  cross join lateral (
    select contact_id from contact_aliases alias
    where alias.tenant = row.tenant and alias.kind = row.kind and alias.value = row.value
    limit 1
  ) alias
  cross join lateral (select id, merged_into from contacts where contacts.id = alias.contact_id limit 1) contact`;

export const ownerRows = rowSet({ ord: 'integer', sender: 'text', kind: 'text', value: 'text', reply_to: 'text' });

/**
 * Whose is a message on a sender that tenants share: of the tenant whose message it answers, else of the one whose
 * conversation with this person was active last. Rows of one message share `ord`.
 */
export const findOwners = `
  select distinct on (row.ord) row.ord, owner.tenant
  from ${ownerRows.from('row')}
  cross join lateral (
    (
      select message.tenant, 'infinity'::timestamptz as at
      from provider_messages provider
      join messages message on message.id = provider.message_id
      where provider.provider_message_id = row.reply_to and message.sender = row.sender
    )
    union all
    (
      select conversation.tenant, conversation.last_message_at
      from contact_aliases alias
      join conversations conversation on conversation.contact_id = alias.contact_id
      where alias.kind = row.kind and alias.value = row.value
        and conversation.sender = row.sender and conversation.messages_out > 0
    )
  ) owner
  order by row.ord, owner.at desc`;

export const mergeRows = rowSet({ loser: 'uuid', survivor: 'uuid' });

/** Two contacts turned out to be one person: the older one stays, with the names of both and the last wish. */
export const mergeContacts = `
  with pair as (select * from ${mergeRows.from('row')}),
  alias as (
    update contact_aliases set contact_id = pair.survivor from pair where contact_aliases.contact_id = pair.loser
  ),
  thread as (
    update conversations set contact_id = pair.survivor from pair where conversations.contact_id = pair.loser
  ),
  kept as (
    update contacts set
      name = coalesce(contacts.name, loser.name),
      marketing_opt_out_at = case
        when loser.marketing_changed_at > contacts.marketing_changed_at then loser.marketing_opt_out_at
        when contacts.marketing_changed_at > loser.marketing_changed_at then contacts.marketing_opt_out_at
        else coalesce(contacts.marketing_opt_out_at, loser.marketing_opt_out_at)
      end,
      marketing_changed_at = greatest(contacts.marketing_changed_at, loser.marketing_changed_at),
      updated_at = now()
    from pair join contacts loser on loser.id = pair.loser
    where contacts.id = pair.survivor
  )
  update contacts set merged_into = pair.survivor, updated_at = now()
  from pair where contacts.id = pair.loser or contacts.merged_into = pair.loser`;

export const messageRows = rowSet({
  ord: 'integer',
  id: 'uuid',
  tenant: 'text',
  sender: 'text',
  contact_id: 'uuid',
  default_conversation: 'text',
  provider_message_id: 'text',
  is_echo: 'boolean',
  type: 'text',
  content: 'jsonb',
  reply_to: 'text',
  referral: 'jsonb',
  provider_at: 'timestamptz',
  received_at: 'timestamptz',
  created_at: 'timestamptz',
  window_until: 'timestamptz',
  name: 'text',
  webhook_id: 'uuid',
  names: 'jsonb',
});

export const newAliasRows = rowSet({ ...aliasKey, contact_id: 'uuid', is_new: 'boolean', name: 'text' });

export const webhookRows = rowSet({
  id: 'uuid',
  provider: 'text',
  sender: 'text',
  received_at: 'timestamptz',
  headers: 'jsonb',
  body: 'bytea',
  covers: 'text',
});

export const providerEventRows = rowSet({
  webhook_id: 'uuid',
  item: 'integer',
  provider: 'text',
  sender: 'text',
  account_id: 'text',
  kind: 'text',
  event: 'text',
  detail: 'jsonb',
});

const aliasesAt = 1 + messageRows.width;
const webhooksAt = aliasesAt + newAliasRows.width;
const eventsAt = webhooksAt + webhookRows.width;
const webhookIdsAt = eventsAt + providerEventRows.width;

/**
 * Everything of a batch in one statement, so that a single message costs no more round trips than it must.
 *
 * - A contact that another process made at the same time is found by the conflict on its alias; DO UPDATE, unlike
 *   DO NOTHING, gives the row back.
 * - A message joins the conversation of the message it answers, else the person's latest one on this sender, else
 *   the one that is named after the person, as a message to that person would.
 * - Only rows that were really inserted are counted and numbered, so a repeated webhook changes nothing.
 * - What a product is told of it goes to the outbox here, so that no message is recorded without its event.
 * - The last part gives back what an earlier attempt at the same webhook recorded.
 */
export const recordInbound = `
  with
  row as (select * from ${messageRows.from('row')}),
  webhook as (
    insert into raw_webhooks (id, provider, sender, received_at, headers, body, covers, processed_at)
    select id, provider, sender, received_at, headers, body, covers, now()
    from ${webhookRows.from('row', webhooksAt)}
    order by id
    on conflict (id) do update set processed_at = now() where raw_webhooks.processed_at is null
  ),
  told as (
    insert into provider_events (webhook_id, item, provider, sender, account_id, kind, event, detail)
    select webhook_id, item, provider, sender, account_id, kind, event, detail
    from ${providerEventRows.from('row', eventsAt)}
    order by webhook_id, item
    on conflict do nothing
  ),
  wanted as (select * from ${newAliasRows.from('row', aliasesAt)}),
  alias as (
    insert into contact_aliases (tenant, kind, value, contact_id)
    select tenant, kind, value, contact_id from wanted
    order by tenant, kind, value
    on conflict (tenant, kind, value) do update set contact_id = contact_aliases.contact_id
    returning tenant, kind, value, contact_id
  ),
  person as (
    insert into contacts (id, tenant, name)
    select distinct on (wanted.contact_id) wanted.contact_id, wanted.tenant, wanted.name
    from wanted
    where wanted.is_new and exists (select from alias where alias.contact_id = wanted.contact_id)
    order by wanted.contact_id
  ),
  taken as (
    select distinct on (wanted.contact_id) wanted.contact_id as meant, alias.contact_id as contact_id
    from wanted join alias using (tenant, kind, value)
    where wanted.is_new
    order by wanted.contact_id, alias.contact_id
  ),
  renamed as (
    update contacts set name = latest.name, updated_at = now()
    from (
      select distinct on (contact_id) contact_id, name from row
      where name is not null and not is_echo
      order by contact_id, created_at desc, ord desc
    ) latest
    where contacts.id = latest.contact_id and contacts.name is distinct from latest.name
    returning contacts.id
  ),
  resolved as (
    select row.*, coalesce(contact.merged_into, taken.contact_id, row.contact_id) as person_id
    from row
    left join taken on taken.meant = row.contact_id
    left join lateral (
      select merged_into from contacts where contacts.id = coalesce(taken.contact_id, row.contact_id) limit 1
    ) contact on true
  ),
  placed as (
    select resolved.*, coalesce(answered.conversation, latest.id, resolved.default_conversation) as conversation
    from resolved
    left join lateral (
      select message.conversation
      from provider_messages provider
      cross join lateral (
        select tenant, sender, contact_id, conversation from messages where messages.id = provider.message_id offset 0
      ) message
      where provider.provider_message_id = resolved.reply_to
        and message.tenant = resolved.tenant and message.sender = resolved.sender
        and message.contact_id = resolved.person_id
      limit 1
    ) answered on true
    left join lateral (
      select own.id
      from (
        select id, tenant, last_message_at from conversations
        where conversations.contact_id = resolved.person_id and conversations.sender = resolved.sender
        offset 0
      ) own
      where own.tenant = resolved.tenant
      order by own.last_message_at desc, own.id desc
      limit 1
    ) latest on true
  ),
  inserted as (
    insert into inbound_messages (
      id, tenant, sender, conversation, contact_id, provider_message_id, is_echo, type, content, reply_to, referral,
      provider_at, received_at, created_at, webhook_id
    )
    select
      id, tenant, sender, conversation, person_id, provider_message_id, is_echo, type, content, reply_to, referral,
      provider_at, received_at, created_at, webhook_id
    from placed
    order by sender, provider_message_id
    on conflict do nothing
    returning id, tenant, sender, conversation, contact_id, provider_message_id, is_echo, created_at, webhook_id
  ),
  thread as (
    insert into conversations as known (
      tenant, sender, id, contact_id, messages_in, unread, created_at, last_message_at, last_inbound_at,
      window_expires_at, event_seq
    )
    select
      inserted.tenant, inserted.sender, inserted.conversation,
      (array_agg(inserted.contact_id order by inserted.created_at desc))[1],
      count(*) filter (where not inserted.is_echo),
      count(*) filter (where not inserted.is_echo),
      min(inserted.created_at), max(inserted.created_at),
      max(inserted.created_at) filter (where not inserted.is_echo),
      max(row.window_until),
      count(*)
    from inserted join row on row.id = inserted.id
    group by inserted.tenant, inserted.sender, inserted.conversation
    order by inserted.tenant, inserted.sender, inserted.conversation
    on conflict (tenant, sender, id) do update set
      contact_id = coalesce(excluded.contact_id, known.contact_id),
      messages_in = known.messages_in + excluded.messages_in,
      unread = known.unread + excluded.unread,
      last_message_at = greatest(known.last_message_at, excluded.last_message_at),
      last_inbound_at = greatest(known.last_inbound_at, excluded.last_inbound_at),
      window_expires_at = greatest(known.window_expires_at, excluded.window_expires_at),
      event_seq = known.event_seq + excluded.event_seq,
      updated_at = greatest(known.updated_at, now())
    returning known.tenant, known.sender, known.id, known.event_seq
  ),
  numbered as (
    insert into conversation_events (tenant, sender, conversation, seq, kind, message_id, webhook_id, at)
    select
      inserted.tenant, inserted.sender, inserted.conversation,
      thread.event_seq - count(*) over (partition by thread.tenant, thread.sender, thread.id)
        + row_number() over (
          partition by thread.tenant, thread.sender, thread.id order by inserted.created_at, row.ord
        ),
      case when inserted.is_echo then 'echo' else 'message' end, inserted.id, inserted.webhook_id, inserted.created_at
    from inserted
    join row on row.id = inserted.id
    join thread
      on thread.tenant = inserted.tenant and thread.sender = inserted.sender and thread.id = inserted.conversation
    returning tenant, sender, conversation, seq, message_id
  ),
  told_out as (
    insert into event_outbox (endpoint, tenant, sender, conversation, seq, type, message_id, data, occurred_at)
    select
      place.endpoint, numbered.tenant, numbered.sender, numbered.conversation, numbered.seq,
      case when row.is_echo then 'message.echo' else 'message.received' end, row.id,
      -- First, so that a provider's odd word for a type hides nothing of ours.
      jsonb_build_object(row.type, row.content) || jsonb_build_object(
        'id', row.id, 'tenant', numbered.tenant, 'sender', numbered.sender, 'conversation', numbered.conversation,
        'sequence', numbered.seq, 'direction', case when row.is_echo then 'outbound' else 'inbound' end,
        'contact', jsonb_build_object('id', inserted.contact_id) || row.names,
        'providerMessageId', row.provider_message_id, 'type', row.type,
        'context', case when row.reply_to is not null then jsonb_build_object('message_id', row.reply_to) end,
        'referral', row.referral, 'providerAt', iso_of(row.provider_at), 'receivedAt', iso_of(row.received_at)
      ),
      row.created_at
    from numbered
    join inserted on inserted.id = numbered.message_id
    join row on row.id = numbered.message_id
    cross join lateral (select event_endpoint_of(numbered.tenant) as endpoint) place
    where place.endpoint is not null
    order by numbered.tenant, numbered.sender, numbered.conversation, numbered.seq
  )
  select
    inserted.id, numbered.conversation, numbered.seq, inserted.contact_id, inserted.sender,
    inserted.provider_message_id, true as is_new,
    inserted.contact_id in (select renamed.id from renamed) as is_renamed
  from numbered join inserted on inserted.id = numbered.message_id
  union all
  select
    earlier.id, event.conversation, event.seq, earlier.contact_id, earlier.sender,
    earlier.provider_message_id, false, true
  from unnest($${webhookIdsAt}::uuid[]) as brought (webhook_id)
  cross join lateral (
    select conversation, seq, message_id from conversation_events
    where conversation_events.webhook_id = brought.webhook_id
    offset 0
  ) event
  cross join lateral (
    select id, contact_id, sender, provider_message_id from inbound_messages
    where inbound_messages.id = event.message_id
    limit 1
  ) earlier
  order by seq`;
