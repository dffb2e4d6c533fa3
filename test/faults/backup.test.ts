import { execFile, spawn } from 'node:child_process';
import { chownSync, cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Redis } from 'ioredis';
import { afterAll, expect, inject, test } from 'vitest';
import { freePort } from '../../src/embedded/free-port.ts';
import { endProcess, identify } from '../../src/embedded/process-identity.ts';
import { startRedis, type RedisServer } from '../../src/embedded/redis-server.ts';
import { signJwt } from '../../src/http/index.ts';
import { withPostgres } from '../support/postgres.ts';
import { eventually } from '../support/services.ts';
import { doctor } from './harness/doctor.ts';
import { API_KEY, postMessage, Program, settingsFor, type Settings } from './harness/program.ts';
import { FakeProvider } from './harness/provider.ts';

/*
 * The commands of docs/backup.md, on a system under load, into empty servers: pg_dump and pg_restore, and a copy of the
 * queue's folder. PostgreSQL is the distribution's, because the embedded one has no pg_dump.
 */

const run = promisify(execFile);
/** The distribution's newest; the embedded PostgreSQL brings no pg_dump. */
const BIN = newestPostgres() ?? '';
const hasPostgres = BIN !== '';
// Nobody should have to look for why this one did not run.
if (!hasPostgres) console.warn('The backup is not tried: no /usr/lib/postgresql/*/bin/pg_dump. Install `postgresql`.');

function newestPostgres(): string | undefined {
  const root = '/usr/lib/postgresql';
  const versions = existsSync(root) ? readdirSync(root) : [];
  return versions
    .sort((a, b) => Number(b) - Number(a))
    .map((version) => join(root, version, 'bin'))
    .find((bin) => existsSync(join(bin, 'pg_dump')) && existsSync(join(bin, 'initdb')));
}

const cleanups: (() => Promise<unknown>)[] = [];
afterAll(async () => {
  for (const clean of cleanups.reverse()) await clean();
});

