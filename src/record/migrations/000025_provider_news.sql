-- What providers tell of senders and people is applied in the order of their own time: webhooks come in any order, and
-- more than once.
create table sender_news (
  sender text not null,
  family text not null check (family in ('connection', 'account', 'person')),
  at timestamptz not null,
  is_held boolean not null,
  reason text not null,
  primary key (sender, family)
);
alter table senders add column resumed_at timestamptz;
alter table contacts add column marketing_changed_at timestamptz;
update contacts set marketing_changed_at = marketing_opt_out_at where marketing_opt_out_at is not null;
