-- A connection of Evolution knows no service window; until now each message from a person was taken to open one.
update conversations set window_expires_at = null
where window_expires_at is not null and sender in (select id from senders where provider = 'evolution');
