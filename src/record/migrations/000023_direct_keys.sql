-- Idempotency of what was sent past the queue, where Redis cannot keep it: a key is claimed before the message goes.
create table direct_keys (
  tenant text not null,
  sender text not null,
  key text not null,
  body_digest bytea not null,
  message_id uuid not null,
  claimed_at timestamptz not null default now(),
  primary key (tenant, sender, key)
);
create index direct_keys_claimed_at on direct_keys (claimed_at);
