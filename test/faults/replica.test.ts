import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { steadyNowMs } from './harness/clock.ts';
import { faultTest, type Report } from './harness/fault-test.ts';
import type { Load } from './harness/load.ts';
import { scaled } from './harness/settings.ts';
import type { World } from './harness/world.ts';

/*
 * The link between the queue's Redis and its replica is slow or dark, and then the master dies and the replica takes its
 * place: what had not crossed the link is forgotten. `replica` never says yes to what had not; `disk` does, for the lag.
 */

/** One way; a round trip of half a second. */
const LATENCY_MS = 250;
/** For a busy machine: how much later than its time a byte may cross, and a provider's answer be heard. */
const SLACK_MS = 750;

/** An accept is given up after a second and a half, and may have waited for the one before it; the rest is slack. */
const ACCEPT_MS_MAX = 3000 + SLACK_MS;
/** Short, so that a worker notices soon what it had settled and what is forgotten. */
const ENGINE = { claimIdleMs: 3500 };

/** The master dies `lagMs` ahead of its replica, which takes its place; the old one comes back and follows. */
async function failOver(
  world: World,
  load: Load,
  report: Report,
  lag: { fromMs: number; accepts: boolean },
): Promise<void> {
  const deadAtMs = steadyNowMs();
  await world.pair.failOver();
  world.forgotten.push({ ...lag, toMs: deadAtMs + SLACK_MS });
  world.pair.link.setMode({ kind: 'pass' });
  await world.pair.follow();
  await eventually(() => load.ops.some(({ acceptedAtMs = 0 }) => acceptedAtMs > deadAtMs + SLACK_MS), {
    timeoutMs: 30_000,
    what: 'accepts by the promoted replica',
  });
  await delay(500);
  await load.stop();
  report('accepted', load.ops.filter(({ acceptedAtMs = 0 }) => acceptedAtMs < deadAtMs).length);
}

for (const durability of ['replica', 'disk'] as const) {
  const isStated = durability === 'disk';
  const end = isStated ? 'lost is at most what the lag held' : 'nothing accepted is lost';
  faultTest(
    isStated ? 'F25-disk' : 'F25',
    `a replica that is a quarter of a second behind takes the place of a killed master, ACCEPT_DURABILITY=${durability}: ${end}`,
    { workers: 2, hasReplica: true, durability, engine: ENGINE },
    async (world, report) => {
      const load = world.load({ name: 'a' });
      load.start(60);
      await delay(500);
      world.pair.link.setMode({ kind: 'latency', ms: LATENCY_MS, jitterMs: 0 });
      await delay(scaled(30_000, 3000));
      const lagFromMs = steadyNowMs() - LATENCY_MS - SLACK_MS;
      await failOver(world, load, report, { fromMs: lagFromMs, accepts: isStated });
      report('longest accept ms', load.tryMsMax);
      return (verdict) => {
        report('lost with the lag, as stated', verdict.lostAsStated);
        if (!isStated) expect(verdict.lostAsStated).toBe(0);
        // 60 a second are accepted, and a lag holds what it is long.
        expect(verdict.lostAsStated).toBeLessThanOrEqual((60 * (LATENCY_MS + SLACK_MS)) / 1000);
        expect(load.tryMsMax).toBeLessThan(ACCEPT_MS_MAX);
      };
    },
  );
}

faultTest(
  'F25-dark',
  'the link to the replica goes dark, and the replica takes the place of a killed master, ACCEPT_DURABILITY=replica: refused in time meanwhile, nothing accepted is lost',
  { workers: 2, hasReplica: true, durability: 'replica', engine: ENGINE },
  async (world, report) => {
    const load = world.load({ name: 'a' });
    load.start(60);
    await delay(1500);
    const darkAtMs = steadyNowMs();
    world.pair.link.setMode({ kind: 'blackhole' });
    await delay(scaled(40_000, 4000));
    const isDark = ({ acceptedAtMs: at = 0 }: Load['ops'][number]) => at > darkAtMs + 100;
    const meanwhile = load.ops.filter(isDark).length;
    const refusals = load.repeats;
    await failOver(world, load, report, { fromMs: darkAtMs - SLACK_MS, accepts: false });
    report('accepted while dark', meanwhile);
    report('refused while dark', refusals);
    report('longest accept ms', load.tryMsMax);
    return () => {
      expect(meanwhile).toBe(0);
      expect(refusals).toBeGreaterThan(0);
      expect(load.tryMsMax).toBeLessThan(ACCEPT_MS_MAX);
    };
  },
);
