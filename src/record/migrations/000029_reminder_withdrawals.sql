-- Messages of reminders that must not go out any more, because their booking was moved or cancelled: owed from the
-- change on, in its own transaction, until the send engine has taken the message back or has done with it.
create table reminder_withdrawals (
  message_id uuid primary key,
  tenant text not null,
  owed_since timestamptz not null default now(),
  -- Later than now for one that was on its way when it was looked at: it may wait for a person for weeks.
  look_after timestamptz not null default now()
);
