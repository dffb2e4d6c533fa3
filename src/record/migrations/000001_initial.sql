-- The first schema of the record.
--
-- Two rules shape it. First, what the engine says of a message and what the provider says of it are kept in columns
-- of their own; the status that people see is derived from both, here and nowhere else. Second, everything that the
-- recorder writes has a key from the event it came from, so that reading an event twice changes nothing.
--
-- Times that a list is sorted by are cut to milliseconds: that is what a cursor holds.

create table tenants (
  id text primary key,
  name text not null,
  -- Null in one of the three limits: the setting's default holds, also when the setting changes later.
  concurrency integer check (concurrency >= 1),
  weight integer check (weight between 1 and 100),
  backlog_max bigint check (backlog_max >= 1),
  queue_enabled boolean not null default true,
  events_url text,
  paused_reason text,
  created_at timestamptz not null default date_trunc('milliseconds', now()),
  updated_at timestamptz not null default now()
);

create table api_keys (
  id uuid primary key,
  -- SHA-256 of the key: the key itself is shown once and stored nowhere.
  hash bytea not null unique check (octet_length(hash) = 32),
  -- Null: a key that acts for every tenant.
  tenant text references tenants (id),
  name text not null,
  -- First characters of the key, so that a person can tell keys apart.
  prefix text not null,
  created_at timestamptz not null default date_trunc('milliseconds', now()),
  last_used_at timestamptz,
  revoked_at timestamptz
);
create index api_keys_tenant on api_keys (tenant, created_at);

create table senders (
  id text primary key,
  -- Null: shared by all tenants.
  tenant text references tenants (id),
  provider text not null check (provider in ('cloud', 'evolution', 'twilio')),
  external_id text not null,
  api_url text not null,
  -- AES-256-GCM envelope (src/util/secret-box.ts); the sender's id is its additional data.
  credentials bytea not null,
  rate_per_second double precision not null check (rate_per_second >= 0),
  burst integer not null check (burst >= 1),
  concurrency integer not null check (concurrency >= 1),
  pair_gap_ms integer not null check (pair_gap_ms >= 0),
  pair_bucket_capacity integer not null check (pair_bucket_capacity >= 0),
  pair_bucket_refill_per_second double precision not null check (pair_bucket_refill_per_second >= 0),
  portfolio text,
  -- Chosen when the sender is created and never changed: its queue keys live there.
  shard integer not null check (shard >= 0),
  paused_reason text,
  created_at timestamptz not null default date_trunc('milliseconds', now()),
  updated_at timestamptz not null default now(),
  unique (provider, external_id)
);
create index senders_tenant on senders (tenant);

create table contacts (
  id uuid primary key,
  tenant text not null,
  name text,
  -- Set when this contact turned out to be another one; its aliases then point to that one.
  merged_into uuid references contacts (id),
  created_at timestamptz not null default date_trunc('milliseconds', now()),
  updated_at timestamptz not null default now()
);
create index contacts_tenant on contacts (tenant, created_at, id);

create table contact_aliases (
  tenant text not null,
  kind text not null check (kind in ('e164', 'wa_id', 'user_id')),
  value text not null,
  contact_id uuid not null references contacts (id),
  created_at timestamptz not null default now(),
  primary key (tenant, kind, value)
);
create index contact_aliases_contact on contact_aliases (contact_id);

create table conversations (
  tenant text not null,
  sender text not null,
  id text not null,
  contact_id uuid,
  messages_out bigint not null default 0,
  messages_in bigint not null default 0,
  created_at timestamptz not null,
  last_message_at timestamptz not null,
  primary key (tenant, sender, id)
);
create index conversations_recent on conversations (tenant, last_message_at, sender, id);

