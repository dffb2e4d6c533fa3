-- What happened to a sender as a whole: its circuit opened or closed. Append-only; the key is the event's place in the
-- log of its shard, so that recording it twice changes nothing.
create table sender_events (
  shard integer not null,
  entry_ms bigint not null,
  entry_seq bigint not null,
  entry_index integer not null,
  sender text not null,
  at timestamptz not null,
  event text not null,
  detail jsonb not null,
  primary key (shard, entry_ms, entry_seq, entry_index)
);
create index sender_events_sender on sender_events (sender, at desc);

-- On the queue (true) or off it (false) whatever WHATSAPP_SEND_QUEUE_PERCENT says; null: the tenant follows that.
-- `queue_enabled` could not say the third; processes of the version before still read it.
alter table tenants add column queue_switch boolean;
update tenants set queue_switch = false where not queue_enabled;
