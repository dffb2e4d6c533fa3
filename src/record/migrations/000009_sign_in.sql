-- People who sign in to the pages, their sessions, and the brakes on guessing.

create table people (
  id uuid primary key,
  -- Lower case: nobody has to remember how it was written.
  name text not null unique check (name = lower(name)),
  role text not null check (role in ('viewer', 'operator', 'admin')),
  -- argon2id in the PHC form, with its own salt and parameters.
  password_hash text not null,
  created_at timestamptz not null default date_trunc('milliseconds', now()),
  password_changed_at timestamptz not null default now(),
  last_signed_in_at timestamptz,
  disabled_at timestamptz
);

create table sessions (
  id uuid primary key,
  -- Null: signed in with a token, whose name and role stand here.
  person_id uuid references people (id),
  name text not null,
  role text not null check (role in ('viewer', 'operator', 'admin')),
  -- Network it was opened from: an IPv4 address, or the first 64 bits of an IPv6 one.
  network text not null,
  opened_at timestamptz not null default now(),
  expires_at timestamptz not null,
  ended_at timestamptz
);
create index sessions_person on sessions (person_id, network, opened_at);
create index sessions_expires on sessions (expires_at);

-- One row per account and per network that failed lately. A row is gone a day after its last failure.
create table sign_in_attempts (
  key text primary key,
  failures integer not null,
  last_at timestamptz not null default now(),
  -- Until then no further try is looked at.
  free_at timestamptz not null
);
create index sign_in_attempts_last on sign_in_attempts (last_at);

-- Set when a key has a successor: both work until then.
alter table api_keys add column expires_at timestamptz;
