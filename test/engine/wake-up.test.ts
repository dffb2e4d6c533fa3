import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { SenderLimits, Settlement } from '../../src/engine/contract.ts';
import { testRedis, type TestRedis } from '../support/services.ts';
import { type Standstill, watchStandstill } from '../support/standstill.ts';
import { Bench, grants, SENT } from './support/bench.ts';

/*
 * A lost wake-up shows only when nobody else is there to hide it: one worker, one message, no other traffic.
 * A heartbeat would find what is overdue after half a second and more, so anything near that counts as lost.
 */

const LATE_MS_MAX = 400;
const EARLY_MS_MAX = 5;

let redis: TestRedis;
let bench: Bench;
let standstill: Standstill;
beforeAll(async () => {
  redis = await testRedis();
});
beforeEach(() => {
  standstill = watchStandstill(() => bench.client.ping());
});
afterEach(() => bench.close());

function expectOnTime(dueMs: number): void {
  const lateMs = (bench.ledger.at(-1)?.startMs ?? 0) - dueMs;
  expect(lateMs).toBeGreaterThanOrEqual(-EARLY_MS_MAX);
  expect(lateMs).toBeLessThan(LATE_MS_MAX + standstill.ms());
}

/** What a grant takes comes back from the grant on, by the engine's clock: the start comes later. */
function expectApart(waitMs: number): void {
  const [first = 0, second = 0] = grants(bench.ledger);
  expect(second - first).toBeGreaterThanOrEqual(waitMs - 1);
  expect(second - first).toBeLessThan(waitMs + LATE_MS_MAX + standstill.ms());
}

async function afterFirst(limits: Partial<SenderLimits>, answers: Settlement[] = []): Promise<number> {
  bench = await Bench.open(redis, limits, { ambiguousWaitMs: 300 });
  await bench.worker('w1', () => answers.shift() ?? SENT);
  await bench.accept({ conversation: 'first', contact: 'same' });
  await bench.settled(1);
  return bench.ledger[0]?.endMs ?? 0;
}

