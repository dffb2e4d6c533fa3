-- Figures of the dashboard, counted by half hour while rows are written, so that no read counts messages.
--
-- Triggers count what a statement really changed: a batch that is recorded again changes no row and counts nothing.
-- Every recorder counts into rows of its own (`writer`), and so does nearly every other connection, so that nobody
-- waits for another's counter; a reader adds them up. The rows of tenant '' are those of all tenants together.

create function stats_writer() returns integer language sql stable as
$$ select coalesce(nullif(current_setting('waxwing.writer', true), '')::integer, -1 - pg_backend_pid() % 64) $$;

create function stats_slot(at timestamptz) returns timestamptz language sql stable as
$$ select date_bin('30 minutes', at, 'epoch'::timestamptz) $$;

create function stats_reason(status text, error jsonb, delivery_error jsonb) returns text language sql immutable as
$$ select case when status = 'failed' then left(coalesce(
     coalesce(nullif(delivery_error, 'null'::jsonb), error) ->> 'code', 'UNKNOWN') || ' ' ||
     coalesce(coalesce(nullif(delivery_error, 'null'::jsonb), error) ->> 'providerCode', ''), 100) else '' end $$;

create table message_stats (
  tenant text not null,
  slot timestamptz not null,
  writer integer not null,
  status text not null,
  -- The provider took it.
  is_sent boolean not null,
  -- Our code, a blank, the provider's code; empty for all that have not failed.
  reason text not null,
  messages bigint not null,
  -- Sum of the times from the accept (or from sendAt) until the provider took them.
  send_ms bigint not null,
  primary key (tenant, slot, writer, status, is_sent, reason)
);

create table inbound_stats (
  tenant text not null,
  slot timestamptz not null,
  writer integer not null,
  messages bigint not null,
  primary key (tenant, slot, writer)
);

-- Times from a customer's first unanswered message to the answer, as a histogram: `bucket` is 4 log2(1 + seconds).
create table response_stats (
  tenant text not null,
  slot timestamptz not null,
  writer integer not null,
  bucket smallint not null,
  responses bigint not null,
  response_ms bigint not null,
  primary key (tenant, slot, writer, bucket)
);

alter table conversations add column waiting_since timestamptz;
-- squawk-ignore require-concurrent-index-creation
create index bookings_starts_all on bookings (starts_at);
-- squawk-ignore require-concurrent-index-creation
create index bookings_made on bookings (created_at, tenant);
-- squawk-ignore require-concurrent-index-creation
create index booking_reminders_sent on booking_reminders (sent_at, tenant) where sent_at is not null;

create function count_added_messages() returns trigger language plpgsql as $$
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
end $$;

create function count_changed_messages() returns trigger language plpgsql as $$
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
end $$;

create function count_added_inbound() returns trigger language plpgsql as $$
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
end $$;

-- From here on writers wait, so that nothing is counted twice or missed.
create trigger messages_added after insert on messages referencing new table as added
  for each statement execute function count_added_messages();
create trigger messages_changed after update on messages referencing old table as before new table as after
  for each statement execute function count_changed_messages();
create trigger inbound_added after insert on inbound_messages referencing new table as added
  for each statement execute function count_added_inbound();

insert into message_stats (tenant, slot, writer, status, is_sent, reason, messages, send_ms)
select coalesce(tenant, ''), slot, -100, status, is_sent, reason, count(*), sum(send_ms)
from (
  select tenant, stats_slot(created_at) as slot, status, sent_at is not null as is_sent,
    stats_reason(status, error, delivery_error) as reason,
    coalesce(greatest(0, extract(epoch from sent_at - coalesce(send_at, created_at)) * 1000), 0)::bigint as send_ms
  from messages
) message
group by grouping sets ((tenant, slot, status, is_sent, reason), (slot, status, is_sent, reason));

insert into inbound_stats (tenant, slot, writer, messages)
select coalesce(tenant, ''), slot, -100, count(*)
from (select tenant, stats_slot(created_at) as slot from inbound_messages where not is_echo) message
group by grouping sets ((tenant, slot), (slot));

-- Templates as they are at the provider, and as they were written here.
create table templates (
  id uuid primary key,
  -- Null = of the platform, for every tenant.
  tenant text references tenants (id),
  key text not null,
  language text not null,
  provider text not null check (provider in ('cloud', 'twilio')),
  -- WhatsApp business account, or Twilio account.
  account text not null,
  -- The sender whose credentials reach the account.
  sender text,
  -- How the provider calls it: the name at the Cloud API, the friendly name at Twilio.
  name text not null,
  category text not null,
  components jsonb not null,
  status text not null,
  reason text,
  -- Id of the template at Meta, or Twilio's ContentSid.
  provider_id text,
  created_at timestamptz not null default date_trunc('milliseconds', now()),
  updated_at timestamptz not null default date_trunc('milliseconds', now()),
  synced_at timestamptz
);
create unique index templates_key on templates (coalesce(tenant, ''), account, key, language);
-- Twilio allows two contents of one name.
create unique index templates_at_provider on templates
  (provider, account, (case provider when 'twilio' then coalesce(provider_id, id::text) else name end), language);
create index templates_list on templates (created_at, id);
create index templates_account on templates (provider, account);
