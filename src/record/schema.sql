-- Made from the migrations by scripts/dump-schema.mjs: change those, not this.

create table api_keys (
  id uuid not null,
  hash bytea not null,
  tenant text,
  name text not null,
  prefix text not null,
  created_at timestamp with time zone not null default date_trunc('milliseconds'::text, now()),
  last_used_at timestamp with time zone,
  revoked_at timestamp with time zone,
  expires_at timestamp with time zone,
  constraint api_keys_hash_check CHECK ((octet_length(hash) = 32)),
  constraint api_keys_tenant_fkey FOREIGN KEY (tenant) REFERENCES tenants(id),
  constraint api_keys_pkey PRIMARY KEY (id),
  constraint api_keys_hash_key UNIQUE (hash)
);
CREATE INDEX api_keys_tenant ON api_keys USING btree (tenant, created_at);

create table attempts (
  message_id uuid not null,
  attempt integer not null,
  worker text not null,
  started_at timestamp with time zone not null,
  ended_at timestamp with time zone not null,
  outcome text not null,
  http_status integer,
  error jsonb,
  constraint attempts_outcome_check CHECK ((outcome = ANY (ARRAY['sent'::text, 'rejected'::text, 'not-sent'::text, 'ambiguous'::text]))),
  constraint attempts_pkey PRIMARY KEY (message_id, attempt)
);

create table audit (
  id uuid not null,
  at timestamp with time zone not null default date_trunc('milliseconds'::text, now()),
  actor text not null,
  action text not null,
  target text not null,
  tenant text,
  detail jsonb not null,
  constraint audit_pkey PRIMARY KEY (id)
);
CREATE INDEX audit_at ON audit USING btree (at, id);

create table booking_reminders (
  tenant text not null,
  booking_id text not null,
  kind text not null,
  due_at timestamp with time zone not null,
  status text not null,
  reason text,
  message_id uuid,
  sent_at timestamp with time zone,
  generation integer not null default 0,
  constraint booking_reminders_status_check CHECK ((status = ANY (ARRAY['scheduled'::text, 'sent'::text, 'cancelled'::text, 'skipped'::text, 'failed'::text]))),
  constraint booking_reminders_tenant_booking_id_fkey FOREIGN KEY (tenant, booking_id) REFERENCES bookings(tenant, id),
  constraint booking_reminders_pkey PRIMARY KEY (tenant, booking_id, kind)
);
CREATE INDEX booking_reminders_due ON booking_reminders USING btree (due_at) WHERE (status = 'scheduled'::text);
CREATE INDEX booking_reminders_sent ON booking_reminders USING btree (sent_at, tenant) WHERE (sent_at IS NOT NULL);

create table bookings (
  tenant text not null,
  id text not null,
  customer_phone text not null,
  customer_name text,
  service_name text not null,
  starts_at timestamp with time zone not null,
  starts_at_written text not null,
  time_zone text,
  sender text,
  message jsonb,
  locale text,
  metadata jsonb not null default '{}'::jsonb,
  status text not null default 'active'::text,
  last_reminded_at timestamp with time zone,
  cancelled_at timestamp with time zone,
  created_at timestamp with time zone not null default date_trunc('milliseconds'::text, now()),
  updated_at timestamp with time zone not null default now(),
  constraint bookings_status_check CHECK ((status = ANY (ARRAY['active'::text, 'cancelled'::text]))),
  constraint bookings_pkey PRIMARY KEY (tenant, id)
);
CREATE INDEX bookings_made ON bookings USING btree (created_at, tenant);
CREATE INDEX bookings_starts ON bookings USING btree (tenant, starts_at, id);
CREATE INDEX bookings_starts_all ON bookings USING btree (starts_at);

create table cache_history (
  hour timestamp with time zone not null,
  cache text not null,
  hits bigint not null,
  misses bigint not null,
  creations bigint not null,
  constraint cache_history_pkey PRIMARY KEY (hour, cache)
);

