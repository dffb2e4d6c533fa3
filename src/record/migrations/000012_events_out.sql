-- Events to the product: an outbox that is written in the same step as what it tells of, so that no crash loses one.

create table event_outbox (
  -- The webhook-id that the receiver sees; the same at every attempt and at every replay.
  id uuid primary key default gen_random_uuid(),
  -- '*' = EVENTS_URL; else the tenant whose own address it is.
  endpoint text not null,
  tenant text,
  sender text,
  conversation text,
  -- Number in its conversation; null for what belongs to none.
  seq bigint,
  type text not null,
  message_id uuid,
  -- What it tells. Never changed: every attempt sends and signs the same bytes.
  data jsonb not null,
  -- What makes telling it twice harmless; null where the row's transaction does that.
  source text unique,
  state text not null default 'pending',
  attempts integer not null default 0,
  -- When it is tried next. An attempt under way moves it on, so that what a dead process began is tried again.
  due_at timestamptz not null default now(),
  last_status integer,
  -- A kind of fault and never the answer's text, which is not ours to show.
  last_error text,
  occurred_at timestamptz not null,
  created_at timestamptz not null default date_trunc('milliseconds', now()),
  ended_at timestamptz,
  constraint event_outbox_state_check check (state in ('pending', 'delivered', 'dead'))
);
create index event_outbox_due on event_outbox (endpoint, due_at, seq) where state = 'pending';
create index event_outbox_newest on event_outbox (created_at, id);
create index event_outbox_state on event_outbox (state, created_at, id);
create index event_outbox_ended on event_outbox (ended_at) where state <> 'pending';

-- What is known of a receiver. A row of '*' says that EVENTS_URL is set; tenants have their address in their own row.
create table event_endpoints (
  id text primary key,
  url text,
  -- It answered 410, or a person stopped it: nothing is sent until a person starts it or the address changes.
  disabled_at timestamptz,
  disabled_reason text,
  delivered_at timestamptz,
  -- Since when every attempt failed; null after a success.
  failing_since timestamptz
);

-- The receiver of a tenant's events: its own address, else EVENTS_URL, else none.
create function event_endpoint_of(of_tenant text) returns text
language sql stable parallel safe
as $$
  select coalesce(
    (select id from tenants where id = of_tenant and events_url is not null),
    (select id from event_endpoints where id = '*' and url is not null)
  )
$$;

-- A time as all JSON of ours has it.
create function iso_of(at timestamptz) returns text
language sql stable parallel safe
as $$ select to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') $$;
