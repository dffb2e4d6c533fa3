import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { expect } from 'vitest';
import { SCRIPTS } from '../../src/engine/generated/scripts.ts';
import { eventually, testDatabase } from '../support/services.ts';
import { faultTest } from './harness/fault-test.ts';
import type { Op, OpRecord } from './harness/load.ts';
import { spread } from './harness/measure.ts';
import { acceptOver, postMessage, Program, settingsFor, tellByWebhook } from './harness/program.ts';
import { scaled } from './harness/settings.ts';

/*
 * The whole program: `waxwing start` in its roles, over HTTP. Its recorder takes the engine's events away, so these
 * are judged by what clients were told and by the provider's ledger alone.
 */

const WORLD = { senders: ['default'], workers: 0, isRecorded: true } as const;

faultTest(
  'F07-program',
  'web and worker processes restarted one after another by SIGTERM: no request fails, nothing twice',
  WORLD,
  async (world, report) => {
    const settings = settingsFor(world, (await testDatabase()).url);
    const start = async (role: 'web' | 'worker'): Promise<Program> => world.owns(await Program.start(role, settings));
    // The first one migrates.
    const webs = [await start('web')];
    const [web, ...workers] = await Promise.all([start('web'), start('worker'), start('worker')]);
    webs.push(web);
    let turn = 0;
    const trouble: string[] = [];
    const urlOf = (): string => webs[(turn += 1) % webs.length]?.url ?? '';
    const passedOver: string[] = [];
    const load = world.load(
      { name: 'a' },
      acceptOver(urlOf, (what) => {
        // As a load balancer does: a process that is going away is passed over, the next one gets the request.
        (['refused', 'broken', '503'].includes(what) ? passedOver : trouble).push(what);
      }),
    );
    load.start(60);
    const drains: number[] = [];
    const codes: (number | null)[] = [];
    for (let round = 0; round < scaled(10, 1); round += 1) {
      for (const [role, list] of [
        ['worker', workers],
        ['web', webs],
      ] as const) {
        list.push(await start(role));
        await delay(300);
        const { code, ms } = (await list.shift()?.stop()) ?? { code: null, ms: 0 };
        drains.push(ms);
        codes.push(code);
      }
    }
    await load.stop();
    report('restarts', codes.length);
    report('drain ms p50/p99/max', spread(drains));
    report('failed requests', trouble.length);
    report('asked another process', passedOver.length);
    return (verdict) => {
      expect(codes.every((code) => code === 0)).toBe(true);
      expect(trouble).toEqual([]);
      expect(verdict.takenMax).toBe(1);
    };
  },
);

faultTest(
  'F08',
  'an API process killed after the message was on disk and before its answer: one message per key, one id',
  { ...WORLD, workers: 2 },
  async (world, report) => {
    const link = await world.openLink();
    const settings = settingsFor(world, (await testDatabase()).url, link.port);
    let web = world.owns(await Program.start('web', settings));
    const broken: string[] = [];
    const load = world.load(
      { name: 'a' },
      acceptOver(
        () => web.url,
        (what) => broken.push(what),
      ),
    );
    load.start(40);
    const kills = scaled(30, 3);
    for (let kill = 0; kill < kills; kill += 1) {
      await delay(world.random.whole(200, 500));
      // The reply of the script is on its way back, so what it stored is on disk.
      const lost = link.loseReplyOf(SCRIPTS.accept.sha1).then(() => true);
      expect(await Promise.race([lost, delay(20_000, false)]), 'an accept came by').toBe(true);
      await web.kill();
      web = world.owns(await Program.start('web', settings));
    }
    await load.stop();
    await world.recover();
    // Whoever asks once more with his key hears of the same message.
    for (const op of load.ops.slice(-20)) {
      const answer = await postMessage(web.url, op, op.op);
      if (typeof answer !== 'string') op.ids.add(answer.id);
    }
    report('kills', kills);
    report('requests without an answer', broken.filter((what) => what === 'broken').length);
    return (verdict, { counters, ops }) => {
      report('keys/messages', `${ops.length}/${counters?.accepted ?? 0}`);
      expect(broken).toContain('broken');
      expect(counters?.accepted).toBe(ops.length);
      expect(ops.filter(({ ids }) => ids.size !== 1)).toEqual([]);
      expect(verdict.takenMax).toBe(1);
    };
  },
);