create table contact_aliases (
  tenant text not null,
  kind text not null,
  value text not null,
  contact_id uuid not null,
  created_at timestamp with time zone not null default now(),
  constraint contact_aliases_kind_check CHECK ((kind = ANY (ARRAY['e164'::text, 'wa_id'::text, 'user_id'::text]))),
  constraint contact_aliases_contact_id_fkey FOREIGN KEY (contact_id) REFERENCES contacts(id),
  constraint contact_aliases_pkey PRIMARY KEY (tenant, kind, value)
);
CREATE INDEX contact_aliases_contact ON contact_aliases USING btree (contact_id);
CREATE INDEX contact_aliases_value ON contact_aliases USING btree (kind, value);

create table contacts (
  id uuid not null,
  tenant text not null,
  name text,
  merged_into uuid,
  created_at timestamp with time zone not null default date_trunc('milliseconds'::text, now()),
  updated_at timestamp with time zone not null default now(),
  marketing_opt_out_at timestamp with time zone,
  marketing_changed_at timestamp with time zone,
  constraint contacts_merged_into_fkey FOREIGN KEY (merged_into) REFERENCES contacts(id),
  constraint contacts_pkey PRIMARY KEY (id)
);
CREATE INDEX contacts_tenant ON contacts USING btree (tenant, created_at, id);

create table content_sids (
  key text not null,
  signature text not null,
  sid text not null,
  friendly_name text,
  uses bigint not null default 0,
  created_at timestamp with time zone not null default now(),
  used_at timestamp with time zone not null default now(),
  constraint content_sids_pkey PRIMARY KEY (key, signature)
);
CREATE INDEX content_sids_uses ON content_sids USING btree (uses DESC);

create table conversation_events (
  tenant text not null,
  sender text not null,
  conversation text not null,
  seq bigint not null,
  kind text not null,
  message_id uuid not null,
  webhook_id uuid not null,
  at timestamp with time zone not null,
  constraint conversation_events_pkey PRIMARY KEY (tenant, sender, conversation, seq)
);
CREATE INDEX conversation_events_webhook ON conversation_events USING btree (webhook_id);

create table conversations (
  tenant text not null,
  sender text not null,
  id text not null,
  contact_id uuid,
  messages_out bigint not null default 0,
  messages_in bigint not null default 0,
  created_at timestamp with time zone not null,
  last_message_at timestamp with time zone not null,
  last_inbound_at timestamp with time zone,
  window_expires_at timestamp with time zone,
  unread integer not null default 0,
  event_seq bigint not null default 0,
  updated_at timestamp with time zone not null default now(),
  waiting_since timestamp with time zone,
  constraint conversations_pkey PRIMARY KEY (tenant, sender, id)
);
CREATE INDEX conversations_contact ON conversations USING btree (contact_id, sender, last_message_at);
CREATE INDEX conversations_recent ON conversations USING btree (tenant, last_message_at, sender, id);

create table dead_letters (
  message_id uuid not null,
  tenant text not null,
  sender text not null,
  code text not null,
  held boolean not null,
  dead_at timestamp with time zone not null,
  constraint dead_letters_pkey PRIMARY KEY (message_id)
);
CREATE INDEX dead_letters_newest ON dead_letters USING btree (dead_at, message_id);
CREATE INDEX dead_letters_tenant ON dead_letters USING btree (tenant, dead_at, message_id);

create table direct_keys (
  tenant text not null,
  sender text not null,
  key text not null,
  body_digest bytea not null,
  message_id uuid not null,
  claimed_at timestamp with time zone not null default now(),
  constraint direct_keys_pkey PRIMARY KEY (tenant, sender, key)
);
CREATE INDEX direct_keys_claimed_at ON direct_keys USING btree (claimed_at);

create table event_endpoints (
  id text not null,
  url text,
  disabled_at timestamp with time zone,
  disabled_reason text,
  delivered_at timestamp with time zone,
  failing_since timestamp with time zone,
  constraint event_endpoints_pkey PRIMARY KEY (id)
);

