import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Settlement } from '../../src/engine/contract.ts';
import { eventually, testRedis, type TestRedis } from '../support/services.ts';
import { watchStandstill } from '../support/standstill.ts';
import { Bench, SENT, slow } from './support/bench.ts';
import { Ghost } from './support/ghost.ts';

let redis: TestRedis;
let bench: Bench;
beforeAll(async () => {
  redis = await testRedis();
});
afterEach(() => bench.close());

const UNKNOWN: Settlement = { kind: 'unknown' };
const status = (messageId: string) => ({
  messageId,
  attempt: 1,
  providerMessageId: 'wamid.proof',
  status: 'delivered',
  providerAtMs: Date.now(),
  error: null,
});
const counters = () => bench.queue.counters();

describe('At least once, duplicates bounded', () => {
  it('a status settles an unknown attempt as sent, and the conversation goes on without a second attempt', async () => {
    bench = await Bench.open(redis, {}, { ambiguousWaitMs: 60_000 });
    const first = await bench.accept();
    const second = await bench.accept();
    await bench.worker('w1', (grant) => (grant.messageId === first.id ? UNKNOWN : SENT));
    await bench.settled(1);
    expect(await counters()).toMatchObject({ unknown: 1, queued: 1 });
    const outcome = bench.queue.waitForOutcome(first.id, 5000);
    await bench.queue.statuses([status(first.id)]);
    expect(await outcome).toBe('sent');
    await bench.settled(2);
    expect(bench.ids()).toEqual([first.id, second.id]);
  });

  it('a status that comes after the wait settles it too, as long as it has not gone again', async () => {
    for (const retried of [false, true]) {
      bench = await Bench.open(redis, {}, { ambiguousWaitMs: 50 });
      const first = await bench.accept();
      const second = await bench.accept();
      await bench.worker('w1', async (grant) => {
        if (grant.messageId !== first.id) return SENT;
        if (!retried) await bench.queue.pauseSender('s1', 'a person');
        return grant.attempt === 1 ? UNKNOWN : { kind: 'retry', delayMs: 60_000, counted: true };
      });
      // The second attempt certainly failed, the first may still have been taken.
      await bench.settled(retried ? 2 : 1);
      await eventually(async () => (await counters()).unknown === 0);
      expect(await counters()).toMatchObject({ queued: 2, sent: 0 });
      const outcome = bench.queue.waitForOutcome(first.id, 5000);
      // A repeated status changes nothing: the counters at the end would show it.
      for (let n = 0; n < 2; n += 1) await bench.queue.statuses([status(first.id)]);
      expect(await outcome).toBe('sent');
      await bench.queue.resumeSender('s1');
      await bench.settled(retried ? 3 : 2);
      expect(bench.ids()).toEqual(retried ? [first.id, first.id, second.id] : [first.id, second.id]);
      expect(await counters()).toMatchObject({ queued: 0, sent: 2 });
      if (!retried) await bench.close();
    }
  });

  it('without evidence it is sent once more after the wait, and is held for a person when that too is unknown', async () => {
    bench = await Bench.open(redis, {}, { ambiguousWaitMs: 150 });
    const first = await bench.accept();
    const next = await bench.accept();
    await bench.worker('w1', (grant) => (grant.messageId === first.id ? UNKNOWN : SENT));
    await bench.settled(3);
    expect(bench.ids()).toEqual([first.id, first.id, next.id]);
    expect((bench.ledger[1]?.startMs ?? 0) - (bench.ledger[0]?.endMs ?? 0)).toBeGreaterThanOrEqual(150 - 5);
    await eventually(async () => (await counters()).held === 1);
    expect(await bench.queue.place({ ...first, seq: 1 })).toMatchObject({ status: 'unknown' });
    expect(await bench.queue.cancel({ ...first, seq: 1 })).toBe('in-flight');
  });

  it('F25 · a living worker gives up what stands under its name and what it knows nothing of, and keeps what it is sending', async () => {
    const engine = { claimIdleMs: 300, sendTimeoutMs: 100, ambiguousWaitMs: 50 };
    bench = await Bench.open(redis, {}, engine);
    const forgotten = await bench.accept({ conversation: 'c1' });
    // What a replica that lagged has kept: begun by w1, and not that w1 had settled it.
    const ghost = new Ghost(bench, 'w1', engine);
    await ghost.take(1);
    await bench.worker('w1', slow(2500));
    const kept = await bench.accept({ conversation: 'c2' });
    await eventually(() => bench.ids().includes(forgotten.id), { timeoutMs: 10_000, what: 'the forgotten one to go' });
    await bench.settled(2);
    expect(bench.ids().sort()).toEqual([forgotten.id, kept.id].sort());
    expect(await counters()).toMatchObject({ sent: 2, unknown: 0, held: 0, inFlight: 0 });
  });

  describe('Of an attempt whose wait ends while nobody reaches the queue, or right after', () => {
    const WAIT_MS = 10_000;
    const AWAY_MS = 9000;
    let nowMs = Date.now();
    /** What a process with a timer does. */
    const tick = async (afterMs: number) => {
      nowMs += afterMs;
      await bench.queue.runner.run('tick', 0, [WAIT_MS, 0]);
    };
    /** 1 s before the end of its wait the queue is back. */
    async function unknownAndAway(): Promise<string> {
      bench = await Bench.open(redis, {}, { ambiguousWaitMs: WAIT_MS, sendTimeoutMs: 0, clock: () => nowMs });
      const { id } = await bench.accept();
      await new Ghost(bench, 'killed').take(1);
      await bench.queue.runner.run('reclaim', 0, ['killed', '1', WAIT_MS, 'resend', 0]);
      await tick(1000);
      await tick(AWAY_MS);
      expect(await counters()).toMatchObject({ unknown: 1 });
      return id;
    }

    it('the outcome can still be told for as long as the queue was away, and a little longer', async () => {
      const id = await unknownAndAway();
      await tick(1500);
      await tick(1500);
      expect(await counters()).toMatchObject({ unknown: 1 });
      await bench.queue.statuses([status(id)]);
      expect(await counters()).toMatchObject({ unknown: 0, sent: 1 });
    });

    it('no more than its whole wait is waited once more', async () => {
      await unknownAndAway();
      for (let ms = 0; ms < WAIT_MS - 1500; ms += 1500) await tick(1500);
      expect(await counters()).toMatchObject({ unknown: 1 });
      await tick(1500);
      expect(await counters()).toMatchObject({ unknown: 0, queued: 1 });
    });
  });

  it('a status still settles what is held for a person', async () => {
    bench = await Bench.open(redis, {}, { ambiguousWaitMs: 10, onAmbiguous: 'hold' });
    const first = await bench.accept();
    await bench.worker('w1', () => UNKNOWN);
    await bench.settled(1);
    await eventually(async () => (await counters()).held === 1);
    await bench.queue.statuses([status(first.id)]);
    expect(await counters()).toMatchObject({ held: 0, sent: 1 });
    expect(bench.ledger).toHaveLength(1);
  });

  it('ON_AMBIGUOUS=hold never sends again; its conversation goes on after the wait', async () => {
    bench = await Bench.open(redis, {}, { ambiguousWaitMs: 100, onAmbiguous: 'hold' });
    const first = await bench.accept();
    const next = await bench.accept();
    await bench.worker('w1', (grant) => (grant.messageId === first.id ? UNKNOWN : SENT));
    await bench.settled(2);
    expect(bench.ids()).toEqual([first.id, next.id]);
  });

  it('ON_AMBIGUOUS=resend sends again at once', async () => {
    bench = await Bench.open(redis, {}, { ambiguousWaitMs: 60_000, onAmbiguous: 'resend' });
    let isFirst = true;
    await bench.worker('w1', () => {
      if (!isFirst) return SENT;
      isFirst = false;
      return UNKNOWN;
    });
    const one = await bench.accept();
    await bench.settled(2);
    expect(bench.ids()).toEqual([one.id, one.id]);
  });

  it('a status of a message that is settled, or that nobody knows, changes nothing but the log', async () => {
    bench = await Bench.open(redis);
    await bench.worker('w1');
    const one = await bench.accept();
    await bench.settled(1);
    const before = await counters();
    await bench.queue.statuses([status(one.id), status(''), status('00000000-0000-7000-8000-000000000000')]);
    expect(await counters()).toEqual(before);
  });

  it('what a crashed worker had taken is unknown: its caps stay taken for as long as it could be sending', async () => {
    const engine = { ambiguousWaitMs: 1500, sendTimeoutMs: 1500 };
    bench = await Bench.open(redis, {}, engine);
    const one = await bench.accept({ limits: { concurrency: 1 } });
    const other = await bench.accept({ conversation: 'c2', limits: { concurrency: 1 } });
    const ghost = new Ghost(bench, 'ghost', engine);
    const livedMs = performance.now();
    await ghost.take(1);
    await bench.worker('w1');
    await eventually(async () => (await counters()).unknown === 1, { timeoutMs: 15_000 });
    await bench.settled(2, 15_000);
    expect(bench.ids().sort()).toEqual([one.id, other.id].sort());
    expect((bench.ledger[0]?.startMs ?? 0) - livedMs).toBeGreaterThan(4000 + 1500 - 600);
    expect(bench.ledger.find(({ grant }) => grant.messageId === one.id)?.grant.attempt).toBe(2);
  });

  it('what a crashed worker had not begun runs again within 5 s, as the same attempt', async () => {
    bench = await Bench.open(redis);
    const ghost = new Ghost(bench, 'ghost');
    await ghost.wait(1);
    const one = await bench.accept();
    expect(await ghost.received()).toHaveLength(1);
    const standstill = watchStandstill(() => bench.client.ping());
    const startMs = performance.now();
    await bench.worker('w1');
    await bench.settled(1, 15_000);
    expect(performance.now() - startMs).toBeLessThan(5000 + standstill.ms());
    expect(bench.ledger[0]?.grant).toMatchObject({ messageId: one.id, attempt: 1 });
    expect(await counters()).toMatchObject({ sent: 1, unknown: 0 });
  });

  it('a worker that wakes late changes nothing but evidence', async () => {
    const engine = { ambiguousWaitMs: 60_000, sendTimeoutMs: 200 };
    bench = await Bench.open(redis, {}, engine);
    const one = await bench.accept();
    const ghost = new Ghost(bench, 'ghost', engine);
    const [grant] = await ghost.take(1);
    if (grant === undefined) throw new Error('nothing was handed over');
    const link = await bench.worker('w1');
    await eventually(async () => (await counters()).unknown === 1, { timeoutMs: 15_000 });
    expect(await link.settle({ grant, settlement: { kind: 'retry', delayMs: 0, counted: true }, report: null })).toBe(
      'stale',
    );
    expect(await counters()).toMatchObject({ unknown: 1 });
    expect(await link.settle({ grant, settlement: SENT, report: null })).toBe('evidence');
    expect(await link.settle({ grant, settlement: SENT, report: null })).toBe('stale');
    expect(await counters()).toMatchObject({ accepted: 1, sent: 1 });
    expect(bench.ids()).not.toContain(one.id);
  });
});
