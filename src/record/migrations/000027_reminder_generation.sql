-- Counts how often a reminder was planned anew, because its booking was moved or its kind was asked for again: each
-- planning has a message of its own. What is 0 keeps the idempotency key that it had before there was this column.
alter table booking_reminders add column generation integer not null default 0;