create table event_outbox (
  id uuid not null default gen_random_uuid(),
  endpoint text not null,
  tenant text,
  sender text,
  conversation text,
  seq bigint,
  type text not null,
  message_id uuid,
  data jsonb not null,
  source text,
  state text not null default 'pending'::text,
  attempts integer not null default 0,
  due_at timestamp with time zone not null default now(),
  last_status integer,
  last_error text,
  occurred_at timestamp with time zone not null,
  created_at timestamp with time zone not null default date_trunc('milliseconds'::text, now()),
  ended_at timestamp with time zone,
  constraint event_outbox_state_check CHECK ((state = ANY (ARRAY['pending'::text, 'delivered'::text, 'dead'::text]))),
  constraint event_outbox_pkey PRIMARY KEY (id),
  constraint event_outbox_source_key UNIQUE (source)
);
CREATE INDEX event_outbox_due ON event_outbox USING btree (endpoint, due_at, seq) WHERE (state = 'pending'::text);
CREATE INDEX event_outbox_ended ON event_outbox USING btree (ended_at) WHERE (state <> 'pending'::text);
CREATE INDEX event_outbox_newest ON event_outbox USING btree (created_at, id);
CREATE INDEX event_outbox_state ON event_outbox USING btree (state, created_at, id);

create table inbound_messages (
  id uuid not null,
  tenant text not null,
  sender text not null,
  conversation text not null,
  contact_id uuid,
  provider_message_id text not null,
  is_echo boolean not null default false,
  type text not null,
  content jsonb not null,
  reply_to text,
  referral jsonb,
  provider_at timestamp with time zone not null,
  received_at timestamp with time zone not null,
  created_at timestamp with time zone not null,
  read_at timestamp with time zone,
  webhook_id uuid not null,
  constraint inbound_messages_pkey PRIMARY KEY (id),
  constraint inbound_messages_sender_provider_message_id_key UNIQUE (sender, provider_message_id)
);
CREATE INDEX inbound_messages_conversation ON inbound_messages USING btree (tenant, conversation, created_at, id);
CREATE TRIGGER inbound_added AFTER INSERT ON inbound_messages REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION count_added_inbound();

create table inbound_stats (
  tenant text not null,
  slot timestamp with time zone not null,
  writer integer not null,
  messages bigint not null,
  constraint inbound_stats_pkey PRIMARY KEY (tenant, slot, writer)
);

create table message_events (
  shard integer not null,
  entry_ms bigint not null,
  entry_seq bigint not null,
  entry_index integer not null,
  message_id uuid not null,
  at timestamp with time zone not null,
  event text not null,
  detail jsonb not null,
  constraint message_events_pkey PRIMARY KEY (shard, entry_ms, entry_seq, entry_index)
);
CREATE INDEX message_events_message ON message_events USING btree (message_id);

create table message_stats (
  tenant text not null,
  slot timestamp with time zone not null,
  writer integer not null,
  status text not null,
  is_sent boolean not null,
  reason text not null,
  messages bigint not null,
  send_ms bigint not null,
  constraint message_stats_pkey PRIMARY KEY (tenant, slot, writer, status, is_sent, reason)
);

