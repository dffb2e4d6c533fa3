/*
 * Prints the figures of the failure record over a million rows beside those that were asked for:
 * `npm run bench:failures`. On a PostgreSQL of its own, which is removed again.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { startEmbedded } from '../src/embedded/index.ts';
import { migrate, openRecord } from '../src/record/index.ts';
import { createSecretBox } from '../src/util/secret-box.ts';

const ROWS = Number(process.argv[2] ?? 1_000_000);
const ROUNDS = 51;
const PAGE_MS = 50;
const DUE_MS = 5;

/**
 * Two thirds resolved, 10 % given up, 5 % waiting for the schedule, and a sixth for a pause that the error table asks for:
 * those are due before all others, as after a day of 131049. One row in the middle has a code, a tenant and a sender of
 * its own.
 */
const FILL = `
  insert into whatsapp_delivery_failures
    (id, phone_number, message, idempotency_key, error_message, error_code, attempt_count, status, metadata,
     next_retry_at, last_attempt_at, resolved_at, created_at)
  select
    gen_random_uuid(), '+4479' || lpad((n % 100000000)::text, 8, '0'), 'Your table for ' || n % 12 || ' is ready',
    'key-' || n, 'Something went wrong',
    case when is_rare then 'rare' else (array['131000', '131016', '131026', '131049', '131047'])[n % 5 + 1] end,
    n % 5 + 1, state,
    jsonb_build_object('tenant', case when is_rare then 'rare' else 'salon' || n % 500 end,
      'sender', case when is_rare then 'rare' else 'default' end, 'conversation', 'c' || n % 100000,
      'type', 'text', 'source', 'attempt', 'waitsFor', case when n % 6 = 0 then 'report' else 'schedule' end),
    case when state = 'PENDING' then
      now() + case when n % 6 = 0 then '0' else interval '1 hour' end + (n::bigint * 7919 % 3600000) * interval '1 ms'
    end, now(),
    case when state = 'RESOLVED' then now() end, now() - n * interval '1 second'
  from (
    select n, n = $1::integer / 2 as is_rare,
      case when n % 6 = 0 or n % 20 = 1 then 'PENDING' when n % 10 = 3 then 'FAILED' else 'RESOLVED' end as state
    from generate_series(1, $1::integer) n
  ) made`;

const BOTH = { status: 'FAILED', code: '131026', tenant: 'salon7' } as const;

async function openDatabase(): Promise<{ url: string; close: () => Promise<void> }> {
  const dataDir = mkdtempSync(join(tmpdir(), 'waxwing-bench-failures-'));
  const services = await startEmbedded({ dataDir, redis: false, postgres: true });
  if (services.databaseUrl === undefined) throw new Error('The embedded PostgreSQL did not start.');
  return {
    url: services.databaseUrl,
    close: async () => {
      await services.stop();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

async function timed(call: () => Promise<unknown>): Promise<{ p50: number; p99: number }> {
  const all: number[] = [];
  await call();
  for (let n = 0; n < ROUNDS; n += 1) {
    const startMs = performance.now();
    await call();
    all.push(performance.now() - startMs);
  }
  all.sort((a, b) => a - b);
  return { p50: all[Math.floor(ROUNDS / 2)] ?? NaN, p99: all[Math.floor(ROUNDS * 0.99)] ?? NaN };
}

const database = await openDatabase();
let missed = 0;
try {
  await migrate(database.url);
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();
  process.stderr.write(`${ROWS.toLocaleString('en-US')} rows of the failure record are being made …\n`);
  try {
    await client.query(FILL, [ROWS]);
    await client.query('vacuum analyze whatsapp_delivery_failures');
  } finally {
    await client.end();
  }
  const record = openRecord({
    databaseUrl: database.url,
    tenantDefaults: { concurrency: 5, weight: 1, backlogMax: 1000 },
    secretBox: createSecretBox({ key: 'no secrets in this bench' }),
  });
  const { failures, totals } = record;
  let cursor: string | undefined;
  for (let n = 0; n < 50; n += 1) cursor = (await failures.list({ limit: 200, cursor })).next ?? undefined;
  const figures: [what: string, atMostMs: number, call: () => Promise<unknown>][] = [
    ['a page of 50, newest first', PAGE_MS, () => failures.list({ limit: 50 })],
    ['a page of 200, permanent failures', PAGE_MS, () => failures.list({ limit: 200, status: 'FAILED' })],
    ['a page of 200, 10,000 rows deep', PAGE_MS, () => failures.list({ limit: 200, cursor })],
    ['a page of 50, of one phone number', PAGE_MS, () => failures.list({ phoneNumber: '+447900000020' })],
    ['a page of 50, of a frequent code', PAGE_MS, () => failures.list({ code: '131026' })],
    ['a page, the only one of a code', PAGE_MS, () => failures.list({ code: 'rare' })],
    ['a page of 50, of one tenant of 500', PAGE_MS, () => failures.list({ tenant: 'salon7' })],
    ['a page, the only one of a tenant', PAGE_MS, () => failures.list({ tenant: 'rare' })],
    ['a page, the only one of a sender', PAGE_MS, () => failures.list({ sender: 'rare' })],
    ['a page, failed, of a code and a tenant', PAGE_MS, () => failures.list(BOTH)],
    ['due: the next 100', DUE_MS, () => failures.due(100)],
    ['due: the next 1,000', DUE_MS, () => failures.due(1000)],
    ['reported and not taken yet', DUE_MS, () => failures.reported(500)],
    ['counts of the metrics (to 10,000)', PAGE_MS, () => totals.open({ silentAfterSeconds: 3600 })],
    ['counts(), asked again and again', DUE_MS, () => failures.counts()],
  ];
  const startMs = performance.now();
  await failures.counts();
  const countMs = (performance.now() - startMs).toFixed(0);
  console.log(`  one exact count of all rows takes ${countMs} ms; counts() makes one in 20 times that at most`);
  for (const [what, atMostMs, call] of figures) {
    const { p50, p99 } = await timed(call);
    const isMet = p50 <= atMostMs;
    if (!isMet) missed += 1;
    const wanted = `≤ ${atMostMs} ms`;
    console.log(
      `${isMet ? '✓' : '✗'} ${what.padEnd(40)} ${wanted.padEnd(10)} p50 ${p50.toFixed(2)} ms, p99 ${p99.toFixed(2)} ms`,
    );
  }
  await record.close();
} finally {
  await database.close();
}
process.exitCode = missed === 0 ? 0 : 1;
