import { chownSync, cpSync, mkdtempSync, readdirSync, renameSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, inject } from 'vitest';
import { startEmbedded } from '../../src/embedded/index.ts';
import { commandLine, workingFolder } from '../../src/embedded/process-identity.ts';
import { shardPrefix } from '../../src/engine/keys.ts';
import { sql } from '../support/postgres.ts';
import { withClient } from '../support/many-redis.ts';
import { eventually, testDatabase } from '../support/services.ts';
import { steadyNowMs } from './harness/clock.ts';
import { doctor } from './harness/doctor.ts';
import { faultTest } from './harness/fault-test.ts';
import { spread } from './harness/measure.ts';
import { acceptOver, API_KEY, Program, settingsFor, type Settings } from './harness/program.ts';
import { scaled } from './harness/settings.ts';
import { canMount, SmallDisk } from './harness/small-disk.ts';
import { throughTrouble } from './harness/trouble.ts';
import type { World } from './harness/world.ts';

/* The disk is full: what is accepted is on it, what is not is refused, and with space everything comes back by itself. */

const isSkipped = !canMount(join(inject('waxwingRunFolder'), 'may-mount'));
/** The owner of Redis tries again after five seconds at most; the rest is for a busy machine. */
const BACK_MS_MAX = 15_000;

faultTest(
  'F20',
  'the disk of the log is full: Redis ends, nothing is accepted until there is space, and what was accepted is whole',
  {
    workers: 2,
    isSkipped,
    redis: { diskMiB: 8, isSupervised: true, settings: { 'auto-aof-rewrite-min-size': '1mb' } },
  },
  async (world, report) => {
    const { redis } = world;
    const load = world.load({ name: 'a' });
    load.start(60);
    const rounds = scaled(20, 2);
    const full: { readonly fromMs: number; readonly toMs: number }[] = [];
    const gaps: number[] = [];
    for (let round = 0; round < rounds; round += 1) {
      await delay(1000);
      const deaths = count(redis.events, 'died');
      // Every write of the load takes some of what is left; a log that is rewritten gives some back.
      await eventually(
        () => {
          redis.disk.fill(100_000);
          return count(redis.events, 'died') > deaths;
        },
        { timeoutMs: 30_000, what: 'Redis to meet the end of its disk' },
      );
      redis.disk.fill(0);
      const fromMs = steadyNowMs();
      await delay(scaled(10_000, 2500));
      full.push({ fromMs, toMs: steadyNowMs() });
      redis.disk.free();
      const freedMs = performance.now();
      await eventually(() => world.counters(), { timeoutMs: 30_000, what: 'Redis to be back' });
      gaps.push(performance.now() - freedMs);
    }
    await delay(500);
    await load.stop();
    // What is judged is what a fresh server reads from the disk.
    const restarts = count(redis.events, 'restarted');
    await redis.kill();
    await eventually(() => count(redis.events, 'restarted') > restarts, { timeoutMs: 20_000 });
    const meanwhile = load.ops.filter(({ acceptedAtMs: at = 0 }) =>
      full.some(({ fromMs, toMs }) => at > fromMs && at < toMs),
    );
    report('times full', rounds);
    report('accepted while full', meanwhile.length);
    report('back after space ms p50/p99/max', spread(gaps));
    report('starts put off', count(redis.events, 'restart-failed'));
    report('longest accept ms', load.tryMsMax);
    return (verdict, { counters, ops }) => {
      expect(meanwhile).toEqual([]);
      expect(Math.max(...gaps)).toBeLessThan(BACK_MS_MAX);
      expect(load.tryMsMax).toBeLessThan(2000);
      const reasons = redis.events.flatMap((event) => (event.kind === 'died' ? [event.reason] : []));
      expect(reasons[0]).toMatch(/exit code 1: .*AOF.*/);
      // No server is started only to end at its first write.
      expect(count(redis.events, 'restart-failed')).toBeGreaterThan(0);
      expect(redis.events.find(({ kind }) => kind === 'restart-failed')).toMatchObject({
        reason: expect.stringMatching(/Redis is not started, because the disk of .* is full/) as string,
      });
      expect(counters?.accepted).toBe(ops.length);
      expect(verdict.dupAmbiguous).toBe(0);
    };
  },
);