create table messages (
  id uuid not null,
  tenant text not null,
  sender text not null,
  conversation text not null,
  contact_id uuid,
  alias text not null,
  to_address text,
  recipient text,
  type text not null,
  content jsonb not null,
  context jsonb,
  metadata jsonb,
  priority smallint not null,
  engine_status text not null,
  delivery_status text,
  status text not null generated always as (
CASE
    WHEN (delivery_status = ANY (ARRAY['delivered'::text, 'read'::text])) THEN delivery_status
    WHEN ((delivery_status = 'failed'::text) AND (engine_status = 'sent'::text)) THEN 'failed'::text
    ELSE engine_status
END) stored,
  shard integer not null,
  seq bigint not null,
  attempts integer not null default 0,
  provider_message_id text,
  error jsonb,
  delivery_error jsonb,
  idempotency_key text,
  send_at timestamp with time zone,
  expires_at timestamp with time zone,
  created_at timestamp with time zone not null,
  sent_at timestamp with time zone,
  delivered_at timestamp with time zone,
  read_at timestamp with time zone,
  failed_at timestamp with time zone,
  delivery_failed_at timestamp with time zone,
  updated_at timestamp with time zone not null default now(),
  held boolean not null default false,
  constraint messages_delivery_status_check CHECK ((delivery_status = ANY (ARRAY['sent'::text, 'delivered'::text, 'read'::text, 'failed'::text]))),
  constraint messages_engine_status_check CHECK ((engine_status = ANY (ARRAY['queued'::text, 'scheduled'::text, 'deferred'::text, 'unknown'::text, 'sent'::text, 'failed'::text, 'cancelled'::text, 'expired'::text]))),
  constraint messages_pkey PRIMARY KEY (id)
);
CREATE INDEX messages_conversation ON messages USING btree (tenant, conversation, created_at, id);
CREATE INDEX messages_created ON messages USING btree (created_at, id);
CREATE INDEX messages_silent ON messages USING btree (sent_at, id) WHERE ((engine_status = 'sent'::text) AND (delivery_status IS NULL));
CREATE INDEX messages_status ON messages USING btree (tenant, status, created_at, id);
CREATE INDEX messages_tenant ON messages USING btree (tenant, created_at, id);
CREATE TRIGGER messages_added AFTER INSERT ON messages REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION count_added_messages();
CREATE TRIGGER messages_changed AFTER UPDATE ON messages REFERENCING OLD TABLE AS before NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION count_changed_messages();

create table people (
  id uuid not null,
  name text not null,
  role text not null,
  password_hash text not null,
  created_at timestamp with time zone not null default date_trunc('milliseconds'::text, now()),
  password_changed_at timestamp with time zone not null default now(),
  last_signed_in_at timestamp with time zone,
  disabled_at timestamp with time zone,
  constraint people_name_check CHECK ((name = lower(name))),
  constraint people_role_check CHECK ((role = ANY (ARRAY['viewer'::text, 'operator'::text, 'admin'::text]))),
  constraint people_pkey PRIMARY KEY (id),
  constraint people_name_key UNIQUE (name)
);

create table provider_events (
  webhook_id uuid not null,
  item integer not null,
  provider text not null,
  sender text,
  account_id text,
  kind text not null,
  event text not null,
  detail jsonb not null,
  recorded_at timestamp with time zone not null default date_trunc('milliseconds'::text, now()),
  constraint provider_events_pkey PRIMARY KEY (webhook_id, item)
);
CREATE INDEX provider_events_kind ON provider_events USING btree (kind, recorded_at);

create table provider_messages (
  provider_message_id text not null,
  message_id uuid,
  constraint provider_messages_pkey PRIMARY KEY (provider_message_id)
);

create table raw_webhooks (
  id uuid not null,
  provider text not null,
  sender text,
  received_at timestamp with time zone not null default date_trunc('milliseconds'::text, now()),
  headers jsonb not null,
  body bytea not null,
  processed_at timestamp with time zone,
  covers text,
  constraint raw_webhooks_pkey PRIMARY KEY (id)
);
CREATE INDEX raw_webhooks_received ON raw_webhooks USING btree (received_at, id);
CREATE INDEX raw_webhooks_unprocessed ON raw_webhooks USING btree (received_at) WHERE (processed_at IS NULL);

create table recorder_quarantine (
  shard integer not null,
  entry_ms bigint not null,
  entry_seq bigint not null,
  entry_index integer not null,
  raw text not null,
  error text not null,
  quarantined_at timestamp with time zone not null default now(),
  constraint recorder_quarantine_pkey PRIMARY KEY (shard, entry_ms, entry_seq, entry_index)
);

create table reminder_withdrawals (
  message_id uuid not null,
  tenant text not null,
  owed_since timestamp with time zone not null default now(),
  look_after timestamp with time zone not null default now(),
  constraint reminder_withdrawals_pkey PRIMARY KEY (message_id)
);