-- No foreign keys here: messages are recorded in bulk, and one that names an unknown row must be kept, not refused.
create table messages (
  id uuid primary key,
  tenant text not null,
  sender text not null,
  conversation text not null,
  contact_id uuid,
  -- Canonical recipient as the engine knows it: with the sender it is the pair.
  alias text not null,
  -- The recipient as the caller wrote it: a phone number, a business-scoped user id, or both.
  to_address text,
  recipient text,
  type text not null,
  content jsonb not null,
  context jsonb,
  metadata jsonb,
  priority smallint not null,
  -- What the engine did last.
  engine_status text not null check (
    engine_status in ('queued', 'scheduled', 'deferred', 'unknown', 'sent', 'failed', 'cancelled', 'expired')
  ),
  -- The most that the provider's status webhooks prove; null while there are none.
  delivery_status text check (delivery_status in ('sent', 'delivered', 'read', 'failed')),
  -- What people see. A delivery is a fact whatever the engine thinks; a failed delivery counts for a sent message.
  status text not null generated always as (
    case
      when delivery_status in ('delivered', 'read') then delivery_status
      when delivery_status = 'failed' and engine_status = 'sent' then 'failed'
      else engine_status
    end
  ) stored,
  shard integer not null,
  -- Order of acceptance within the shard.
  seq bigint not null,
  attempts integer not null default 0,
  provider_message_id text,
  -- Why the engine's last attempt did not succeed; null once it did.
  error jsonb,
  -- Why the provider could not deliver; null unless delivery_status is 'failed'.
  delivery_error jsonb,
  idempotency_key text,
  send_at timestamptz,
  expires_at timestamptz,
  created_at timestamptz not null,
  sent_at timestamptz,
  delivered_at timestamptz,
  read_at timestamptz,
  -- When the engine gave the message up, or the provider reported that it could not be delivered.
  failed_at timestamptz,
  delivery_failed_at timestamptz,
  updated_at timestamptz not null default now()
);
create index messages_created on messages (created_at, id);
create index messages_tenant on messages (tenant, created_at, id);
create index messages_conversation on messages (tenant, conversation, created_at, id);
create index messages_status on messages (tenant, status, created_at, id);

-- The engine's timeline, append-only. The key is the place of the event in the shard's log.
create table message_events (
  shard integer not null,
  entry_ms bigint not null,
  entry_seq bigint not null,
  entry_index integer not null,
  message_id uuid not null,
  at timestamptz not null,
  event text not null,
  detail jsonb not null,
  primary key (shard, entry_ms, entry_seq, entry_index)
);
create index message_events_message on message_events (message_id);

create table attempts (
  message_id uuid not null,
  attempt integer not null,
  worker text not null,
  started_at timestamptz not null,
  ended_at timestamptz not null,
  outcome text not null check (outcome in ('sent', 'rejected', 'not-sent', 'ambiguous')),
  http_status integer,
  error jsonb,
  primary key (message_id, attempt)
);

-- Which message a provider's id belongs to. A message has several after an ambiguous attempt or a redrive, and an id
-- may be seen in a status before the attempt's own answer is recorded (message_id is null until then). Both sides
-- write this row first, so two shards' recorders meet on it and the later one sees what the earlier one committed.
create table provider_messages (
  provider_message_id text primary key,
  message_id uuid
);

-- Every status that a provider reported, append-only. A repeat is the same row; nothing is ever lifted from here.
create table status_events (
  provider_message_id text not null,
  status text not null,
  provider_at timestamptz not null,
  -- Null until the provider's id is known to be one of ours; for other apps' messages for ever.
  message_id uuid,
  error jsonb,
  recorded_at timestamptz not null default now(),
  primary key (provider_message_id, status, provider_at)
);
create index status_events_message on status_events (message_id) where message_id is not null;

-- Events that could not be recorded, kept as they were so that a person can look and a later version can try again.
create table recorder_quarantine (
  shard integer not null,
  entry_ms bigint not null,
  entry_seq bigint not null,
  entry_index integer not null,
  raw text not null,
  error text not null,
  quarantined_at timestamptz not null default now(),
  primary key (shard, entry_ms, entry_seq, entry_index)
);

create table raw_webhooks (
  id uuid primary key,
  provider text not null,
  sender text,
  received_at timestamptz not null default now(),
  headers jsonb not null,
  -- The bytes as they came: the provider's signature covers them, and a parser's mistake can be repaired later.
  body bytea not null
);
create index raw_webhooks_received on raw_webhooks (received_at);

create table audit (
  id uuid primary key,
  at timestamptz not null default date_trunc('milliseconds', now()),
  actor text not null,
  action text not null,
  target text not null,
  tenant text,
  detail jsonb not null
);
create index audit_at on audit (at, id);