faultTest(
  'F20-wal',
  'the disk of the WAL is full: PostgreSQL ends, messages are accepted and sent all the same, and the record catches up',
  { senders: ['default'], workers: 0, isRecorded: true, isSkipped },
  async (world, report) => {
    const dataDir = mkdtempSync(join(inject('waxwingRunFolder'), 'wal-'));
    const { disk, server, reasons } = await postgresOnSmallDisk(dataDir);
    try {
      let [acceptedMeanwhile, backMs, waiting] = [0, 0, 0];
      const figures = await throughTrouble(world, server, report, async ({ direct, program, load }) => {
        await delay(500);
        disk.fill(0);
        // The segment that is open has room still; what does not fit into it finds no disk.
        await eventually(
          () =>
            sql(direct, WRITE_MUCH).then(
              () => false,
              () => true,
            ),
          {
            timeoutMs: 30_000,
            what: 'PostgreSQL to meet the end of its disk',
          },
        );
        const before = load.ops.filter(({ state }) => state === 'ok').length;
        const refusal = await eventually(() => readMessages(program.url), { timeoutMs: 10_000 });
        expect(refusal.retryAfter).toBeGreaterThan(0);
        await delay(scaled(20_000, 3000));
        acceptedMeanwhile = load.ops.filter(({ state }) => state === 'ok').length - before;
        waiting = await entriesOf(world);
        expect(program.hasEnded).toBe(false);
        disk.free();
        const freedMs = performance.now();
        await eventually(() => sql(direct, 'select 1').catch(() => false), { timeoutMs: 30_000 });
        backMs = performance.now() - freedMs;
      });
      report('accepted while full', acceptedMeanwhile);
      report('event entries kept', waiting);
      report('back after space ms', backMs);
      return (verdict) => {
        expect(acceptedMeanwhile).toBeGreaterThan(0);
        expect(backMs).toBeLessThan(BACK_MS_MAX);
        expect(figures.recorded).toBe(figures.accepted);
        expect(figures.came).toBe(figures.heard);
        expect(verdict.takenMax).toBe(1);
        expect(reasons.join('\n')).toMatch(
          /PostgreSQL (?:ended unexpectedly|could not be started again) .*No space left/,
        );
      };
    } finally {
      await server.stop();
      disk.unmount();
    }
  },
);

faultTest(
  'F20-start',
  'a start on a disk without room: a sentence that says what to do, and no server left running',
  { senders: ['default'], workers: 0, isRecorded: true, isSkipped },
  async (world, report) => {
    const dataDir = mkdtempSync(join(inject('waxwingRunFolder'), 'start-'));
    const disk = SmallDisk.mount(dataDir, 2);
    if (disk === null) throw new Error('No file system may be mounted here.');
    try {
      const settings = { ...settingsFor(world, (await testDatabase()).url), REDIS_URL: '', WAXWING_DATA_DIR: dataDir };
      const full = /^No space is left on .*WAXWING_DATA_DIR.*\n$/;
      // The folder is made, Redis is started in it, and it is locked: each is the first that finds no room.
      const says: [leftBytes: number, sentence: RegExp][] = [
        [0, full],
        [100_000, /^Redis is not started, because the disk of .* is full, .*: free at least 256 KiB there\.\n$/],
        [0, full],
      ];
      for (const [leftBytes, sentence] of says) {
        disk.free();
        disk.fill(leftBytes);
        const { code, output } = await world.owns(Program.launch('web', settings)).ended;
        expect(output).toMatch(sentence);
        expect(code).toBe(1);
        expect(serversIn(dataDir)).toEqual([]);
      }
      report('starts refused', says.length);
      return undefined;
    } finally {
      disk.unmount();
    }
  },
);