create table response_stats (
  tenant text not null,
  slot timestamp with time zone not null,
  writer integer not null,
  bucket smallint not null,
  responses bigint not null,
  response_ms bigint not null,
  constraint response_stats_pkey PRIMARY KEY (tenant, slot, writer, bucket)
);

create table sender_events (
  shard integer not null,
  entry_ms bigint not null,
  entry_seq bigint not null,
  entry_index integer not null,
  sender text not null,
  at timestamp with time zone not null,
  event text not null,
  detail jsonb not null,
  constraint sender_events_pkey PRIMARY KEY (shard, entry_ms, entry_seq, entry_index)
);
CREATE INDEX sender_events_sender ON sender_events USING btree (sender, at DESC);

create table sender_news (
  sender text not null,
  family text not null,
  at timestamp with time zone not null,
  is_held boolean not null,
  reason text not null,
  constraint sender_news_family_check CHECK ((family = ANY (ARRAY['connection'::text, 'account'::text, 'person'::text]))),
  constraint sender_news_pkey PRIMARY KEY (sender, family)
);

create table senders (
  id text not null,
  tenant text,
  provider text not null,
  external_id text not null,
  api_url text not null,
  credentials bytea not null,
  rate_per_second double precision not null,
  burst integer not null,
  concurrency integer not null,
  pair_gap_ms integer not null,
  pair_bucket_capacity integer not null,
  pair_bucket_refill_per_second double precision not null,
  portfolio text,
  shard integer not null,
  paused_reason text,
  created_at timestamp with time zone not null default date_trunc('milliseconds'::text, now()),
  updated_at timestamp with time zone not null default now(),
  channel text,
  resumed_at timestamp with time zone,
  constraint senders_burst_check CHECK ((burst >= 1)),
  constraint senders_channel_check CHECK ((channel = ANY (ARRAY['baileys'::text, 'cloud'::text]))),
  constraint senders_concurrency_check CHECK ((concurrency >= 1)),
  constraint senders_pair_bucket_capacity_check CHECK ((pair_bucket_capacity >= 0)),
  constraint senders_pair_bucket_refill_per_second_check CHECK ((pair_bucket_refill_per_second >= (0)::double precision)),
  constraint senders_pair_gap_ms_check CHECK ((pair_gap_ms >= 0)),
  constraint senders_provider_check CHECK ((provider = ANY (ARRAY['cloud'::text, 'evolution'::text, 'twilio'::text]))),
  constraint senders_rate_per_second_check CHECK ((rate_per_second >= (0)::double precision)),
  constraint senders_shard_check CHECK ((shard >= 0)),
  constraint senders_tenant_fkey FOREIGN KEY (tenant) REFERENCES tenants(id),
  constraint senders_pkey PRIMARY KEY (id),
  constraint senders_provider_external_id_key UNIQUE (provider, external_id)
);
CREATE INDEX senders_tenant ON senders USING btree (tenant);

create table sessions (
  id uuid not null,
  person_id uuid,
  name text not null,
  role text not null,
  network text not null,
  opened_at timestamp with time zone not null default now(),
  expires_at timestamp with time zone not null,
  ended_at timestamp with time zone,
  constraint sessions_role_check CHECK ((role = ANY (ARRAY['viewer'::text, 'operator'::text, 'admin'::text]))),
  constraint sessions_person_id_fkey FOREIGN KEY (person_id) REFERENCES people(id),
  constraint sessions_pkey PRIMARY KEY (id)
);
CREATE INDEX sessions_expires ON sessions USING btree (expires_at);
CREATE INDEX sessions_person ON sessions USING btree (person_id, network, opened_at);

create table sign_in_attempts (
  key text not null,
  failures integer not null,
  last_at timestamp with time zone not null default now(),
  free_at timestamp with time zone not null,
  constraint sign_in_attempts_pkey PRIMARY KEY (key)
);
CREATE INDEX sign_in_attempts_last ON sign_in_attempts USING btree (last_at);

