import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Grant } from '../../src/engine/contract.ts';
import { SCRIPTS } from '../../src/engine/generated/scripts.ts';
import { OwnLeases } from '../../src/engine/own-leases.ts';
import { RedisSendQueue } from '../../src/engine/queue.ts';
import { WorkerLink } from '../../src/engine/worker-link.ts';
import { LinkProxy } from '../support/link-proxy.ts';
import { testRedis, type TestRedis } from '../support/services.ts';
import { watchStandstill } from '../support/standstill.ts';
import { Bench, FREE_SENDER, message, SENT } from './support/bench.ts';
import { Ghost } from './support/ghost.ts';

let redis: TestRedis;
const after: (() => unknown)[] = [];
beforeAll(async () => {
  redis = await testRedis();
});
afterEach(async () => {
  for (const end of after.splice(0).reverse()) await end();
});

async function openBench(): Promise<Bench> {
  const bench = await Bench.open(redis);
  after.push(() => bench.close());
  return bench;
}

/** A queue on the test's own server, whatever the other engine tests run on, and a way to it that can be broken. */
async function brokenWay(): Promise<{ queue: RedisSendQueue; proxy: LinkProxy; url: string }> {
  const queue = new RedisSendQueue({ redis: { url: redis.url, db: 1 }, shards: 1 });
  after.push(() => queue.close());
  await queue.connect();
  await queue.runner.client.call('FLUSHDB');
  await queue.configureSender(FREE_SENDER);
  const proxy = await LinkProxy.open(() => Number(new URL(redis.url).port));
  after.push(() => proxy.close());
  return { queue, proxy, url: `redis://127.0.0.1:${proxy.port}` };
}

describe('What a worker takes is marked as sending in that call', () => {
  it('taken by a call whose reply was lost, it goes again at once, as the same attempt, and never was unknown', async () => {
    const { queue, proxy, url } = await brokenWay();
    for (const conversation of ['c1', 'c2', 'c3']) await queue.accept(message({ conversation }));
    const sent: Grant[] = [];
    let done: () => void = () => undefined;
    const allSent = new Promise<void>((resolve) => (done = resolve));
    let room = 0;
    const link = new WorkerLink({
      redis: { url, db: 1 },
      shard: 0,
      worker: 'w1',
      slots: () => room,
      onGrants: (grants) => {
        void link.begin(grants[0]?.entry ?? '').then(async (begun) => {
          expect(begun).toBe(true);
          sent.push(...grants);
          await Promise.all(grants.map((grant) => link.settle({ grant, settlement: SENT, report: null })));
          if (sent.length >= 3) done();
        });
      },
    });
    after.push(() => link.close());
    await link.start();
    const lost = proxy.loseReplyOf(SCRIPTS.exchange.sha1);
    room = 10;
    link.takeMore();
    await lost;
    expect(await queue.counters()).toMatchObject({ inFlight: 3 });
    const standstill = watchStandstill(() => queue.runner.client.ping());
    const lostAtMs = performance.now();
    await allSent;
    expect(performance.now() - lostAtMs).toBeLessThan(3000 + standstill.ms());
    expect(sent.map(({ attempt }) => attempt)).toEqual([1, 1, 1]);
    expect(await queue.counters()).toMatchObject({ accepted: 3, sent: 3, inFlight: 0, unknown: 0, queued: 0 });
  });

  it('an outcome that had to be told again is no late one, and counts once', async () => {
    const { queue, proxy, url } = await brokenWay();
    const [grant, link] = await new Promise<[Grant | undefined, WorkerLink]>((resolve, reject) => {
      const made: WorkerLink = new WorkerLink({
        redis: { url, db: 1 },
        shard: 0,
        worker: 'w1',
        slots: 1,
        onGrants: ([first]) => {
          resolve([first, made]);
        },
      });
      after.push(() => made.close());
      made
        .start()
        .then(() => queue.accept(message()))
        .catch(reject);
    });
    if (grant === undefined) throw new Error('nothing was handed over');
    expect(await link.begin(grant.entry)).toBe(true);
    const lost = proxy.loseReplyOf(SCRIPTS.exchange.sha1);
    const told = link.settle({ grant, settlement: SENT, report: null });
    await lost;
    expect(await told).toBe('repeated');
    expect(await queue.counters()).toMatchObject({ accepted: 1, sent: 1, inFlight: 0, unknown: 0 });
    // That it comes late is said only where nothing was lost.
    expect(await link.settle({ grant, settlement: SENT, report: null })).toBe('stale');
  });

  it('S10 · a worker that leaves right after a reply was lost gives back what that would have brought', async () => {
    const { queue, proxy, url } = await brokenWay();
    for (const conversation of ['c1', 'c2', 'c3']) await queue.accept(message({ conversation }));
    let room = 0;
    const link = new WorkerLink({
      redis: { url, db: 1 },
      shard: 0,
      worker: 'w1',
      slots: () => room,
      onGrants: vi.fn(),
    });
    after.push(() => link.close());
    await link.start();
    const lost = proxy.loseReplyOf(SCRIPTS.exchange.sha1);
    room = 10;
    link.takeMore();
    await lost;
    await link.close();
    expect(await queue.counters()).toMatchObject({ queued: 3, inFlight: 0, unknown: 0 });
  });

  it('what cannot begin within its time is not sent, and goes again when it is given back', async () => {
    const bench = await openBench();
    await bench.accept();
    const begun: boolean[] = [];
    let room = 0;
    let done: () => void = () => undefined;
    const settled = new Promise<void>((resolve) => (done = resolve));
    const link = new WorkerLink({
      redis: bench.target,
      shard: 0,
      worker: 'w1',
      slots: () => room,
      onGrants: ([grant]) => {
        if (grant === undefined) return;
        // The process stands still between the reply and the first byte, longer than any limit allows.
        const fromMs = performance.now();
        while (begun.length === 0 && performance.now() - fromMs < 2100);
        void link.begin(grant.entry).then(async (isBegun) => {
          begun.push(isBegun);
          await link.settle({ grant, settlement: isBegun ? SENT : { kind: 'unstarted' }, report: null });
          if (isBegun) done();
        });
      },
    });
    bench.links.push(link);
    await link.start();
    room = 1;
    link.takeMore();
    await settled;
    expect(begun).toEqual([false, true]);
    expect(await bench.queue.counters()).toMatchObject({ sent: 1, inFlight: 0, unknown: 0 });
  });

  /** A worker that has asked for five messages, and has no answer yet. */
  async function asked(): Promise<{ bench: Bench; link: WorkerLink; handed: Grant[] }> {
    const bench = await openBench();
    for (let n = 0; n < 5; n += 1) await bench.accept({ conversation: `c${n}` });
    const handed: Grant[] = [];
    // Without room at first: what came through the mailbox would be in its hands before it asked.
    let room = 0;
    const link = new WorkerLink({
      redis: bench.target,
      shard: 0,
      worker: 'w1',
      slots: () => room,
      onGrants: (grants) => handed.push(...grants),
    });
    bench.links.push(link);
    await link.start();
    room = 10;
    link.takeMore();
    const before = link.runner.calls;
    while (link.runner.calls === before) await new Promise((resolve) => setImmediate(resolve));
    expect(handed).toEqual([]);
    return { bench, link, handed };
  }

  it('S10 · a worker that leaves while its call is under way gives back what that brings', async () => {
    const { bench, link, handed } = await asked();
    await link.close();
    expect(handed).toEqual([]);
    expect(await bench.queue.counters()).toMatchObject({ queued: 5, inFlight: 0, unknown: 0 });
    await bench.worker('w2');
    await bench.settled(5);
    expect(bench.ledger.map(({ grant }) => grant.attempt)).toEqual([1, 1, 1, 1, 1]);
  });

  it('a worker that stops taking has everything that it had asked for when it says so, and asks for no more', async () => {
    const { bench, link, handed } = await asked();
    await link.stopTaking();
    expect(handed).toHaveLength(5);
    await bench.accept({ conversation: 'later' });
    await Promise.all(handed.map((grant) => link.settle({ grant, settlement: SENT, report: null })));
    expect(handed).toHaveLength(5);
    expect(await bench.queue.counters()).toMatchObject({ sent: 5, queued: 1, inFlight: 0 });
  });
});

