-- Bookings and their reminders. A booking belongs to a tenant and may carry the caller's own id.
create table bookings (
  tenant text not null,
  id text not null,
  customer_phone text not null,
  customer_name text,
  service_name text not null,
  starts_at timestamptz not null,
  -- The time as the caller wrote it: its offset is the customer's clock when no time zone is named.
  starts_at_written text not null,
  time_zone text,
  sender text,
  -- What a reminder says: a message without its recipient; null = the default text.
  message jsonb,
  locale text,
  metadata jsonb not null default '{}',
  status text not null default 'active' check (status in ('active', 'cancelled')),
  last_reminded_at timestamptz,
  cancelled_at timestamptz,
  created_at timestamptz not null default date_trunc('milliseconds', now()),
  updated_at timestamptz not null default now(),
  primary key (tenant, id)
);
create index bookings_starts on bookings (tenant, starts_at, id);

create table booking_reminders (
  tenant text not null,
  booking_id text not null,
  -- day_before, hour_before, or the minutes before: 90m.
  kind text not null,
  due_at timestamptz not null,
  status text not null check (status in ('scheduled', 'sent', 'cancelled', 'skipped', 'failed')),
  reason text,
  message_id uuid,
  sent_at timestamptz,
  primary key (tenant, booking_id, kind),
  foreign key (tenant, booking_id) references bookings (tenant, id)
);
create index booking_reminders_due on booking_reminders (due_at) where status = 'scheduled';