test.skipIf(!hasPostgres)(
  'backup · taken under load and restored into empty servers: nothing accepted before it is missing, what was sent after it goes again and doctor names it',
  async () => {
    const databaseUrl = await startPostgres();
    const folder = mkdtempSync(join(inject('waxwingRunFolder'), 'backup-'));
    const redis = await startQueue(join(folder, 'redis'));
    const provider = await FakeProvider.start({ seed: 1, latencyMs: [20, 60], rules: [], statuses: null });
    cleanups.push(() => provider.close());
    const settings = settingsFor(
      {
        redis,
        provider,
        // Slow on purpose, so that there is always something waiting.
        bounds: { tenantConcurrency: 5, senderConcurrency: 20, ratePerSecond: 25, burst: 1, pairGapMs: 0 },
      },
      databaseUrl,
    );
    const program = await start('all', settings);
    const accepted: string[] = [];
    const load = { isOn: true };
    const acceptFrom = async (first: number): Promise<void> => {
      for (let n = first; load.isOn; n += 4) {
        const conversation = `b${n % 40}`;
        const op = {
          op: `${conversation}#${n}`,
          conversation,
          tenant: 't0',
          contact: `+96650000${1000 + (n % 40)}`,
          priority: 5,
        };
        const answer = await postMessage(program.url, op, op.op);
        if (typeof answer !== 'string' && answer.status === 202) accepted.push(answer.id);
      }
    };
    // Four at once, each with conversations of its own: more than is sent, on a busy machine too.
    const loading = Promise.all([1, 2, 3, 4].map(acceptFrom));
    const waiting = async (): Promise<number> => accepted.length - (await provider.count()).taken;
    await eventually(async () => (await waiting()) > 100, { timeoutMs: 60_000, what: 'more to wait than is sent' });

    // The queue first, then the record: so the record is never older than the queue.
    const client = new Redis(redis.url, { protocol: 2 });
    const beforeBackup = accepted.length;
    await client.bgrewriteaof();
    await eventually(async () => (await client.info('persistence')).includes('aof_rewrite_in_progress:0'), {
      timeoutMs: 30_000,
    });
    await client.config('SET', 'auto-aof-rewrite-percentage', '0');
    cpSync(join(folder, 'redis', 'appendonlydir'), join(folder, 'copy', 'appendonlydir'), { recursive: true });
    await client.config('SET', 'auto-aof-rewrite-percentage', '100');
    const sentByCopy = (await provider.count()).taken;
    // Some of what waited in the copy is sent while the record's backup is taken.
    await eventually(async () => (await provider.count()).taken > sentByCopy + 40, { timeoutMs: 60_000 });
    load.isOn = false;
    await loading;
    await recordedAll(databaseUrl, client);
    await run(join(BIN, 'pg_dump'), ['-Fc', '-f', join(folder, 'record.dump'), databaseUrl]);
    await program.kill();
    client.disconnect();

    const emptyDatabase = new URL(databaseUrl);
    emptyDatabase.pathname = '/restored';
    await withPostgres(databaseUrl, (sql) => sql.query('create database restored'));
    await run(join(BIN, 'pg_restore'), ['--no-owner', '-d', emptyDatabase.href, join(folder, 'record.dump')]);
    const restored = await startQueue(join(folder, 'restored'), join(folder, 'copy', 'appendonlydir'));
    const after = { ...settings, REDIS_URL: `${restored.url}/0`, DATABASE_URL: emptyDatabase.href };

    const findings = await doctor(after);
    const again = findings.find(({ about }) => about === 'queue older than the record');
    const named = Number(/^(\d+) messages/.exec(again?.detail ?? '')?.[1] ?? 0);
    expect(named).toBeGreaterThan(30);
    expect(again?.messageIds).toHaveLength(named);
    // The others go, so that the test sees what the cancelling spares.
    const spared = await cancelPaused(after, (again?.messageIds ?? []).slice(0, Math.floor(named / 2)));
    expect(spared.length).toBeGreaterThan(0);

    const second = await start('all', after);
    const queue = new Redis(`${restored.url}/0`, { protocol: 2 });
    await eventually(
      async () => Number(await queue.hget('{wx:0}n', 'queued')) + Number(await queue.hget('{wx:0}n', 'inFlight')) === 0,
      {
        timeoutMs: 90_000,
        what: 'the restored queue to drain',
      },
    );
    await recordedAll(emptyDatabase.href, queue);
    queue.disconnect();
    await second.stop();
    const { rows: states } = await withPostgres(emptyDatabase.href, (sql) =>
      sql.query('select distinct engine_status, status from messages where id = any($1)', [spared]),
    );
    expect(states).toEqual([{ engine_status: 'cancelled', status: 'cancelled' }]);

    const ledger = provider.ledger().filter(({ taken }) => taken);
    const times = new Map<string, number>();
    for (const { messageId } of ledger) times.set(messageId, (times.get(messageId) ?? 0) + 1);
    const missing = accepted.slice(0, beforeBackup).filter((id) => !times.has(id));
    const twice = [...times.values()].filter((count) => count > 1).length;
    console.log(
      `backup: ${accepted.length} accepted, ${beforeBackup} before the copy, ${missing.length} of them missing, ${twice} sent again, ${named} named by doctor before the start and ${spared.length} of them cancelled`,
    );
    expect(missing).toEqual([]);
    // What doctor named, and what was in flight when the copy was taken: that is ambiguous, as after any crash.
    expect(twice).toBeGreaterThanOrEqual(named - spared.length - 25);
    expect(twice).toBeLessThanOrEqual(named - spared.length + 25);
    expect(spared.map((id) => times.get(id))).toEqual(spared.map(() => 1));
    expect([...times.values()].every((count) => count <= 2)).toBe(true);
  },
  240_000,
);

