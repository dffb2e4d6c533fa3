import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { NewMessage, Settlement } from '../../src/engine/contract.ts';
import { auditShard } from '../../src/engine/audit.ts';
import type { ReturningMessage } from '../../src/engine/retry-desk.ts';
import { eventually, testRedis, type TestRedis } from '../support/services.ts';
import { Bench, FAILURE, message, SENT } from './support/bench.ts';

let redis: TestRedis;
let bench: Bench;
beforeAll(async () => {
  redis = await testRedis();
});
afterEach(async () => {
  expect(await auditShard(bench.client, 0)).toEqual([]);
  await bench.close();
});

const FAILED: Settlement = { kind: 'failed', error: FAILURE };
const BY = { cause: 'person', by: 'ada', delayMs: 0 } as const;
const counters = () => bench.queue.counters();
const returning = (one: NewMessage, attempts: number, more: Partial<ReturningMessage> = {}): ReturningMessage => ({
  id: one.id,
  shard: 0,
  lane: one.lane,
  contact: one.contact,
  priority: one.priority,
  expiresAtMs: null,
  body: one.body,
  attempts,
  tenantLimits: one.tenantLimits,
  ...more,
});

describe('A message that comes back', () => {
  it('S12 · a redrive of a failed message is a new attempt of it, with a fresh schedule', async () => {
    bench = await Bench.open(redis);
    let isFirst = true;
    await bench.worker('w1', () => {
      if (!isFirst) return SENT;
      isFirst = false;
      return FAILED;
    });
    const one = await bench.accept();
    await bench.settled(1);
    expect(await bench.queue.retries.redrive(returning(one, 1), 'failed', BY)).toBe('done');
    await bench.settled(2);
    expect(bench.ledger[1]?.grant).toMatchObject({ messageId: one.id, attempt: 2, counted: 0, deferrals: 0 });
    expect(bench.ledger[1]?.grant.body).toBe(one.body);
    expect(await counters()).toMatchObject({ accepted: 1, sent: 1, failed: 0, deferred: 0, queued: 0 });
  });

  it('S12 · twenty processes that redrive the same message at once send it once', async () => {
    bench = await Bench.open(redis);
    await bench.worker('w1', (grant) => (grant.attempt === 1 ? FAILED : SENT));
    const one = await bench.accept();
    await bench.settled(1);
    const all = Array.from({ length: 20 }, () => bench.queue.retries.redrive(returning(one, 1), 'failed', BY));
    expect((await Promise.all(all)).filter((result) => result === 'done')).toHaveLength(1);
    await bench.settled(2);
    // Also later, from a record that was read before: its number of attempts is taken.
    expect(await bench.queue.retries.redrive(returning(one, 1), 'failed', BY)).toBe('not-there');
    expect(await counters()).toMatchObject({ accepted: 1, sent: 1 });
    expect(bench.ledger).toHaveLength(2);
  });

  it('S12 · waits its time, never less, and keeps the pace of its pair', async () => {
    bench = await Bench.open(redis, { pairGapMs: 300 });
    await bench.worker('w1', (grant) => (grant.attempt === 1 ? FAILED : SENT));
    const one = await bench.accept();
    await bench.settled(1);
    const fromMs = performance.now();
    expect(await bench.queue.retries.redrive(returning(one, 1), 'sent', { ...BY, delayMs: 150 })).toBe('done');
    await bench.settled(2);
    const [first, second] = bench.ledger;
    expect((second?.startMs ?? 0) - fromMs).toBeGreaterThanOrEqual(150 - 5);
    expect((second?.startMs ?? 0) - (first?.endMs ?? 0)).toBeGreaterThanOrEqual(300 - 5);
    // This one had been counted as failed; whoever calls says what it was, so the sum stays right.
    expect(await counters()).toMatchObject({ accepted: 1, sent: 0, failed: 1 });
    expect(await bench.queue.retries.redrive(returning(one, 2), 'sent', { ...BY, delayMs: 60_000 })).toBe('done');
    expect(await bench.queue.place({ ...one, seq: 1 })).toMatchObject({ status: 'deferred', attempts: 2 });
  });

  it('S12 · is refused when it has expired or the backlog is full, and nothing changes', async () => {
    bench = await Bench.open(redis);
    await bench.worker('w1', () => FAILED);
    const one = await bench.accept();
    await bench.settled(1);
    const { retries } = bench.queue;
    expect(await retries.redrive(returning(one, 1, { expiresAtMs: Date.now() - 1 }), 'failed', BY)).toBe('expired');
    const tenantLimits = { concurrency: 1, weight: 1, backlogMax: 0 };
    expect(await retries.redrive(returning(one, 1, { tenantLimits }), 'failed', BY)).toBe('backlog-full');
    const stranger = { ...one.lane, sender: 'nobody' };
    expect(await retries.redrive(returning(one, 1, { lane: stranger }), 'failed', BY)).toBe('unknown-sender');
    expect(await counters()).toMatchObject({ accepted: 1, failed: 1 });
  });

  it('S12 · that expires while it waits ends as expired', async () => {
    bench = await Bench.open(redis);
    await bench.worker('w1', (grant) => (grant.attempt === 1 ? FAILED : SENT));
    const one = await bench.accept();
    await bench.settled(1);
    // On a busy machine it may have expired before it is asked for, which changes nothing.
    for (let aheadMs = 150; ; aheadMs *= 4) {
      const back = returning(one, 1, { expiresAtMs: Date.now() + aheadMs });
      const result = await bench.queue.retries.redrive(back, 'failed', { ...BY, delayMs: 60_000 });
      if (result === 'done') break;
      expect(result).toBe('expired');
    }
    await eventually(async () => (await counters()).expired === 1);
    expect(await counters()).toMatchObject({ accepted: 1, expired: 1, deferred: 0 });
  });

  it('F6 · a failure that was logged waits for its slow retry with the attempts that were made elsewhere', async () => {
    bench = await Bench.open(redis);
    await bench.worker('w1');
    const one = message();
    const failure = { error: FAILURE, slowRetries: 1, delayMs: 60_000 };
    expect(await bench.queue.retries.log(returning(one, 2), failure)).toBe('done');
    expect(await bench.queue.retries.log(returning(one, 2), failure)).toBe('not-there');
    expect(await counters()).toMatchObject({ accepted: 1, deferred: 1 });
    expect(
      await bench.queue.retries.hasten({ id: one.id, shard: 0, lane: one.lane }, { attempts: 0, slowRetries: 2 }),
    ).toBe('done');
    await bench.settled(1);
    expect(bench.ledger[0]?.grant).toMatchObject({ messageId: one.id, attempt: 3, deferrals: 2 });
    const spent = message();
    expect(await bench.queue.retries.log(returning(spent, 6), { ...failure, delayMs: null })).toBe('done');
    expect(await bench.queue.retries.log(returning(spent, 6), { ...failure, delayMs: null })).toBe('not-there');
    expect(await counters()).toMatchObject({ accepted: 2, sent: 1, failed: 1 });
    // The record knows less of its attempts: those were made elsewhere.
    expect(await bench.queue.retries.redrive(returning(spent, 1), 'failed', BY)).toBe('done');
    expect(await bench.queue.retries.redrive(returning(spent, 1), 'failed', BY)).toBe('not-there');
    await bench.settled(2);
    expect(await counters()).toMatchObject({ accepted: 2, sent: 2, failed: 0 });
  });

  it('F6 · one that was logged and that Redis has lost is repaired', async () => {
    bench = await Bench.open(redis);
    await bench.worker('w1');
    const one = message();
    const failure = { error: FAILURE, slowRetries: 0, delayMs: 60_000 };
    expect(await bench.queue.retries.log(returning(one, 1), failure)).toBe('done');
    // As when its disk went back to before: the message is gone, what came later is there.
    await bench.client.hdel('{wx:0}sch', one.id);
    await bench.client.zrem('{wx:0}tm', `d:${one.id}`);
    await bench.client.hincrby('{wx:0}n', 'accepted', -1);
    await bench.client.hincrby('{wx:0}n', 'deferred', -1);
    const repair = { cause: 'repair', by: 'waxwing', delayMs: 0 } as const;
    expect(await bench.queue.retries.redrive(returning(one, 1), 'lost', repair, 1)).toBe('done');
    await bench.settled(1);
    expect(bench.ids()).toEqual([one.id]);
  });
});

