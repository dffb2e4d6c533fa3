import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'vitest';
import { steadyNowMs } from './harness/clock.ts';
import { faultTest } from './harness/fault-test.ts';
import { scaled } from './harness/settings.ts';
import { makeShim } from './harness/shim.ts';

/*
 * Wall clocks that step. The engine's pacing clock never runs backward; a step forward cannot be told from time that
 * passed, so it frees one burst, and each waiting pair once.
 */

const shim = await makeShim();

faultTest(
  'F26',
  "Redis's clock steps by +60 s, -600 s and ±5 s again and again: pace kept, no live work taken over",
  { workers: 3, redis: { shim }, plan: { latencyMs: [20, 200] } },
  async (world, report) => {
    const load = world.load({ name: 'a', conversations: 60 });
    load.start(120);
    let offsetMs = 0;
    let steps = 0;
    const step = async (byMs: number): Promise<void> => {
      offsetMs += byMs;
      if (byMs > 0) world.forwardStepsAtMs.push(steadyNowMs());
      shim.setClockOffset(offsetMs);
      steps += 1;
      await delay(700);
    };
    for (let round = 0; round < scaled(10, 1); round += 1) {
      await delay(500);
      await step(60_000);
      await step(-600_000);
      for (let jitter = 0; jitter < 4; jitter += 1) await step(jitter % 2 === 0 ? 5000 : -5000);
    }
    await load.stop();
    report('steps', steps);
    return (verdict) => {
      report('live work taken over', verdict.ambiguous);
      expect(verdict.ambiguous).toBe(0);
      expect(verdict.dupAmbiguous).toBe(0);
    };
  },
);

const workerShim = await makeShim();

faultTest(
  'F26-worker',
  "a worker's clock steps by +60 s and -600 s: it neither steals nor loses",
  { workers: 2 },
  async (world, report) => {
    await world.startWorker({ environment: workerShim.environment });
    const load = world.load({ name: 'a' });
    load.start(90);
    for (const offsetMs of [60_000, -540_000, 5000, -5000, 0]) {
      await delay(700);
      workerShim.setClockOffset(offsetMs);
    }
    await delay(700);
    await load.stop();
    return (verdict, { ledger }) => {
      const byStepped = ledger.filter(({ worker }) => worker === 'w3').length;
      report('sent by it', byStepped);
      expect(byStepped).toBeGreaterThan(0);
      expect(verdict.ambiguous).toBe(0);
    };
  },
);