create table status_events (
  provider_message_id text not null,
  status text not null,
  provider_at timestamp with time zone not null,
  message_id uuid,
  error jsonb,
  recorded_at timestamp with time zone not null default now(),
  later_retry jsonb,
  is_time_ours boolean not null default false,
  more jsonb,
  constraint status_events_pkey PRIMARY KEY (provider_message_id, status, provider_at)
);
CREATE INDEX status_events_message ON status_events USING btree (message_id) WHERE (message_id IS NOT NULL);
CREATE UNIQUE INDEX status_events_without_time ON status_events USING btree (provider_message_id, status) WHERE is_time_ours;

create table templates (
  id uuid not null,
  tenant text,
  key text not null,
  language text not null,
  provider text not null,
  account text not null,
  sender text,
  name text not null,
  category text not null,
  components jsonb not null,
  status text not null,
  reason text,
  provider_id text,
  created_at timestamp with time zone not null default date_trunc('milliseconds'::text, now()),
  updated_at timestamp with time zone not null default date_trunc('milliseconds'::text, now()),
  synced_at timestamp with time zone,
  constraint templates_provider_check CHECK ((provider = ANY (ARRAY['cloud'::text, 'twilio'::text]))),
  constraint templates_tenant_fkey FOREIGN KEY (tenant) REFERENCES tenants(id),
  constraint templates_pkey PRIMARY KEY (id)
);
CREATE INDEX templates_account ON templates USING btree (provider, account);
CREATE UNIQUE INDEX templates_at_provider ON templates USING btree (provider, account, (
CASE provider
    WHEN 'twilio'::text THEN COALESCE(provider_id, (id)::text)
    ELSE name
END), language);
CREATE UNIQUE INDEX templates_key ON templates USING btree (COALESCE(tenant, ''::text), account, key, language);
CREATE INDEX templates_list ON templates USING btree (created_at, id);

create table tenants (
  id text not null,
  name text not null,
  concurrency integer,
  weight integer,
  backlog_max bigint,
  queue_enabled boolean not null default true,
  events_url text,
  paused_reason text,
  created_at timestamp with time zone not null default date_trunc('milliseconds'::text, now()),
  updated_at timestamp with time zone not null default now(),
  queue_switch boolean,
  constraint tenants_backlog_max_check CHECK ((backlog_max >= 1)),
  constraint tenants_concurrency_check CHECK ((concurrency >= 1)),
  constraint tenants_weight_check CHECK (((weight >= 1) AND (weight <= 100))),
  constraint tenants_pkey PRIMARY KEY (id)
);

create table whatsapp_delivery_failures (
  id uuid not null default gen_random_uuid(),
  phone_number text not null,
  message text not null,
  idempotency_key text,
  error_message text,
  error_code text,
  attempt_count integer not null default 1,
  status text not null default 'PENDING'::text,
  metadata jsonb not null default '{}'::jsonb,
  next_retry_at timestamp with time zone,
  last_attempt_at timestamp with time zone,
  resolved_at timestamp with time zone,
  created_at timestamp with time zone not null default date_trunc('milliseconds'::text, now()),
  updated_at timestamp with time zone not null default now(),
  constraint whatsapp_delivery_failures_attempt_count_check CHECK ((attempt_count >= 1)),
  constraint whatsapp_delivery_failures_status_check CHECK ((status = ANY (ARRAY['PENDING'::text, 'RESOLVED'::text, 'FAILED'::text]))),
  constraint whatsapp_delivery_failures_pkey PRIMARY KEY (id)
);
CREATE INDEX idx_whatsapp_failures_code ON whatsapp_delivery_failures USING btree (error_code, created_at, id);
CREATE INDEX idx_whatsapp_failures_due ON whatsapp_delivery_failures USING btree ((
CASE
    WHEN ((COALESCE((metadata ->> 'waitsFor'::text), 'schedule'::text) = 'schedule'::text) AND (NOT (metadata @> '{"source": "report"}'::jsonb))) THEN next_retry_at
    ELSE NULL::timestamp with time zone
END)) WHERE (status = 'PENDING'::text);
CREATE INDEX idx_whatsapp_failures_idempotency ON whatsapp_delivery_failures USING btree (idempotency_key);
CREATE INDEX idx_whatsapp_failures_newest ON whatsapp_delivery_failures USING btree (created_at, id);
CREATE INDEX idx_whatsapp_failures_newest_of ON whatsapp_delivery_failures USING btree (status, created_at, id);
CREATE INDEX idx_whatsapp_failures_phone ON whatsapp_delivery_failures USING btree (phone_number);
CREATE INDEX idx_whatsapp_failures_reported ON whatsapp_delivery_failures USING btree (next_retry_at) WHERE ((status = 'PENDING'::text) AND (metadata @> '{"source": "report"}'::jsonb));
CREATE INDEX idx_whatsapp_failures_retry ON whatsapp_delivery_failures USING btree (status, next_retry_at, attempt_count);
CREATE INDEX idx_whatsapp_failures_sender ON whatsapp_delivery_failures USING btree (((metadata ->> 'sender'::text)), created_at, id);
CREATE INDEX idx_whatsapp_failures_status ON whatsapp_delivery_failures USING btree (status, next_retry_at);
CREATE INDEX idx_whatsapp_failures_tenant ON whatsapp_delivery_failures USING btree (((metadata ->> 'tenant'::text)), created_at, id);