/** Processes of Redis that work in a data folder. */
function serversIn(dataDir: string): number[] {
  const processes = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return processes
    .map(Number)
    .filter((pid) => workingFolder(pid)?.startsWith(dataDir) && /redis/.test(commandLine(pid)));
}

const WRITE_MUCH = `select pg_logical_emit_message(true, 'fault', repeat('x', 4000000))`;

/** The embedded PostgreSQL, its WAL on a disk of its own with room for five segments of 16 MiB. */
async function postgresOnSmallDisk(dataDir: string) {
  const own = { dataDir, redis: false, postgres: true } as const;
  await (await startEmbedded(own)).stop();
  const wal = join(dataDir, 'postgres', 'data', 'pg_wal');
  const { uid, gid } = statSync(wal);
  renameSync(wal, `${wal}.whole`);
  const disk = SmallDisk.mount(wal, 80);
  if (disk === null) throw new Error('No file system may be mounted here.');
  cpSync(`${wal}.whole`, wal, { recursive: true });
  for (const path of ['', ...readdirSync(wal)]) chownSync(join(wal, path), uid, gid);
  const reasons: string[] = [];
  const server = await startEmbedded({ ...own, onEvent: (_, __, sentence = '') => reasons.push(sentence) });
  return { disk, server, reasons };
}

/** What a route of the record says while it is away. */
async function readMessages(url: string): Promise<{ readonly retryAfter: number } | false> {
  const answer = await fetch(`${url}/v1/messages?tenant=t0`, { headers: { authorization: `Bearer ${API_KEY}` } });
  if (answer.status !== 503) return false;
  return { retryAfter: Number(answer.headers.get('retry-after')) };
}

async function entriesOf({ redis }: World): Promise<number> {
  return await withClient(redis.port, async (client) => await client.xlen(`${shardPrefix(0)}ev`));
}

function count(events: World['redis']['events'], kind: World['redis']['events'][number]['kind']): number {
  return events.filter((event) => event.kind === kind).length;
}

