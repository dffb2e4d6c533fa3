import { Redis } from 'ioredis';
import { expect, test } from 'vitest';
import { openClient } from '../../src/engine/connection.ts';
import { LAYOUT_VERSION } from '../../src/engine/keys.ts';
import { sql } from '../support/postgres.ts';
import { eventually, testDatabase, testRedis } from '../support/services.ts';
import { faultTest } from './harness/fault-test.ts';
import type { Accept } from './harness/load.ts';
import { postMessage, Program, settingsFor } from './harness/program.ts';
import { madeUpVersion, nextMigration } from './harness/version.ts';

/*
 * Two versions of the program on one queue and one record: the older has other scripts, the newer one more migration.
 * "Older" and "newer" are made up: the sources of this version with something changed.
 */

faultTest(
  'F07-upgrade',
  'an older and a newer version of scripts and schema at work on one queue and one record, upgrade and way back',
  { senders: ['default'], workers: 0, isRecorded: true, plan: { latencyMs: [30, 80] } },
  async (world, report) => {
    const older = madeUpVersion({ scriptLine: 'a made-up older version' });
    const id = nextMigration();
    const newer = madeUpVersion({
      migration: { name: `${id}_made_up.sql`, sql: 'alter table messages add column made_up text;\n' },
    });
    const database = await testDatabase();
    const settings = settingsFor(world, database.url);
    const start = async (role: 'web' | 'worker', { root }: { readonly root: string }) =>
      world.owns(await Program.start(role, settings, root));
    const stopped: (number | null)[] = [];
    const stop = async (...programs: Program[]) => {
      for (const program of programs) stopped.push((await program.stop()).code);
    };

    let webs = [await start('web', older)];
    const oldWorker = await start('worker', older);
    let turn = 0;
    const trouble: string[] = [];
    let passedOver = 0;
    const accept: Accept = async (op) => {
      const web = webs[(turn += 1) % webs.length];
      const answer = await postMessage(web?.url ?? '', op, op.op);
      if (typeof answer !== 'string' && answer.status === 202) return { kind: 'ok', id: answer.id };
      // A request on its way to a process that was taken out of service meanwhile goes to another one: that is the load
      // balancer's affair, see F07-rolling.
      const isInService = web !== undefined && webs.includes(web);
      if (isInService) trouble.push(typeof answer === 'string' ? answer : `${answer.status} ${answer.code}`);
      else passedOver += 1;
      return { kind: 'again' };
    };
    const load = world.load({ name: 'a', conversations: 120 }, accept);
    const settledBy = async (count: number) =>
      await eventually(async () => (await world.counters()).sent >= count, { timeoutMs: 60_000 });
    load.start(40);
    await settledBy(60);

    // The newer one joins and migrates while the older accepts, sends and records.
    const newWorker = await start('worker', newer);
    const newWeb = await start('web', newer);
    const oldWebs = webs;
    webs = [...oldWebs, newWeb];

    expect(await migrationsOf(database.url)).toContain('made_up');
    await settledBy((await world.counters()).sent + 200);
    const inUse = await Promise.all([older, newer].map(({ digests }) => digestsOf(world.redis.url, digests)));
    report('scripts in use, older/newer', inUse.join('/'));

    // A process of the older version that is started again finds a newer schema.
    const again = await start('worker', older);
    await settledBy((await world.counters()).sent + 100);

    // The upgrade is finished …
    webs = [newWeb];
    await stop(...oldWebs, oldWorker, again);
    await settledBy((await world.counters()).sent + 100);
    // … and taken back.
    const backWeb = await start('web', older);
    await start('worker', older);
    webs = [backWeb];
    await stop(newWeb, newWorker);
    await settledBy((await world.counters()).sent + 100);
    await load.stop();
    await world.recover();
    const recorded = async () =>
      (await rowsOf(database.url, `select count(*)::int as n from messages where engine_status = 'sent'`))[0]?.n;
    await eventually(async () => (await recorded()) === load.ops.length, { timeoutMs: 30_000 }).catch(() => undefined);
    const unknown = (
      await rowsOf(database.url, `select count(*)::int as n from message_events where event = 'unknown'`)
    )[0]?.n;
    report('failed requests', trouble.length);
    report('asked another process', passedOver);
    report('in the record', (await recorded()) ?? 0);
    report('ambiguous', unknown ?? -1);
    return (verdict) => {
      expect(trouble).toEqual([]);
      expect(stopped.every((code) => code === 0)).toBe(true);
      expect(verdict.takenMax).toBe(1);
      for (const scripts of inUse) expect(scripts).toBeGreaterThan(2);
      expect(unknown).toBe(0);
    };
  },
);

test('F07-layout · a program of another layout of keys says so and ends, before it has written a byte', async () => {
  const redis = await testRedis();
  const client = openClient({ url: redis.url }, {});
  const [layout, next] = [String(LAYOUT_VERSION), LAYOUT_VERSION + 1];
  await client.hset('{wx:0}g', 'layout', layout);
  const { root } = madeUpVersion({ layout: next });
  const database = await testDatabase();
  const world = {
    redis: { port: redis.port },
    bounds: { tenantConcurrency: 5, senderConcurrency: 20, ratePerSecond: 80, burst: 1, pairGapMs: 0 },
    provider: { apiUrl: 'http://127.0.0.1:1/v23.0' },
  };
  try {
    for (const role of ['web', 'worker'] as const) {
      const program = Program.launch(role, settingsFor(world, database.url), root);
      const { code, output } = await program.ended;
      expect(code).toBe(1);
      expect(output).toContain(`another version of Waxwing (layout ${layout}, this one knows ${next})`);
    }
    expect(await client.keys('{wx:*')).toEqual(['{wx:0}g']);
    expect(await client.hgetall('{wx:0}g')).toEqual({ layout });
  } finally {
    client.disconnect();
  }
}, 60_000);

const rowsOf = async (url: string, text: string) => await sql<{ n: number; name: string }>(url, text);

async function migrationsOf(url: string): Promise<string[]> {
  return (await rowsOf(url, 'select name, id as n from schema_migrations')).map(({ name }) => name);
}

/** How many of these scripts Redis has been asked to run. */
async function digestsOf(url: string, digests: readonly string[]): Promise<number> {
  const client = new Redis(url, { protocol: 2 });
  try {
    const known = (await client.script('EXISTS', ...digests)) as number[];
    return known.filter((one) => one === 1).length;
  } finally {
    client.disconnect();
  }
}
