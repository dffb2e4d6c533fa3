import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'vitest';
import { providerDeadlineMs } from '../../src/worker/send-worker.ts';
import { eventually } from '../support/eventually.ts';
import { steadyNowMs } from './harness/clock.ts';
import { faultTest } from './harness/fault-test.ts';
import { spread } from './harness/measure.ts';
import type { LedgerEntry } from './harness/provider.ts';
import { scaled } from './harness/settings.ts';
import { restartDelaysMs } from './harness/timing.ts';
import { ENGINE } from './harness/world-options.ts';

/* Worker processes that die, stand still, or leave. */

/** Long after a worker is found dead (4 s), and shorter than evidence is awaited. */
const STILL_MS = scaled(12_000, 7000);
/** A worker waits this long for the provider's answer. */
const DEADLINE_MS = providerDeadlineMs(ENGINE);

/** From the request to the end of its answer, at the provider. */
const tookMs = ({ atMs, endAtMs }: LedgerEntry): number => (endAtMs ?? Infinity) - atMs;

faultTest(
  'F01',
  'workers killed at random: every conversation goes on, nothing twice that a status had told',
  { workers: 4, plan: { statuses: { delayMs: 150, copies: 1 } } },
  async (world, report) => {
    const load = world.load({ name: 'a' });
    load.start(70);
    const kills = scaled(200, 5);
    const starting: Promise<unknown>[] = [];
    for (let kill = 0; kill < kills; kill += 1) {
      await delay(world.random.whole(200, 700));
      const living = await eventually(() => (world.living().length >= 3 ? world.living() : false), {
        timeoutMs: 30_000,
      });
      await world.random.pick(living).kill();
      starting.push(world.startWorker());
    }
    await Promise.all(starting);
    await load.stop();
    report('kills', kills);
    return (verdict, evidence) => {
      report('begun goes on ms p50/p99/max', spread(restartDelaysMs(evidence)));
      report('ambiguous', verdict.ambiguous);
      expect(verdict.takenMax).toBe(1);
    };
  },
);

faultTest(
  'F04',
  'a worker killed before it had begun: its messages run again at once, and none is ambiguous',
  { workers: 0 },
  async (world, report) => {
    const load = world.load({ name: 'a' });
    const survivor = await world.startWorker({ slots: 5 });
    const delays: number[] = [];
    const rounds = scaled(50, 4);
    for (let round = 0; round < rounds; round += 1) {
      const link = await world.openLink();
      // With most room it gets the next messages; what it says no longer arrives.
      const victim = await world.startWorker({ via: link, slots: 100 });
      link.setMode({ kind: 'blackhole-upstream' });
      const before = load.ops.length;
      await load.run(12);
      await victim.kill();
      const killedAtMs = steadyNowMs();
      await world.recover();
      const names = new Set(load.ops.slice(before).map(({ op }) => op));
      const entries = world.provider.ledger().filter(({ op }) => names.has(op));
      expect(entries.every(({ worker }) => worker === survivor.name)).toBe(true);
      delays.push(...entries.map(({ atMs }) => Math.max(0, atMs - killedAtMs)));
    }
    report('kills', rounds);
    report('runs again ms p50/p99/max', spread(delays));
    return (verdict) => {
      expect(verdict.ambiguous).toBe(0);
      expect(verdict.dupAmbiguous).toBe(0);
      expect(Math.max(...delays)).toBeLessThan(5000);
    };
  },
);