describe('No waste: woken by an event or an exact timer, a little late, never early', () => {
  it('an idle worker hears of a message at once', async () => {
    bench = await Bench.open(redis);
    await bench.worker('w1');
    for (let n = 0; n < 5; n += 1) {
      const atMs = performance.now();
      await bench.accept();
      await bench.settled(n + 1);
      expectOnTime(atMs);
    }
  });

  it('the pair gap', async () => {
    const endMs = await afterFirst({ pairGapMs: 400 });
    await bench.accept({ conversation: 'second', contact: 'same' });
    await bench.settled(2);
    expectOnTime(endMs + 400);
  });

  it('the pair bucket', async () => {
    await afterFirst({ pairBucketCapacity: 1, pairBucketRefillPerSecond: 2 });
    await bench.accept({ conversation: 'second', contact: 'same' });
    await bench.settled(2);
    expectApart(500);
  });

  it("the sender's rate", async () => {
    await afterFirst({ ratePerSecond: 2 });
    await bench.accept({ conversation: 'second' });
    await bench.settled(2);
    expectApart(500);
  });

  it("the sender's cap", async () => {
    await expectAfterRelease({ concurrency: 1 }, 1000);
  });
  it("the tenant's cap", async () => {
    await expectAfterRelease({}, 1);
  });
  it('the conversation', async () => {
    await expectAfterRelease({}, 1000, 'first');
  });
  it("the worker's slots", async () => {
    await expectAfterRelease({}, 1000, 'second', 1);
  });

  async function expectAfterRelease(
    limits: Partial<SenderLimits>,
    concurrency: number,
    conversation = 'second',
    slots = 10,
  ): Promise<void> {
    bench = await Bench.open(redis, limits);
    let release: (settlement: Settlement) => void = () => undefined;
    const answer = new Promise<Settlement>((resolve) => (release = resolve));
    await bench.worker('w1', () => answer, slots);
    await bench.accept({ conversation: 'first', limits: { concurrency } });
    await bench.started(1);
    await bench.accept({ conversation, limits: { concurrency } });
    expect(bench.ledger).toHaveLength(1);
    const atMs = performance.now();
    release(SENT);
    await bench.settled(2);
    expectOnTime(atMs);
  }

  it('a retry', async () => {
    const endMs = await afterFirst({}, [{ kind: 'retry', delayMs: 400, counted: true }]);
    await bench.settled(2);
    expectOnTime(endMs + 400);
  });

  it('a deferred message', async () => {
    const endMs = await afterFirst({}, [{ kind: 'deferred', delayMs: 400, block: false }]);
    await bench.settled(2);
    expectOnTime(endMs + 400);
  });

  it('an unknown attempt whose wait is over', async () => {
    const endMs = await afterFirst({}, [{ kind: 'unknown' }]);
    await bench.settled(2);
    expectOnTime(endMs + 300);
  });

  it('a pair limit and a number limit of the provider', async () => {
    for (const on of ['pair', 'sender-rate'] as const) {
      const brake = on === 'pair' ? ({ on, waitsMs: [400] } as const) : ({ on, waitMs: 400 } as const);
      const endMs = await afterFirst({}, [{ kind: 'retry', delayMs: 0, counted: false, brake }]);
      await bench.settled(2);
      expectOnTime(endMs + 400);
      if (on === 'pair') await bench.close();
    }
  });

  it('sendAt', async () => {
    bench = await Bench.open(redis);
    await bench.worker('w1');
    const sendAtMs = Date.now() + 400;
    const dueMs = performance.now() + (sendAtMs - Date.now());
    await bench.accept({ sendAtMs });
    await bench.settled(1);
    expectOnTime(dueMs);
  });

  it('the resumption of a sender, of a tenant, and of everything', async () => {
    bench = await Bench.open(redis);
    await bench.worker('w1');
    const ways = [
      [() => bench.queue.pauseSender('s1', 'test'), () => bench.queue.resumeSender('s1')],
      [() => bench.queue.pauseTenant('s1', 't1'), () => bench.queue.resumeTenant('s1', 't1')],
      [() => bench.queue.pauseAll(), () => bench.queue.resumeAll()],
    ] as const;
    for (const [n, [pause, resume]] of ways.entries()) {
      await pause();
      await bench.accept();
      expect(bench.ledger).toHaveLength(n);
      const atMs = performance.now();
      await resume();
      await bench.settled(n + 1);
      expectOnTime(atMs);
    }
  });

  it('a raised rate', async () => {
    bench = await Bench.open(redis, { ratePerSecond: 0.01, burst: 1 });
    await bench.worker('w1');
    await bench.accept({ conversation: 'first' });
    await bench.settled(1);
    await bench.accept({ conversation: 'second' });
    const atMs = performance.now();
    await bench.queue.configureSender({
      sender: 's1',
      shard: 0,
      ratePerSecond: 0,
      burst: 1,
      concurrency: 5,
      pairGapMs: 0,
      pairBucketCapacity: 0,
      pairBucketRefillPerSecond: 0,
    });
    await bench.settled(2);
    expectOnTime(atMs);
  });

  it('twenty retries due within 200 ms, with two workers: each on time, and few calls', async () => {
    bench = await Bench.open(redis);
    const dueMs = new Map<string, number>();
    const provider = (grant: { messageId: string; attempt: number }): Settlement => {
      if (grant.attempt > 1) return SENT;
      const delayMs = 300 + dueMs.size * 10;
      dueMs.set(grant.messageId, performance.now() + delayMs);
      return { kind: 'retry', delayMs, counted: true };
    };
    const links = [await bench.worker('w1', provider), await bench.worker('w2', provider)];
    for (let n = 0; n < 20; n += 1) await bench.accept({ conversation: `c${n}` });
    await bench.settled(40);
    for (const { grant, startMs } of bench.ledger.filter((attempt) => attempt.grant.attempt === 2)) {
      const lateMs = startMs - (dueMs.get(grant.messageId) ?? 0);
      expect(lateMs).toBeGreaterThanOrEqual(-EARLY_MS_MAX);
      expect(lateMs).toBeLessThan(LATE_MS_MAX + standstill.ms());
    }
    const calls = links.reduce((sum, link) => sum + link.runner.calls, 0) + bench.queue.runner.calls;
    expect(calls / 20).toBeLessThan(10);
  });
});
