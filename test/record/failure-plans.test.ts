import { expect, test } from 'vitest';
import { DUE_FAILURES, REPORTED_FAILURES } from '../../src/record/failures.ts';
import { testDatabase } from '../support/services.ts';
import { sql } from '../support/postgres.ts';

/* The queries that must stay quick with a million rows are asked for their plans over enough rows to matter: by code,
   tenant and sender where one row among all matches, and what is due behind many that wait for a pause of their own. */

const PAGE = `select * from whatsapp_delivery_failures WHERE order by created_at desc, id desc limit 51`;

test('F4 · a page, also by code, tenant or sender, the due rows and the reported ones come from an index, and no row is sorted', async () => {
  const { url } = await testDatabase();
  await sql(
    url,
    `insert into whatsapp_delivery_failures
       (phone_number, message, status, error_code, next_retry_at, created_at, metadata)
     select '+4479460' || n, 'x', case when n % 50 = 0 then 'FAILED' when n % 3 = 0 then 'PENDING' else 'RESOLVED' end,
       case when n = 10000 then 'rare' else '13100' || n % 5 end,
       now() + n * interval '1 second', now() - n * interval '1 minute',
       jsonb_build_object('source', case when n % 999 = 0 then 'report' else 'attempt' end,
         'waitsFor', case when n < 15000 then (array['report', 'provider'])[n % 2 + 1] else 'schedule' end,
         'tenant', case when n = 10000 then 'rare' else 'salon' || n % 5 end,
         'sender', case when n = 10000 then 'rare' else 'default' end)
     from generate_series(1, 20000) n`,
  );
  await sql(url, 'analyze whatsapp_delivery_failures');
  const planOf = async (text: string, values: unknown[] = []) =>
    (await sql<{ 'QUERY PLAN': string }>(url, `explain ${text}`, values)).map((row) => row['QUERY PLAN']).join('\n');
  const plans: [plan: string, index: string][] = [
    [await planOf(PAGE.replace('WHERE', '')), 'idx_whatsapp_failures_newest'],
    [await planOf(PAGE.replace('WHERE', "where status = 'FAILED'")), 'idx_whatsapp_failures_newest_of'],
    [await planOf(PAGE.replace('WHERE', "where error_code = 'rare'")), 'idx_whatsapp_failures_code'],
    [await planOf(PAGE.replace('WHERE', "where metadata ->> 'tenant' = 'rare'")), 'idx_whatsapp_failures_tenant'],
    [await planOf(PAGE.replace('WHERE', "where metadata ->> 'sender' = 'rare'")), 'idx_whatsapp_failures_sender'],
    [await planOf(DUE_FAILURES.replace('$1', '100')), 'idx_whatsapp_failures_due'],
    [await planOf(DUE_FAILURES.replace('$1', '1000')), 'idx_whatsapp_failures_due'],
    [await planOf(REPORTED_FAILURES.replace('$1', '100')), 'idx_whatsapp_failures_reported'],
  ];
  for (const [plan, index] of plans) {
    expect(plan).toMatch(new RegExp(`Index Scan.* using ${index}`));
    expect(plan).not.toContain('Sort');
    expect(plan).not.toContain('Seq Scan');
  }
});