CREATE OR REPLACE FUNCTION count_added_inbound()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
begin
  update conversations set waiting_since = coalesce(conversations.waiting_since, waiting.since)
  from (
    select tenant, sender, conversation, min(created_at) as since
    from added where not is_echo group by tenant, sender, conversation
  ) waiting
  where conversations.tenant = waiting.tenant and conversations.sender = waiting.sender
    and conversations.id = waiting.conversation;
  -- An echo is an answer that somebody gave on the phone.
  update conversations set waiting_since = null
  from (
    select tenant, sender, conversation, max(created_at) as at
    from added where is_echo group by tenant, sender, conversation
  ) echo
  where conversations.tenant = echo.tenant and conversations.sender = echo.sender
    and conversations.id = echo.conversation and conversations.waiting_since <= echo.at;
  insert into inbound_stats as known (tenant, slot, writer, messages)
  select coalesce(tenant, ''), slot, stats_writer(), count(*)
  from (select tenant, stats_slot(created_at) as slot from added where not is_echo) message
  group by grouping sets ((tenant, slot), (slot))
  order by 1, 2
  on conflict (tenant, slot, writer) do update set messages = known.messages + excluded.messages;
  return null;
end $function$;

CREATE OR REPLACE FUNCTION count_added_messages()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
begin
  insert into message_stats as known (tenant, slot, writer, status, is_sent, reason, messages, send_ms)
  select coalesce(tenant, ''), slot, stats_writer(), status, is_sent, reason, count(*), sum(send_ms)
  from (
    select tenant, stats_slot(created_at) as slot, status, sent_at is not null as is_sent,
      stats_reason(status, error, delivery_error) as reason,
      coalesce(greatest(0, extract(epoch from sent_at - coalesce(send_at, created_at)) * 1000), 0)::bigint as send_ms
    from added
  ) message
  group by grouping sets ((tenant, slot, status, is_sent, reason), (slot, status, is_sent, reason))
  order by 1, 2, 4, 5, 6
  on conflict (tenant, slot, writer, status, is_sent, reason) do update set
    messages = known.messages + excluded.messages, send_ms = known.send_ms + excluded.send_ms;

  -- The statement has locked these conversations already, in their order.
  with first as (
    select tenant, sender, conversation, max(created_at) as latest from added group by tenant, sender, conversation
  ),
  answered as (
    select thread.tenant, thread.sender, thread.id, thread.waiting_since, (
        select min(added.created_at) from added
        where added.tenant = thread.tenant and added.sender = thread.sender and added.conversation = thread.id
          and added.created_at >= thread.waiting_since
      ) as at
    from conversations thread
    join first on first.tenant = thread.tenant and first.sender = thread.sender and first.conversation = thread.id
    where thread.waiting_since is not null and first.latest >= thread.waiting_since
  ),
  cleared as (
    update conversations set waiting_since = null
    from answered
    where conversations.tenant = answered.tenant and conversations.sender = answered.sender
      and conversations.id = answered.id
  )
  insert into response_stats as known (tenant, slot, writer, bucket, responses, response_ms)
  select coalesce(tenant, ''), slot, stats_writer(), bucket, count(*), sum(ms)
  from (
    select tenant, stats_slot(waiting_since) as slot, extract(epoch from at - waiting_since) * 1000 as ms,
      floor(4 * log(2, 1 + extract(epoch from at - waiting_since)::numeric))::smallint as bucket
    from answered
  ) response
  group by grouping sets ((tenant, slot, bucket), (slot, bucket))
  order by 1, 2, 4
  on conflict (tenant, slot, writer, bucket) do update set
    responses = known.responses + excluded.responses, response_ms = known.response_ms + excluded.response_ms;
  return null;
