-- A provider that tells no time of a status repeats it under another time of ours: then its id and word are the key.
-- What it told beyond id, word, time and error is kept beside them.
alter table status_events
  add column is_time_ours boolean not null default false,
  add column more jsonb;
-- Built in the migration's transaction because no release has had a table to lock.
-- squawk-ignore require-concurrent-index-creation
create unique index status_events_without_time on status_events (provider_message_id, status) where is_time_ours;
