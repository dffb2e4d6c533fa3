import { createHmac } from 'node:crypto';
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, inject } from 'vitest';
import { startEmbedded, type EmbeddedServices } from '../../src/embedded/index.ts';
import { cloudBody, cloudMessage } from '../inbound/support/cloud.ts';
import { sql } from '../record/support/record.ts';
import { eventually } from '../support/eventually.ts';
import { faultTest } from './harness/fault-test.ts';
import { spread } from './harness/measure.ts';
import { acceptOver, APP_SECRET, Program, settingsFor } from './harness/program.ts';
import { LinkProxy } from './harness/proxy.ts';
import { seededRandom } from './harness/random.ts';
import { faultSeed, scaled } from './harness/settings.ts';
import type { World } from './harness/world.ts';

/*
 * PostgreSQL dies, stands still, and loses its answers under the whole program: what is accepted is sent all the same,
 * what comes in is not lost, and the record has every message once in the end.
 */

/** A simple query of its own, as the record's transactions end. */
const COMMIT = 'commit';
const WORLD = { senders: ['default'], workers: 0, isRecorded: true } as const;

let server: EmbeddedServices;
beforeAll(async () => {
  const dataDir = mkdtempSync(join(inject('waxwingRunFolder'), 'fault-postgres-'));
  // Supervised: it comes back by itself, as a service would.
  server = await startEmbedded({ dataDir, redis: false, postgres: true });
});
afterAll(async () => {
  await server.stop();
});

/** A database of its own on that server, and the link through which the program sees it. */
async function database(world: World): Promise<{ direct: string; through: string; link: LinkProxy }> {
  const admin = new URL(server.databaseUrl ?? '');
  const name = `fault_${world.seed}_${Math.floor(performance.now())}`;
  await sql(admin.href, `create database ${name}`);
  const direct = new URL(admin);
  direct.pathname = `/${name}`;
  const link = await LinkProxy.open(() => Number(admin.port), seededRandom(faultSeed));
  const through = new URL(direct);
  through.port = String(link.port);
  return { direct: direct.href, through: through.href, link };
}

/** Posts a message of a person as Meta does, again and again until it is heard. */
async function hear(url: string, n: number): Promise<number> {
  const body = cloudBody(
    { messages: [cloudMessage({ from: `49171${String(n % 50).padStart(8, '0')}` })] },
    'p-default',
  );
  const signature = `sha256=${createHmac('sha256', APP_SECRET).update(body).digest('hex')}`;
  const headers = { 'content-type': 'application/json', 'x-hub-signature-256': signature };
  for (let tries = 1; ; tries += 1) {
    const answer = await fetch(`${url}/webhooks/whatsapp/cloud`, { method: 'POST', headers, body }).catch(() => null);
    if (answer?.status === 200) return tries;
    await delay(100);
  }
}

const count = async (url: string, query: string): Promise<number> =>
  (await sql<{ n: number }>(url, `select count(*)::integer as n from ${query}`))[0]?.n ?? -1;

/** Runs a load and incoming messages while `disturb` does its worst, and compares the record with both. */
async function throughTrouble(
  world: World,
  report: (name: string, value: string | number) => void,
  disturb: (at: { direct: string; link: LinkProxy }) => Promise<void>,
) {
  const at = await database(world);
  const program = world.owns(await Program.start('all', settingsFor(world, at.through)));
  const first = world.load(
    { name: 'a', tenants: 1 },
    acceptOver(() => program.url),
  );
  // The tenant and the sender are known before PostgreSQL goes away: without them nobody could say who may send.
  await first.run(3);
  first.start(40);
  const speaking = { on: true };
  const heard: Promise<number>[] = [];
  const speak = (async () => {
    while (speaking.on) {
      heard.push(hear(program.url, heard.length));
      await delay(30);
    }
  })();
  await disturb(at);
  speaking.on = false;
  await speak;
  await first.stop();
  const tries = await Promise.all(heard);
  await world.recover();
  const accepted = first.ops.filter(({ state }) => state === 'ok').length;
  const startMs = performance.now();
  const recorded = () => count(at.direct, `messages where status = 'sent'`).catch(() => -1);
  const came = () => count(at.direct, 'inbound_messages').catch(() => -1);
  await eventually(async () => (await recorded()) >= accepted && (await came()) >= heard.length, {
    timeoutMs: 60_000,
    what: 'the record to catch up',
  });
  report('record caught up ms', performance.now() - startMs);
  report('incoming', heard.length);
  report('incoming told again', tries.filter((one) => one > 1).length);
  const figures = { accepted, recorded: await recorded(), heard: heard.length, came: await came() };
  await program.stop();
  await at.link.close();
  return figures;
}

faultTest(
  'F29',
  'PostgreSQL: backends killed, the whole server ended at once, and a link that is dark for long',
  WORLD,
  async (world, report) => {
    const gaps: number[] = [];
    const rounds = scaled(20, 2);
    const figures = await throughTrouble(world, report, async ({ direct, link }) => {
      for (let round = 0; round < rounds; round += 1) {
        await delay(500);
        // A backend killed hard takes all others along, and the server recovers from its log.
        const [backend] = await sql<{ pid: number }>(
          direct,
          `select pid from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() limit 1`,
        );
        const startMs = performance.now();
        if (backend !== undefined) process.kill(backend.pid, 'SIGKILL');
        await eventually(() => sql(direct, 'select 1').catch(() => false), { timeoutMs: 30_000 });
        gaps.push(performance.now() - startMs);
        await delay(500);
        const { postgres } = server.pids;
        const againMs = performance.now();
        // Immediate shutdown: no checkpoint, no goodbye. Its supervisor starts it again.
        if (postgres !== undefined) process.kill(postgres, 'SIGQUIT');
        await eventually(() => server.pids.postgres !== postgres, {
          timeoutMs: 30_000,
          what: 'PostgreSQL to come back',
        });
        await eventually(() => sql(direct, 'select 1').catch(() => false), { timeoutMs: 30_000 });
        gaps.push(performance.now() - againMs);
        link.setMode({ kind: 'blackhole' });
        await delay(scaled(30_000, 6000));
        link.setMode({ kind: 'pass' });
      }
    });
    report('deaths', gaps.length);
    report('server back after ms p50/p99/max', spread(gaps));
    return (verdict) => {
      expect(figures.recorded).toBe(figures.accepted);
      expect(figures.came).toBe(figures.heard);
      expect(verdict.takenMax).toBe(1);
    };
  },
);

faultTest(
  'F30',
  'the answer of COMMIT is lost and the connection reset: every message stands in the record once',
  WORLD,
  async (world, report) => {
    const cuts = scaled(100, 8);
    let lost = 0;
    const figures = await throughTrouble(world, report, async ({ link }) => {
      for (let cut = 0; cut < cuts; cut += 1) {
        const isLost = await Promise.race([link.loseReplyOf(COMMIT).then(() => true), delay(10_000, false)]);
        if (isLost) lost += 1;
        link.forgetTraps();
        await delay(world.random.whole(20, 150));
      }
    });
    report('answers of COMMIT lost', lost);
    return (verdict) => {
      expect(lost).toBeGreaterThan(cuts / 2);
      expect(figures.recorded).toBe(figures.accepted);
      expect(figures.came).toBe(figures.heard);
      expect(verdict.takenMax).toBe(1);
    };
  },
);
