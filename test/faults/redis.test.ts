import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { expect } from 'vitest';
import { shardPrefix, WORKER_GROUP } from '../../src/engine/keys.ts';
import { eventually } from '../support/eventually.ts';
import { faultTest } from './harness/fault-test.ts';
import { percentile, spread } from './harness/measure.ts';
import { scaled } from './harness/settings.ts';
import { makeShim } from './harness/shim.ts';
import type { World } from './harness/world.ts';

/* Redis dies, stands still, is slow, is full, or forgets. */

/** How long nothing could be accepted, ms. */
async function untilAccepting(world: World): Promise<number> {
  const startMs = performance.now();
  await eventually(() => world.counters(), { timeoutMs: 30_000, what: 'Redis to answer the queue' });
  return performance.now() - startMs;
}

faultTest('F13', 'Redis killed and started again under load', { workers: 3 }, async (world, report) => {
  const load = world.load({ name: 'a' });
  load.start(80);
  const gaps: number[] = [];
  const kills = scaled(50, 4);
  for (let kill = 0; kill < kills; kill += 1) {
    await delay(world.random.whole(300, 1200));
    const startMs = performance.now();
    await world.redis.kill();
    // Once for longer than it takes to find a worker dead: nobody could beat, so nobody is.
    await delay(kill === 0 ? 6000 : world.random.whole(0, 300));
    await world.redis.start();
    await untilAccepting(world);
    gaps.push(performance.now() - startMs);
  }
  await delay(500);
  await load.stop();
  report('kills', kills);
  report('gap ms p50/p99/max', spread(gaps));
  return (verdict) => {
    // The workers lived and knew every outcome: they told it again.
    expect(verdict.ambiguous).toBe(0);
    expect(verdict.dupAmbiguous).toBe(0);
  };
});

faultTest(
  'F18',
  'Redis stands still for long: accepts are refused in time, no live work is taken over',
  { workers: 3 },
  async (world, report) => {
    const load = world.load({ name: 'a' });
    load.start(80);
    const stops = scaled(10, 1);
    for (let stop = 0; stop < stops; stop += 1) {
      await delay(1000);
      world.redis.pause();
      await delay(scaled(15_000, 7000));
      world.redis.resume();
      await untilAccepting(world);
    }
    await delay(1000);
    await load.stop();
    report('longest accept ms', load.tryMsMax);
    report('accepts repeated', load.repeats);
    return (verdict) => {
      expect(load.repeats).toBeGreaterThan(0);
      expect(load.tryMsMax).toBeLessThan(2000);
      expect(verdict.ambiguous).toBe(0);
    };
  },
);

const slowDisk = await makeShim();
faultTest('F18-disk', 'every fsync takes 1.5 s', { workers: 3, redis: { shim: slowDisk } }, async (world, report) => {
  const load = world.load({ name: 'a' });
  load.start(60);
  await delay(1000);
  slowDisk.setFsyncDelay(1500);
  const sentBefore = (await world.provider.count()).taken;
  await delay(scaled(30_000, 5000));
  const sentAfter = (await world.provider.count()).taken;
  slowDisk.setFsyncDelay(0);
  await load.stop();
  report('sent while slow', sentAfter - sentBefore);
  report('longest accept ms', load.tryMsMax);
  return (verdict) => expect(verdict.dupAmbiguous).toBe(0);
});

/** A connection for what an administrator, or an accident, does. */
async function disturb(world: World, what: (client: Redis) => Promise<unknown>): Promise<void> {
  const client = new Redis(world.redis.url, { maxRetriesPerRequest: 3 });
  try {
    await what(client);
  } finally {
    client.disconnect();
  }
}

faultTest(
  'F19',
  'the scripts and the consumer group disappear under load, and then a worker dies: no restart is needed',
  { workers: 3, plan: { statuses: { delayMs: 150, copies: 1 } } },
  async (world, report) => {
    const load = world.load({ name: 'a' });
    load.start(80);
    const rounds = scaled(30, 4);
    for (let round = 0; round < rounds; round += 1) {
      await delay(world.random.whole(200, 600));
      await disturb(world, async (client) => {
        await client.call('SCRIPT', 'FLUSH');
        await client.call('XGROUP', 'DESTROY', `${shardPrefix(0)}out`, WORKER_GROUP);
      });
      if (round % 2 === 1) {
        await world.random.pick(world.living()).kill();
        await world.startWorker();
      }
    }
    await load.stop();
    report('times', rounds);
    return (verdict) => expect(verdict.dupAmbiguous).toBe(0);
  },
);

faultTest(
  'F19-flush',
  'FLUSHALL: what was queued is gone and counted, what comes after needs no restart',
  { workers: 2 },
  async (world, report) => {
    const before = world.load({ name: 'a' });
    await before.run(scaled(500, 100), 60);
    await world.recover();
    // Only the later load is judged: nothing of the earlier one is left to ask about.
    const sent = (await world.provider.count()).taken;
    expect(sent).toBe(before.ops.length);
    await disturb(world, (client) => client.flushall());
    world.forget(before);
    const startMs = performance.now();
    const after = world.load({ name: 'b' });
    await after.run(1);
    report('accepts again after ms', performance.now() - startMs);
    await after.run(scaled(1000, 150), 80);
    return (verdict) => {
      expect(performance.now() - startMs).toBeGreaterThan(0);
      expect(verdict.accepted).toBe(after.ops.length);
    };
  },
);

faultTest(
  'F21',
  'Redis full: accepts are refused and leave nothing half-written, sending goes on',
  { workers: 2, limits: { ratePerSecond: 120 } },
  async (world, report) => {
    const load = world.load({ name: 'a', conversations: 400 });
    await load.run(50, 200);
    await disturb(world, async (client) => {
      const used = Number(/used_memory:(\d+)/.exec(await client.info('memory'))?.[1]);
      await client.config('SET', 'maxmemory', String(used + 400_000));
      await client.config('SET', 'maxmemory-policy', 'noeviction');
    });
    const startMs = performance.now();
    load.start(800);
    await eventually(() => load.repeats > 0, { timeoutMs: 60_000, what: 'the first refusal' });
    report('refused after ms', performance.now() - startMs);
    const sentBefore = (await world.provider.count()).taken;
    await delay(scaled(20_000, 2000));
    const sentWhileFull = (await world.provider.count()).taken - sentBefore;
    report('sent while full', sentWhileFull);
    report('refusals', load.repeats);
    await disturb(world, (client) => client.config('SET', 'maxmemory', '0'));
    await load.stop();
    return (_verdict, { counters, ops, histories }) => {
      expect(sentWhileFull).toBeGreaterThan(0);
      // Every key stands for one message: none was half-written, none written twice.
      const ids = new Set(ops.flatMap(({ ids: known }) => [...known]));
      expect(counters?.accepted).toBe(ids.size);
      expect(histories?.size).toBe(ids.size);
      expect(percentile([load.tryMsMax], 1)).toBeLessThan(2000);
    };
  },
);
