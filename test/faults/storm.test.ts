import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { expect } from 'vitest';
import { shardPrefix, WORKER_GROUP } from '../../src/engine/keys.ts';
import { faultTest } from './harness/fault-test.ts';
import type { ProviderRule } from './harness/protocol.ts';
import { scaled } from './harness/settings.ts';
import type { World } from './harness/world.ts';

/*
 * Everything at once: a load as quick as the machine sends it, while workers, Redis, links, scripts and the provider
 * fail at random. At scale 1 a million messages, in twenty rounds, each judged from the provider's ledger:
 * `npm run test:storm`.
 */

const ROUNDS = scaled(20);
const MESSAGES = 50_000;
const SENDERS = Array.from({ length: 8 }, (_, n) => `s${n + 1}`);

const PROVIDER_FAULTS: readonly ProviderRule[] = [
  { action: 'take-reset', share: 0.001 },
  { action: 'take-bare-502', share: 0.001 },
  { action: 'reset', share: 0.001 },
  { action: 'bare-503', share: 0.001 },
  { action: 'refuse', code: 131000, httpStatus: 500, share: 0.002 },
  { action: 'refuse', code: 131026, share: 0.002 },
  { action: 'refuse', code: 131056, share: 0.002 },
];

/** What happens, each as likely as the others. Resolves when its harm is done; what heals later is in `healing`. */
const HARMS: readonly [name: string, harm: (world: World, healing: Promise<unknown>[]) => Promise<void>][] = [
  [
    'workers killed',
    async (world, healing) => {
      const living = world.living();
      if (living.length < 3) return;
      await world.random.pick(living).kill();
      healing.push(startWorker(world));
    },
  ],
  [
    'workers stopped by SIGTERM',
    async (world, healing) => {
      const living = world.living();
      if (living.length < 3) return;
      await world.random.pick(living).stop();
      healing.push(startWorker(world));
    },
  ],
  [
    'workers paused',
    async (world, healing) => {
      const worker = world.random.pick(world.living());
      await worker.pause();
      const ms = world.random.whole(50, 6000);
      healing.push(
        delay(ms).then(() => {
          worker.resume();
        }),
      );
      // Nobody else comes to harm meanwhile: what a stopped process had on its way is the one allowed case of F06.
      await delay(ms);
    },
  ],
  [
    'links cut',
    (world) => {
      for (const link of linksOf.get(world) ?? []) link.cut();
      return Promise.resolve();
    },
  ],
  [
    'Redis killed',
    async (world) => {
      await world.redis.kill();
      await delay(world.random.whole(0, 400));
      await world.redis.start();
    },
  ],
  [
    'Redis paused',
    async (world) => {
      world.redis.pause();
      await delay(world.random.whole(100, 2500));
      world.redis.resume();
    },
  ],
  [
    'scripts and group destroyed',
    async (world) => {
      const client = new Redis(world.redis.url, { maxRetriesPerRequest: 3 });
      try {
        await client.call('SCRIPT', 'FLUSH');
        await client.call('XGROUP', 'DESTROY', `${shardPrefix(0)}out`, WORKER_GROUP);
      } finally {
        client.disconnect();
      }
    },
  ],
];

const linksOf = new Map<World, Awaited<ReturnType<World['openLink']>>[]>();

const STARTS_MAX = 10;

/** Every second one reaches Redis over a link that can be cut. One that finds no Redis within 10 s ends and is started again. */
async function startWorker(world: World): Promise<void> {
  const links = linksOf.get(world) ?? [];
  linksOf.set(world, links);
  const via = world.workers.length % 2 === 0 ? undefined : await world.openLink();
  if (via !== undefined) links.push(via);
  for (let start = 1; ; start += 1) {
    try {
      await world.startWorker(via === undefined ? {} : { via });
      return;
    } catch (error) {
      const hasEnded = error instanceof Error && error.message.includes('QUEUE_UNAVAILABLE');
      if (!hasEnded || start === STARTS_MAX) throw error;
    }
  }
}

for (let round = 1; round <= ROUNDS; round += 1) {
  faultTest(
    `F54-${String(round).padStart(2, '0')}`,
    `everything at once, ${round} of ${ROUNDS}: workers, Redis, links, scripts and the provider fail at random under full load`,
    {
      workers: 0,
      slots: 100,
      senders: SENDERS,
      tenantConcurrency: 20,
      engine: { sendTimeoutMs: 5000, ambiguousWaitMs: 6000 },
      limits: { ratePerSecond: 400, burst: 4, concurrency: 60, pairGapMs: 10 },
      plan: { latencyMs: [5, 45], statuses: { delayMs: 150, copies: 1 }, rules: PROVIDER_FAULTS },
    },
    async (world, report) => {
      await Promise.all([startWorker(world), startWorker(world), startWorker(world)]);
      const load = world.load({ name: `r${round}`, conversations: 4000, tenants: 40 });
      const startMs = performance.now();
      const over = new AbortController();
      const said = load.run(MESSAGES, 1600).finally(() => {
        over.abort();
      });
      const harmed = new Map<string, number>();
      const healing: Promise<unknown>[] = [];
      while (!over.signal.aborted) {
        await Promise.race([said, delay(world.random.whole(300, 2500))]);
        const [name, harm] = world.random.pick(HARMS);
        harmed.set(name, (harmed.get(name) ?? 0) + 1);
        await harm(world, healing);
      }
      await said;
      await Promise.all(healing);
      report('messages/s', MESSAGES / ((performance.now() - startMs) / 1000));
      for (const [name, times] of harmed) report(name, times);
      return (verdict) => {
        report('ambiguous', verdict.ambiguous);
        expect(verdict.accepted).toBe(MESSAGES);
        linksOf.delete(world);
      };
    },
  );
}