/**
 * As docs/backup.md says it: a web process alone, sending paused, each message cancelled, sending resumed.
 * @returns what was cancelled; what had been in flight when the copy was taken cannot be
 */
async function cancelPaused(settings: Settings, ids: readonly string[]): Promise<string[]> {
  const web = await start('web', settings);
  const token = await signJwt(
    { role: 'admin', name: 'ann' },
    { secret: settings['JWT_SECRET'] ?? '', audience: undefined, issuer: undefined },
  );
  const call = async (method: string, path: string, credential: string) =>
    (await fetch(web.url + path, { method, headers: { authorization: `Bearer ${credential}` } })).status;
  expect(await call('POST', '/admin/queue/pause/whatsapp-send', token)).toBe(200);
  const cancelled: string[] = [];
  for (const id of ids) {
    const status = await call('DELETE', `/v1/messages/${id}`, API_KEY);
    expect([200, 409]).toContain(status);
    if (status === 200) cancelled.push(id);
  }
  expect(await call('POST', '/admin/queue/resume/whatsapp-send', token)).toBe(200);
  await web.stop();
  return cancelled;
}

async function start(role: 'web' | 'all', settings: Settings): Promise<Program> {
  const program = await Program.start(role, settings);
  cleanups.push(() => program.kill());
  return program;
}

/** A queue's Redis, empty or on a copied folder. */
async function startQueue(folder: string, appendOnly?: string): Promise<RedisServer> {
  mkdirSync(folder, { recursive: true });
  if (appendOnly !== undefined) cpSync(appendOnly, join(folder, 'appendonlydir'), { recursive: true });
  const server = await startRedis({ folder, isSupervised: false });
  cleanups.push(() => server.stop());
  return server;
}

/** The distribution's PostgreSQL; as root it runs as another user, because it refuses root. */
async function startPostgres(): Promise<string> {
  const home = mkdtempSync(join(tmpdir(), 'waxwing-backup-'));
  cleanups.push(() => rm(home, { recursive: true, force: true }));
  const port = await freePort();
  const isRoot = process.getuid?.() === 0;
  const user = isRoot ? { uid: 65_534, gid: 65_534 } : {};
  if (isRoot) chownSync(home, 65_534, 65_534);
  const data = join(home, 'data');
  await run(join(BIN, 'initdb'), ['-D', data, '-U', 'waxwing', '--auth=trust', '-E', 'UTF8', '--no-locale'], user);
  const settings = ['-p', String(port), '-h', '127.0.0.1', '-k', home, '-c', 'fsync=off'];
  const child = spawn(join(BIN, 'postgres'), ['-D', data, ...settings], { ...user, stdio: 'ignore' });
  const identity = child.pid === undefined ? undefined : identify(child.pid);
  if (identity === undefined) throw new Error('PostgreSQL did not start');
  cleanups.push(() => endProcess(identity, 'SIGINT', 10_000));
  const url = `postgresql://waxwing@127.0.0.1:${port}/waxwing`;
  const admin = url.replace(/waxwing$/, 'postgres');
  await eventually(
    () =>
      withPostgres(admin, (sql) => sql.query('create database waxwing')).then(
        () => true,
        () => false,
      ),
    {
      timeoutMs: 20_000,
      what: 'PostgreSQL to start',
    },
  );
  return url;
}

/** Resolves when the record knows as many ends as the queue does; what is sent goes on meanwhile. */
async function recordedAll(url: string, queue: Redis): Promise<void> {
  await withPostgres(url, async (sql) => {
    await eventually(
      async () => {
        const told = Number(await queue.hget('{wx:0}n', 'sent'));
        const { rows } = await sql.query<{ n: number }>(
          `select count(*)::int as n from messages where engine_status = 'sent'`,
        );
        return (rows[0]?.n ?? 0) >= told;
      },
      { timeoutMs: 60_000, what: 'the record to catch up' },
    );
  });
}