faultTest(
  'F05',
  'workers that stand still for long and wake up: their answers are evidence, their word on the queue is not',
  { workers: 3, plan: { latencyMs: [100, 300] }, engine: { ambiguousWaitMs: STILL_MS + 2000 } },
  async (world, report) => {
    const load = world.load({ name: 'a' });
    load.start(60);
    const rounds = scaled(10, 1);
    let pausedAtMs = 0;
    for (let round = 0; round < rounds; round += 1) {
      await delay(1500);
      const sleepers = world.workers.slice(0, 2);
      pausedAtMs = steadyNowMs();
      for (const worker of sleepers) await worker.pause();
      await delay(STILL_MS);
      for (const worker of sleepers) worker.resume();
    }
    await delay(500);
    await load.stop();
    await world.recover();
    report('adopted', world.lateSent.evidence);
    report('fenced', world.lateSent.stale);
    return (_verdict, { ledger }) => {
      expect(world.lateSent.evidence).toBeGreaterThan(0);
      // A message that went again had no answer in time: one that came is never lost, whoever stood still.
      const takes = ledger.filter(({ taken }) => taken);
      const again = takes.flatMap((first, at) => {
        const second = takes.slice(at + 1).find(({ messageId }) => messageId === first.messageId);
        if (second === undefined || tookMs(first) >= DEADLINE_MS) return [];
        return [{ worker: first.worker, askedMs: first.atMs - pausedAtMs, tookMs: tookMs(first), by: second.worker }];
      });
      expect(again).toEqual([]);
    };
  },
);

faultTest(
  'F06',
  'a worker stopped between its last check and its first byte: the one late delivery is noticed',
  {
    workers: 0,
    limits: { pairGapMs: 0 },
    engine: { sendTimeoutMs: 1000, ambiguousWaitMs: 1000 },
    plan: { latencyMs: [1, 2], statuses: { delayMs: 50, copies: 1 } },
  },
  async (world, report) => {
    const load = world.load({ name: 'a' });
    await world.startWorker({ slots: 5 });
    const victim = await world.startWorker({ slots: 100 });
    const armed = victim.process.next('armed');
    victim.process.send({ type: 'stop-before-write' });
    await armed;
    await load.run(1);
    await victim.hasPausedItself();
    await eventually(async () => (await world.provider.count()).taken === 1, { timeoutMs: 20_000 });
    victim.resume();
    await eventually(async () => (await world.provider.count()).taken === 2, { timeoutMs: 20_000 });
    // Its status comes like any other's.
    await delay(300);
    return (verdict, { histories }) => {
      const detected = [...(histories?.values() ?? [])].filter(({ providerIds }) => providerIds.size > 1).length;
      report('duplicates detected/actual', `${detected}/${verdict.dupAmbiguous}`);
      expect(verdict.dupAmbiguous).toBe(1);
      expect(detected).toBe(1);
    };
  },
);

faultTest(
  'F07',
  'workers restarted one after another by SIGTERM: nothing ambiguous, nothing twice',
  { workers: 3 },
  async (world, report) => {
    const load = world.load({ name: 'a' });
    load.start(80);
    const drains: number[] = [];
    const rounds = scaled(30, 4);
    for (let round = 0; round < rounds; round += 1) {
      await delay(500);
      const [oldest] = world.living();
      await world.startWorker();
      if (oldest !== undefined) drains.push(await oldest.stop());
    }
    await load.stop();
    report('restarts', rounds);
    report('drain of a worker ms p50/p99/max', spread(drains));
    return (verdict) => {
      expect(verdict.ambiguous).toBe(0);
      expect(verdict.dupAmbiguous).toBe(0);
    };
  },
);

faultTest(
  'F10',
  'a worker whose event loop is blocked, and one that runs out of memory',
  { workers: 1, plan: { statuses: { delayMs: 150, copies: 1 } } },
  async (world, report) => {
    const load = world.load({ name: 'a' });
    const blocked = await world.startWorker();
    const doomed = await world.startWorker({ nodeOptions: ['--max-old-space-size=48'] });
    load.start(60);
    await delay(1000);
    const blockMs = scaled(20_000, 5500);
    const blockedAtMs = steadyNowMs();
    blocked.process.send({ type: 'block', ms: blockMs });
    blocked.wasSilent(blockedAtMs, blockedAtMs + blockMs);
    doomed.process.send({ type: 'exhaust' });
    doomed.wasSilent(steadyNowMs(), Number.POSITIVE_INFINITY);
    await doomed.process.ended(60_000);
    report('died of memory after ms', steadyNowMs() - blockedAtMs);
    await delay(Math.max(0, blockedAtMs + blockMs + 1000 - steadyNowMs()));
    await load.stop();
    return (verdict) => expect(verdict.dupAmbiguous).toBe(0);
  },
);
