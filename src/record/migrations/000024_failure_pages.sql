-- Pages of the failure record by code, tenant and sender, and the due rows, over a million rows: what no index knows is
-- looked for through all of them. Built in the migration's transaction because no release has had a table to lock.

-- squawk-ignore require-concurrent-index-creation
create index idx_whatsapp_failures_code on whatsapp_delivery_failures (error_code, created_at, id);
-- squawk-ignore require-concurrent-index-creation
create index idx_whatsapp_failures_tenant on whatsapp_delivery_failures ((metadata ->> 'tenant'), created_at, id);
-- squawk-ignore require-concurrent-index-creation
create index idx_whatsapp_failures_sender on whatsapp_delivery_failures ((metadata ->> 'sender'), created_at, id);
-- Times of those that wait for the schedule. Those whose pause the provider or the error table asks for may be many, and
-- due long before. An expression and no condition, because PostgreSQL has no idea how many rows such a condition leaves,
-- and would rather sort them all.
-- squawk-ignore require-concurrent-index-creation
create index idx_whatsapp_failures_due on whatsapp_delivery_failures (
  (case when coalesce(metadata ->> 'waitsFor', 'schedule') = 'schedule' and not metadata @> '{"source": "report"}'
    then next_retry_at end)
) where status = 'PENDING';
