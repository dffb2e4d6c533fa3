-- What comes in: messages that people sent, the window they open, and what else a provider told.
--
-- Indexes of existing tables are made inside the transaction: writers wait meanwhile, and the recorder catches up.

alter table contacts add column marketing_opt_out_at timestamptz;

alter table conversations
  add column last_inbound_at timestamptz,
  -- Until when free-form messages may go: 24 h after the person's last message, 72 h after a click on an ad.
  add column window_expires_at timestamptz,
  add column unread integer not null default 0,
  -- Number of the conversation's last event, see conversation_events.
  add column event_seq bigint not null default 0,
  -- The last thing that happened in it, statuses included.
  add column updated_at timestamptz not null default now();
-- Finds the tenants that know somebody who writes to a shared sender.
-- squawk-ignore require-concurrent-index-creation
create index contact_aliases_value on contact_aliases (kind, value);
-- squawk-ignore require-concurrent-index-creation
create index conversations_contact on conversations (contact_id, sender, last_message_at);

-- A table of its own, because an outbound row is what the engine knows of a message: its counts are compared with the
-- engine's, and every column about attempts would be empty here. The chat view reads both.
create table inbound_messages (
  id uuid primary key,
  tenant text not null,
  sender text not null,
  conversation text not null,
  contact_id uuid,
  provider_message_id text not null,
  -- Written on the sender's own phone, not by the contact.
  is_echo boolean not null default false,
  type text not null,
  content jsonb not null,
  reply_to text,
  referral jsonb,
  -- The provider's clock, often in whole seconds.
  provider_at timestamptz not null,
  received_at timestamptz not null,
  -- What the chat is sorted by: received_at while that is close to provider_at, because it has milliseconds.
  created_at timestamptz not null,
  read_at timestamptz,
  webhook_id uuid not null,
  -- What makes a repeated webhook harmless.
  unique (sender, provider_message_id)
);
create index inbound_messages_conversation on inbound_messages (tenant, conversation, created_at, id);

-- What happened in a conversation, numbered without gaps in the order in which it was recorded. Written in the same
-- statement as the message itself: what a product is told can be taken from here at any time.
create table conversation_events (
  tenant text not null,
  sender text not null,
  conversation text not null,
  seq bigint not null,
  kind text not null,
  message_id uuid not null,
  webhook_id uuid not null,
  at timestamptz not null,
  primary key (tenant, sender, conversation, seq)
);
create index conversation_events_webhook on conversation_events (webhook_id);

-- What a provider told that is neither a message nor a status: templates, senders, preferences, changed contacts, and
-- what has no reader or could not be read.
create table provider_events (
  webhook_id uuid not null,
  -- Its place in the webhook: reading a webhook twice is the same row.
  item integer not null,
  provider text not null,
  -- Our id of the sender; null when the event names none of ours.
  sender text,
  account_id text,
  kind text not null,
  event text not null,
  detail jsonb not null,
  recorded_at timestamptz not null default date_trunc('milliseconds', now()),
  primary key (webhook_id, item)
);
create index provider_events_kind on provider_events (kind, recorded_at);

-- Null: nobody has processed it yet. What came before this column was kept without a reader, so it is processed too.
alter table raw_webhooks
  alter column received_at set default date_trunc('milliseconds', now()),
  add column processed_at timestamptz,
  -- The sender's provider id that the signature speaks for; null = for all.
  add column covers text;
-- squawk-ignore require-concurrent-index-deletion
drop index raw_webhooks_received;
-- squawk-ignore require-concurrent-index-creation
create index raw_webhooks_received on raw_webhooks (received_at, id);
-- squawk-ignore require-concurrent-index-creation
create index raw_webhooks_unprocessed on raw_webhooks (received_at) where processed_at is null;