describe('A message that waits', () => {
  it.each([false, true])('F6 · is hastened once, whoever asks (in its place: %s)', async (block) => {
    bench = await Bench.open(redis);
    await bench.worker('w1', (grant) => (grant.attempt === 1 ? { kind: 'deferred', delayMs: 60_000, block } : SENT));
    const one = await bench.accept();
    await eventually(async () => (await counters()).deferred === 1);
    const target = { id: one.id, shard: 0, lane: one.lane };
    const results = await Promise.all(
      [1, 2, 3].map(() => bench.queue.retries.hasten(target, { attempts: 1, slowRetries: 1 })),
    );
    expect(results.filter((result) => result === 'done')).toHaveLength(1);
    await bench.settled(2);
    expect(bench.ledger).toHaveLength(2);
  });

  it.each([false, true])(
    'F5 · is not hastened for a caller that has not heard of its last attempt (in its place: %s)',
    async (block) => {
      bench = await Bench.open(redis);
      // The second answer asks for a pause of a day; the record still has the first one's minute.
      await bench.worker('w1', (grant) => {
        const delayMs = grant.attempt === 1 ? 60_000 : 86_400_000;
        return { kind: 'deferred', delayMs, block, asked: grant.attempt > 1 };
      });
      const one = await bench.accept();
      await eventually(async () => (await counters()).deferred === 1);
      const target = { id: one.id, shard: 0, lane: one.lane };
      const { retries } = bench.queue;
      expect(await retries.hasten(target, { attempts: 1, slowRetries: 1 })).toBe('done');
      await bench.settled(2);
      expect(await retries.hasten(target, { attempts: 1, slowRetries: 1 })).toBe('not-there');
      // A count that a report has raised hides nothing.
      expect(await retries.hasten(target, { attempts: 1, slowRetries: 5 })).toBe('not-there');
      expect(await retries.hasten(target, { attempts: 0, slowRetries: 1 })).toBe('not-there');
      expect(bench.ledger).toHaveLength(2);
      // Whoever knows of it decides himself.
      expect(await retries.hasten(target, { attempts: 2, slowRetries: 2 })).toBe('done');
      await bench.settled(3);
    },
  );

  it('F6 · is found with its time, and let go when the record proves that it was sent', async () => {
    bench = await Bench.open(redis);
    await bench.worker('w1', () => ({ kind: 'deferred', delayMs: 60_000, block: false }));
    const beforeMs = Date.now();
    const one = await bench.accept();
    await eventually(async () => (await counters()).deferred === 1);
    const found = [];
    for await (const part of bench.queue.retries.waiting()) found.push(...part);
    expect(found).toMatchObject([{ id: one.id, shard: 0 }]);
    expect(found[0]?.dueAtMs).toBeGreaterThanOrEqual(beforeMs + 60_000);
    expect(found[0]?.dueAtMs).toBeLessThanOrEqual(Date.now() + 60_001);
    expect([...(await bench.queue.retries.parked(0, [one.id, 'other']))]).toEqual([one.id]);
    expect(await bench.queue.retries.settled({ id: one.id, shard: 0, lane: one.lane })).toBe('done');
    expect(await bench.queue.retries.settled({ id: one.id, shard: 0, lane: one.lane })).toBe('not-there');
    expect(await counters()).toMatchObject({ accepted: 1, sent: 1, deferred: 0 });
  });

  it('S12 · for a person is resent or closed by one, once', async () => {
    bench = await Bench.open(redis, {}, { ambiguousWaitMs: 1, onAmbiguous: 'hold' });
    await bench.worker('w1', (grant) => (grant.attempt === 1 ? { kind: 'unknown' } : SENT));
    const [one, two] = [await bench.accept({ conversation: 'a' }), await bench.accept({ conversation: 'b' })];
    await eventually(async () => (await counters()).held === 2);
    const { retries } = bench.queue;
    const target = ({ id, lane }: NewMessage) => ({ id, lane, shard: 0 });
    expect(await retries.resend(target(one), 'ada')).toBe('done');
    expect(await retries.resend(target(one), 'ada')).toBe('not-there');
    expect(await retries.close(target(two), 'ada', FAILURE)).toBe('done');
    expect(await retries.close(target(two), 'ada', FAILURE)).toBe('not-there');
    await eventually(async () => (await counters()).sent === 1);
    expect(await counters()).toMatchObject({ accepted: 2, sent: 1, failed: 1, held: 0, unknown: 0 });
    expect(bench.ids().filter((id) => id === two.id)).toHaveLength(1);
  });

  it("F6 · a pair's limit is cleared: what waited for it goes at once", async () => {
    bench = await Bench.open(redis, { pairGapMs: 60_000 });
    await bench.worker('w1');
    const one = await bench.accept();
    await bench.accept();
    await bench.settled(1);
    await bench.queue.clearPairLimit('s1', one.contact);
    await bench.settled(2);
  });
});
