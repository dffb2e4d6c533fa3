/*
 * Times of the dashboard over a million messages: `npm run bench:stats`. On PostgreSQL and Redis of its own.
 * Another number of messages: the first argument.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { Caches, CacheService, TieredCache } from '../src/cache/index.ts';
import { startEmbedded } from '../src/embedded/index.ts';
import { migrate, openRecord } from '../src/record/index.ts';
import { createStats } from '../src/stats/index.ts';
import { createSecretBox } from '../src/util/secret-box.ts';

const MESSAGES = Number(process.argv[2] ?? 1_000_000);
const TENANTS = 100;
const RUNS = 40;
const COST_ROUNDS = 20;
const COST_BATCH = 100;
const percentile = (values: number[], share: number): number =>
  [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))] ?? NaN;

async function times(run: () => Promise<unknown>): Promise<number[]> {
  const found: number[] = [];
  for (let n = 0; n < RUNS; n += 1) {
    const startMs = performance.now();
    await run();
    found.push(performance.now() - startMs);
  }
  return found;
}

/**
 * What counting costs whoever writes: batches as the recorder makes them, with and without the triggers, in turns.
 * Both sides write the same rows; a batch stores 100 messages and says of each that it was sent.
 */
async function countingCost(client: pg.Client): Promise<{ withMs: number; withoutMs: number; pairs: number }> {
  const batchMs: Record<'enable' | 'disable', number[]> = { enable: [], disable: [] };
  for (let round = 0; round < COST_ROUNDS; round += 1) {
    for (const state of round % 2 === 0 ? (['enable', 'disable'] as const) : (['disable', 'enable'] as const)) {
      for (const trigger of ['messages_added', 'messages_changed']) {
        await client.query(`alter table messages ${state} trigger ${trigger}`);
      }
      for (let batch = 0; batch < 10; batch += 1) {
        const startMs = performance.now();
        const { rows } = await client.query<{ id: string }>(
          `insert into messages (id, tenant, sender, conversation, alias, type, content, priority, engine_status,
             shard, seq, created_at)
           select gen_random_uuid(), 't' || (n % ${TENANTS}), 'default', 'c' || n, '+49' || n, 'text', '{}', 5,
             'queued', 0, n, now()
           from generate_series(1, ${COST_BATCH}) n returning id`,
        );
        await client.query(`update messages set engine_status = 'sent', sent_at = now() where id = any($1)`, [
          rows.map(({ id }) => id),
        ]);
        batchMs[state].push(performance.now() - startMs);
      }
    }
  }
  return { withMs: percentile(batchMs.enable, 0.5), withoutMs: percentile(batchMs.disable, 0.5), pairs: COST_ROUNDS };
}

const dataDir = mkdtempSync(join(tmpdir(), 'waxwing-bench-stats-'));
const embedded = await startEmbedded({ dataDir, redis: true, postgres: true });
try {
  const databaseUrl = embedded.databaseUrl ?? '';
  await migrate(databaseUrl);
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  const startMs = performance.now();
  await client.query(
    `insert into tenants (id, name) select 't' || n, 't' || n from generate_series(0, ${TENANTS - 1}) n`,
  );
  for (let from = 0; from < MESSAGES; from += 50_000) {
    await client.query(
      `insert into messages (id, tenant, sender, conversation, alias, type, content, priority, engine_status,
         delivery_status, shard, seq, created_at, sent_at, error)
       select gen_random_uuid(), 't' || (n % ${TENANTS}), 'default', 'c' || (n % 9973), '+49' || n, 'text', '{}', 5,
         case when n % 20 = 0 then 'failed' else 'sent' end,
         case when n % 20 = 0 then null when n % 3 = 0 then 'read' else 'delivered' end, 0, n,
         now() - (n % 2592000) * interval '1 second', now() - (n % 2592000) * interval '1 second',
         case when n % 20 = 0 then '{"code":"PROVIDER_REJECTED","providerCode":"131026"}'::jsonb end
       from generate_series($1::int, $2::int) n`,
      [from, Math.min(MESSAGES, from + 50_000) - 1],
    );
  }
  await client.query('analyze');
  console.log(
    `${MESSAGES} messages of ${TENANTS} tenants written in ${((performance.now() - startMs) / 1000).toFixed(0)} s`,
  );
  const record = openRecord({
    databaseUrl,
    tenantDefaults: { concurrency: 5, weight: 1, backlogMax: 1000 },
    secretBox: createSecretBox({ key: 'secret key of this bench, long enough' }),
  });
  const tiers = new TieredCache({ redisUrl: embedded.redisUrl ?? null, bytesMax: 64 * 1024 * 1024 });
  await tiers.start();
  const seconds = { defaultSeconds: 300, dashboardSeconds: 300, salonSeconds: 300, templateSeconds: 300 };
  const more = { conversationSeconds: 300, userMappingSeconds: 300, configSeconds: 300, projectsSeconds: 300 };
  const cache = new CacheService(new Caches({ tiers, spikeThreshold: 0.5 }), {
    ...{ ...seconds, ...more },
    conversationHistorySeconds: 300,
  });
  const stats = createStats({ store: record.stats, cache });
  for (const [what, tenant] of [
    ['one tenant', 't1'],
    ['all tenants', null],
  ] as const) {
    const toMs = Date.now() + 3_600_000;
    const range = { tenant, fromMs: toMs - 31 * 86_400_000, toMs, timeZone: 'Asia/Riyadh' };
    const total = (await stats.get({ tenant })).messages.total;
    const uncached = await times(() => record.stats.counts(range));
    const cached = await times(() => stats.get({ tenant }));
    const factor = percentile(uncached, 0.5) / percentile(cached, 0.5);
    console.log(
      `${what} (${total} messages): uncached p95 ${percentile(uncached, 0.95).toFixed(1)} ms (wanted ≤ 300), ` +
        `cached p95 ${percentile(cached, 0.95).toFixed(3)} ms, ${factor.toFixed(0)} times faster (wanted ≥ 10)`,
    );
  }
  const { withMs, withoutMs, pairs } = await countingCost(client);
  console.log(
    `a batch of ${COST_BATCH} messages stored and sent: ${withMs.toFixed(1)} ms, ${withoutMs.toFixed(1)} ms without ` +
      `counting: ${(((withMs - withoutMs) * 1000) / COST_BATCH).toFixed(0)} µs per message (medians, ${pairs} pairs in turns)`,
  );
  await client.end();
  tiers.stop();
  await record.close();
} finally {
  await embedded.stop();
  rmSync(dataDir, { recursive: true, force: true });
}
