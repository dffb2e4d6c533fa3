-- Content ids of templates at their provider: what a template's key and data became there.
create table content_sids (
  key text not null,
  signature text not null,
  sid text not null,
  friendly_name text,
  uses bigint not null default 0,
  created_at timestamptz not null default now(),
  used_at timestamptz not null default now(),
  primary key (key, signature)
);

create index content_sids_uses on content_sids (uses desc);

-- Figures of each cache by hour, of all processes together.
create table cache_history (
  hour timestamptz not null,
  cache text not null,
  hits bigint not null,
  misses bigint not null,
  creations bigint not null,
  primary key (hour, cache)
);