end $function$;

CREATE OR REPLACE FUNCTION count_changed_messages()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
begin
  insert into message_stats as known (tenant, slot, writer, status, is_sent, reason, messages, send_ms)
  select coalesce(tenant, ''), slot, stats_writer(), status, is_sent, reason, sum(n), sum(n * send_ms)
  from (
    select side.n, tenant, stats_slot(created_at) as slot, status, sent_at is not null as is_sent,
      stats_reason(status, error, delivery_error) as reason,
      coalesce(greatest(0, extract(epoch from sent_at - coalesce(send_at, created_at)) * 1000), 0)::bigint as send_ms
    from (
      select -1 as n, tenant, created_at, status, sent_at, send_at, error, delivery_error from before
      union all
      select 1, tenant, created_at, status, sent_at, send_at, error, delivery_error from after
    ) side
  ) message
  group by grouping sets ((tenant, slot, status, is_sent, reason), (slot, status, is_sent, reason))
  having sum(n) <> 0 or sum(n * send_ms) <> 0
  order by 1, 2, 4, 5, 6
  on conflict (tenant, slot, writer, status, is_sent, reason) do update set
    messages = known.messages + excluded.messages, send_ms = known.send_ms + excluded.send_ms;
  return null;
end $function$;

CREATE OR REPLACE FUNCTION event_endpoint_of(of_tenant text)
 RETURNS text
 LANGUAGE sql
 STABLE PARALLEL SAFE
AS $function$
  select coalesce(
    (select id from tenants where id = of_tenant and events_url is not null),
    (select id from event_endpoints where id = '*' and url is not null)
  )
$function$;

CREATE OR REPLACE FUNCTION iso_of(at timestamp with time zone)
 RETURNS text
 LANGUAGE sql
 STABLE PARALLEL SAFE
AS $function$ select to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') $function$;

CREATE OR REPLACE FUNCTION stats_reason(status text, error jsonb, delivery_error jsonb)
 RETURNS text
 LANGUAGE sql
 IMMUTABLE
AS $function$ select case when status = 'failed' then left(coalesce(
     coalesce(nullif(delivery_error, 'null'::jsonb), error) ->> 'code', 'UNKNOWN') || ' ' ||
     coalesce(coalesce(nullif(delivery_error, 'null'::jsonb), error) ->> 'providerCode', ''), 100) else '' end $function$;

CREATE OR REPLACE FUNCTION stats_slot(at timestamp with time zone)
 RETURNS timestamp with time zone
 LANGUAGE sql
 STABLE
AS $function$ select date_bin('30 minutes', at, 'epoch'::timestamptz) $function$;

CREATE OR REPLACE FUNCTION stats_writer()
 RETURNS integer
 LANGUAGE sql
 STABLE
AS $function$ select coalesce(nullif(current_setting('waxwing.writer', true), '')::integer, -1 - pg_backend_pid() % 64) $function$;
