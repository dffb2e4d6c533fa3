-- What becomes of messages that fail: the failure record with its slow retries, and the dead letters.

-- One row per message that failed at least once for longer than its fast attempts; its id is the message's id, so the
-- recorder can write it any number of times. Rows are a record: the queue decides when a retry goes.
create table whatsapp_delivery_failures (
  id uuid primary key default gen_random_uuid(),
  -- The recipient as the caller wrote it; a business-scoped user id where there is no phone number.
  phone_number text not null,
  -- The text, or for other types the content as JSON.
  message text not null,
  idempotency_key text,
  error_message text,
  error_code text,
  -- 1 when the row is made, one more for each slow retry.
  attempt_count integer not null default 1 check (attempt_count >= 1),
  status text not null default 'PENDING' check (status in ('PENDING', 'RESOLVED', 'FAILED')),
  -- messageId, tenant, sender, conversation, type; source: 'attempt', or 'report' while a failure that a status
  -- reported waits to be taken into the queue; who redrove or discarded it, and when.
  metadata jsonb not null default '{}',
  next_retry_at timestamptz,
  last_attempt_at timestamptz,
  resolved_at timestamptz,
  created_at timestamptz not null default date_trunc('milliseconds', now()),
  updated_at timestamptz not null default now()
);
create index idx_whatsapp_failures_phone on whatsapp_delivery_failures (phone_number);
create index idx_whatsapp_failures_status on whatsapp_delivery_failures (status, next_retry_at);
create index idx_whatsapp_failures_idempotency on whatsapp_delivery_failures (idempotency_key);
create index idx_whatsapp_failures_retry on whatsapp_delivery_failures (status, next_retry_at, attempt_count);
-- For the pages, newest first, of all and of one state.
create index idx_whatsapp_failures_newest on whatsapp_delivery_failures (created_at, id);
create index idx_whatsapp_failures_newest_of on whatsapp_delivery_failures (status, created_at, id);
-- Failures that a status reported and that the queue has not taken yet: few and short-lived, looked for every few seconds.
create index idx_whatsapp_failures_reported on whatsapp_delivery_failures (next_retry_at)
  where status = 'PENDING' and metadata @> '{"source": "report"}';

-- Messages that will not be tried again unless a person acts: failed ones, and held ones, of which nobody knows whether
-- they were sent. Redriving or discarding one takes it out; what was done stands in the audit.
create table dead_letters (
  message_id uuid primary key,
  tenant text not null,
  sender text not null,
  -- The provider's own code, else ours.
  code text not null,
  -- The queue still holds it, because the outcome is unknown.
  held boolean not null,
  dead_at timestamptz not null
);
create index dead_letters_newest on dead_letters (dead_at, message_id);
create index dead_letters_tenant on dead_letters (tenant, dead_at, message_id);

-- The outcome is unknown and a person must decide.
alter table messages add column held boolean not null default false;

-- Sent, and no status has told anything since: for the watchdog. Built in the migration's transaction because no
-- release has had a table of messages to lock.
-- squawk-ignore require-concurrent-index-creation
create index messages_silent on messages (sent_at, id) where engine_status = 'sent' and delivery_status is null;

-- What the error table says to do by itself about a reported failure: {waitMs, retriesMax, onlyForLink}.
alter table status_events add column later_retry jsonb;