faultTest(
  'F11',
  '500 requests with one key at once, half of them with another body: one message',
  { ...WORLD, workers: 1 },
  async (world, report) => {
    const { url } = world.owns(await Program.start('web', settingsFor(world, (await testDatabase()).url)));
    const rounds = scaled(20, 2);
    // A busy machine may break a connection; whoever asks again with his key is one of the five hundred still.
    const answerTo = async (op: Op, key: string) => {
      const answer = await postMessage(url, op, key);
      return typeof answer === 'string' || answer.status === 503 ? false : answer;
    };
    let [same, refused] = [0, 0];
    for (let round = 0; round < rounds; round += 1) {
      const base = { conversation: `k${round}`, tenant: 't0', sender: 'default', contact: `+9665000001${10 + round}` };
      const bodies = [1, 2].map((n) => ({ ...base, op: `k${round}#${n}`, n, priority: 5 }));
      const answers = await Promise.all(
        Array.from({ length: 500 }, async (_, at) => {
          const op = bodies[at % 2] ?? bodies[0];
          if (op === undefined) throw new Error('unreachable');
          return { op, answer: await eventually(() => answerTo(op, `key-${round}`), { timeoutMs: 60_000 }) };
        }),
      );
      const good = answers.flatMap(({ op, answer }) =>
        answer.status < 300 ? [{ op, id: answer.id, status: answer.status }] : [],
      );
      const bad = answers.filter(({ answer }) => answer.code === 'IDEMPOTENCY_KEY_REUSED');
      expect(new Set(good.map(({ id }) => id)).size).toBe(1);
      expect(new Set(good.map(({ op }) => op.op)).size).toBe(1);
      expect(good).toHaveLength(250);
      expect(bad).toHaveLength(250);
      // 202 to the first alone: the others are told that theirs is a duplicate. Its answer may be the one that broke.
      expect(good.filter(({ status }) => status === 202).length).toBeLessThanOrEqual(1);
      same += good.length;
      refused += bad.length;
      const [first] = good;
      if (first === undefined) throw new Error('unreachable');
      const ids = new Set(good.map(({ id }) => id));
      const record: OpRecord = { ...first.op, state: 'ok', id: first.id, acceptedAtMs: undefined, ids };
      world.judge([record]);
    }
    report('requests', 500 * rounds);
    report('same id', same);
    report('refused 422', refused);
    return (verdict, { counters }) => {
      expect(counters?.accepted).toBe(rounds);
      expect(verdict.takenMax).toBe(1);
    };
  },
);

faultTest(
  'F21-start',
  'a Redis that may evict, or does not fsync every write: the program does not start, and says why',
  WORLD,
  async (world, report) => {
    const settings = settingsFor(world, (await testDatabase()).url);
    const client = new Redis(world.redis.url, { maxRetriesPerRequest: 3 });
    const unsafe: [name: string, value: string, safe: string, says: RegExp][] = [
      ['maxmemory-policy', 'allkeys-lru', 'noeviction', /may evict.*noeviction/],
      ['appendfsync', 'everysec', 'always', /appendfsync always/],
      ['appendonly', 'no', 'yes', /appendonly yes/],
    ];
    for (const [name, value, safe, says] of unsafe) {
      await client.config('SET', name, value);
      const program = world.owns(Program.launch('web', settings));
      const { code, output } = await program.ended;
      expect(code).toBe(1);
      expect(output).toMatch(says);
      await client.config('SET', name, safe);
    }
    client.disconnect();
    report('starts refused', unsafe.length);
    return undefined;
  },
);

faultTest(
  'F33-program',
  'answers lost after the message was taken, statuses told by signed webhooks: none is sent twice',
  {
    ...WORLD,
    plan: {
      rules: [
        { action: 'take-reset', share: 0.06 },
        { action: 'take-stall', share: 0.03 },
        { action: 'take-bare-502', share: 0.03 },
      ],
      statuses: { delayMs: 200, copies: 2 },
    },
  },
  async (world, report) => {
    const program = world.owns(await Program.start('all', settingsFor(world, (await testDatabase()).url)));
    let told = 0;
    world.tellStatus = async (tag, wamid) => {
      const isHeard = await tellByWebhook(program.url, tag, wamid);
      if (isHeard) told += 1;
      return isHeard;
    };
    const load = world.load(
      { name: 'a', conversations: 80 },
      acceptOver(() => program.url),
    );
    await load.run(scaled(3000, 200), 80);
    return (verdict, { ledger }) => {
      report('answers lost', ledger.filter(({ answered }) => !answered).length);
      report('webhooks', told);
      expect(told).toBeGreaterThan(0);
      expect(verdict.takenMax).toBe(1);
    };
  },
);