describe('What stands under a worker’s name', () => {
  const nothing = (): boolean => false;

  it('is told apart by the call that took it: unheard of only when that call was lost, in the last minute', async () => {
    const bench = await openBench();
    const ghost = new Ghost(bench, 'w1');
    const entries: string[] = [];
    for (const call of [7, 8]) {
      await bench.accept({ conversation: `c${call}` });
      entries.push((await ghost.take(1, call))[0]?.entry ?? '');
    }
    const leases = new OwnLeases(bench.queue.runner, 0, 'w1');
    expect(await leases.unheard(nothing)).toEqual([]);
    leases.lost(7);
    leases.lost(9);
    expect(await leases.unheard(nothing)).toEqual([entries[0]]);
    expect(await leases.unheard((entry) => entry === entries[0])).toEqual([]);
    expect(await leases.disowned(nothing)).toEqual([]);
    expect(await leases.disowned(nothing)).toEqual(entries);
    const laterMs = performance.now() + 60_001;
    const clock = vi.spyOn(performance, 'now').mockReturnValue(laterMs);
    after.push(() => {
      clock.mockRestore();
    });
    expect(await leases.unheard(nothing)).toEqual([]);
  });

  it('is looked for a minute from the first look on: while Redis is away, no time passes', async () => {
    const bench = await openBench();
    await bench.accept();
    const [grant] = await new Ghost(bench, 'w1').take(1, 7);
    const leases = new OwnLeases(bench.queue.runner, 0, 'w1');
    leases.lost(7);
    const backAtMs = performance.now() + 600_000;
    const clock = vi.spyOn(performance, 'now').mockReturnValue(backAtMs);
    after.push(() => {
      clock.mockRestore();
    });
    expect(await leases.unheard(nothing)).toEqual([grant?.entry]);
  });

  it('is looked through to its end, however much of it is in work', async () => {
    const bench = await openBench();
    const ghost = new Ghost(bench, 'w1');
    const entries: string[] = [];
    for (let n = 0; n < 130; n += 1) {
      await bench.accept({ conversation: `c${n}` });
      entries.push((await ghost.take(1, n))[0]?.entry ?? '');
    }
    const leases = new OwnLeases(bench.queue.runner, 0, 'w1');
    leases.lost(129);
    expect(await leases.unheard((entry) => entry !== entries[129])).toEqual([entries[129]]);
  });
});