faultTest(
  'F20-program',
  'the disk of the embedded Redis runs full under the whole program: 503 before it is, sending goes on, and all comes back by itself',
  { senders: ['default'], workers: 0, isRecorded: true, isSkipped },
  async (world, report) => {
    const dataDir = mkdtempSync(join(inject('waxwingRunFolder'), 'disk-'));
    const disk = SmallDisk.mount(join(dataDir, 'redis'), 8);
    if (disk === null) throw new Error('No file system may be mounted here.');
    try {
      // Empty counts as unset: it starts a Redis of its own.
      const settings: Settings = {
        ...settingsFor(world, (await testDatabase()).url),
        REDIS_URL: '',
        WAXWING_DATA_DIR: dataDir,
      };
      const program = world.owns(await Program.start('all', settings));
      const refusals: string[] = [];
      const ask = acceptOver(
        () => program.url,
        (what) => refusals.push(what),
      );
      const acceptedTries: { readonly startedMs: number }[] = [];
      const load = world.load({ name: 'a', tenants: 2 }, async (op) => {
        const startedMs = performance.now();
        const answer = await ask(op);
        if (answer.kind === 'ok') acceptedTries.push({ startedMs });
        return answer;
      });
      // One that was under way when the first was refused may still be accepted.
      const acceptedOfThoseSince = (ms: number) => acceptedTries.filter(({ startedMs }) => startedMs > ms).length;
      const accepted = () => load.ops.filter(({ state }) => state === 'ok').length;
      const allSent = async () => (await world.provider.count()).taken >= accepted();
      load.start(40);
      await delay(1000);

      // Nearly full: nothing new, and the rest is for what is there.
      disk.fill(500_000);
      const first = await refused(program.url, 'QUEUE_FULL');
      expect(first.retryAfter).toBeGreaterThan(0);
      const fullMs = performance.now();
      await eventually(allSent, { timeoutMs: 20_000, what: 'what was accepted to be sent' });
      expect(await ready(program.url)).toMatchObject({ status: 503, checks: { queue: 'ok', disk: 'failed' } });
      const findings = await doctor(settings);
      expect(findings.find(({ about }) => about === 'queue disk')).toMatchObject({
        severity: 'finding',
        detail: expect.stringContaining('The disk of the queue is full') as string,
      });
      expect(acceptedOfThoseSince(fullMs)).toBe(0);

      // Full: the next heartbeat of the worker is the write that cannot be.
      disk.fill(0);
      await eventually(
        () => {
          disk.fill(0);
          return /Redis ended unexpectedly \(exit code 1/.test(program.output);
        },
        { timeoutMs: 20_000, what: 'Redis to meet the end of its disk' },
      );
      const second = await refused(program.url, 'QUEUE_UNAVAILABLE', 'QUEUE_FULL');
      expect(second.retryAfter).toBeGreaterThan(0);
      await eventually(() => program.output.includes('Redis is not started, because the disk of'), {
        timeoutMs: 10_000,
      });
      expect(await ready(program.url)).toMatchObject({ status: 503, checks: { queue: 'failed', disk: 'failed' } });
      await expect(doctor(settings)).rejects.toThrow(/The disk of the queue is full/);
      expect(acceptedOfThoseSince(fullMs)).toBe(0);
      expect(program.hasEnded).toBe(false);
      report('accepted while full', acceptedOfThoseSince(fullMs));

      disk.free();
      const freedMs = performance.now();
      await eventually(() => acceptedOfThoseSince(freedMs) > 0, {
        timeoutMs: 30_000,
        what: 'accepts after the space came back',
      });
      const backMs = performance.now() - freedMs;
      await eventually(async () => (await ready(program.url)).status === 200, { timeoutMs: 20_000 });
      await delay(500);
      await load.stop();
      await eventually(allSent, { timeoutMs: 20_000, what: 'everything accepted to be sent' });
      // Redis has read everything from the disk anew.
      const wrong = await eventually(
        async () => {
          const found = (await doctor(settings)).filter(({ severity }) => severity === 'finding');
          return found.length === 0 ? found : false;
        },
        { timeoutMs: 20_000, what: 'the doctor to find nothing' },
      );
      expect(wrong).toEqual([]);
      const { code } = await program.stop();
      expect(code).toBe(0);
      report('refusals', refusals.length);
      report('back after space ms', backMs);
      return (verdict) => {
        expect(backMs).toBeLessThan(BACK_MS_MAX);
        expect(refusals.every((what) => what === '503')).toBe(true);
        expect(verdict.takenMax).toBe(1);
      };
    } finally {
      disk.unmount();
    }
  },
);

/** Asks with a message of its own until it is refused for one of these reasons. @returns what the answer said */
async function refused(url: string, ...codes: string[]): Promise<{ readonly retryAfter: number }> {
  return await eventually(
    async () => {
      const answer = await fetch(`${url}/v1/messages`, {
        method: 'POST',
        // One message however often it is taken.
        headers: { authorization: `Bearer ${API_KEY}`, 'content-type': 'application/json', 'idempotency-key': 'probe' },
        body: JSON.stringify({ tenant: 't0', to: '+966500009999', type: 'text', text: { body: 'probe' } }),
      });
      const { code = '' } = (await answer.json()) as { readonly code?: string };
      if (answer.status !== 503 || !codes.includes(code)) return false;
      return { retryAfter: Number(answer.headers.get('retry-after')) };
    },
    { timeoutMs: 20_000, what: `503 ${codes.join(' or ')}` },
  );
}

async function ready(url: string): Promise<{ readonly status: number; readonly checks: Record<string, string> }> {
  const answer = await fetch(`${url}/ready`);
  const { checks } = (await answer.json()) as { readonly checks: Record<string, string> };
  return { status: answer.status, checks };
}
