import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { eventually, testRedis, type TestRedis } from '../support/services.ts';
import { Bench, FAILURE, SENT } from './support/bench.ts';

let redis: TestRedis;
let bench: Bench;
beforeAll(async () => {
  redis = await testRedis();
});
afterEach(() => bench.close());

describe('Retries', () => {
  it('S5 · a failed attempt goes again after its delay, numbered and counted, until it is sent', async () => {
    bench = await Bench.open(redis);
    const delays = [80, 160];
    await bench.worker('w1', () => {
      const delayMs = delays.shift();
      return delayMs === undefined ? SENT : { kind: 'retry', delayMs, counted: true };
    });
    await bench.accept();
    await bench.settled(3);
    expect(bench.ledger.map(({ grant }) => [grant.attempt, grant.counted])).toEqual([
      [1, 0],
      [2, 1],
      [3, 2],
    ]);
    const waits = bench.ledger.slice(1).map(({ startMs }, n) => startMs - (bench.ledger[n]?.endMs ?? 0));
    expect(waits[0]).toBeGreaterThanOrEqual(80 - 5);
    expect(waits[1]).toBeGreaterThanOrEqual(160 - 5);
  });

  it('S5 · what no limit counts has a number of its own and burns nothing', async () => {
    bench = await Bench.open(redis);
    let left = 3;
    await bench.worker('w1', () => (left-- > 0 ? { kind: 'retry', delayMs: 0, counted: false } : SENT));
    await bench.accept();
    await bench.settled(4);
    expect(bench.ledger.map(({ grant }) => [grant.attempt, grant.counted])).toEqual([1, 2, 3, 4].map((n) => [n, 0]));
  });

  it('S5 · a definite failure ends the message, and its conversation goes on', async () => {
    bench = await Bench.open(redis);
    const bad = await bench.accept();
    const good = await bench.accept();
    await bench.worker('w1', (grant) => (grant.messageId === bad.id ? { kind: 'failed', error: FAILURE } : SENT));
    await bench.settled(2);
    expect(bench.ids()).toEqual([bad.id, good.id]);
    expect(await bench.queue.counters()).toMatchObject({ accepted: 2, failed: 1, sent: 1 });
  });

  it('S5 · a deferred message lets its conversation go on, and joins its end again', async () => {
    bench = await Bench.open(redis);
    const first = await bench.accept();
    const second = await bench.accept();
    let isFirst = true;
    await bench.worker('w1', (grant) => {
      if (grant.messageId !== first.id || !isFirst) return SENT;
      isFirst = false;
      return { kind: 'deferred', delayMs: 60_000, block: false };
    });
    await bench.settled(2);
    expect(await bench.queue.counters()).toMatchObject({ deferred: 1 });
    const target = { id: first.id, shard: 0, lane: first.lane };
    await bench.queue.retries.hasten(target, { attempts: 1, slowRetries: 1 });
    await bench.settled(3);
    expect(bench.ids()).toEqual([first.id, second.id, first.id]);
    expect(bench.ledger[2]?.grant).toMatchObject({ attempt: 2, counted: 1, deferrals: 1 });
  });

  it('S5 · with block, a deferred message holds its conversation', async () => {
    bench = await Bench.open(redis);
    const first = await bench.accept();
    const second = await bench.accept();
    let isFirst = true;
    await bench.worker('w1', () => {
      if (!isFirst) return SENT;
      isFirst = false;
      return { kind: 'deferred', delayMs: 200, block: true };
    });
    await bench.settled(3);
    expect(bench.ids()).toEqual([first.id, first.id, second.id]);
  });

  it('R3 · no pending entry is left over, whatever the outcomes were', async () => {
    bench = await Bench.open(redis);
    const outcomes = [
      SENT,
      { kind: 'failed', error: FAILURE },
      { kind: 'retry', delayMs: 10, counted: true },
      { kind: 'deferred', delayMs: 10, block: false },
      { kind: 'unstarted' },
    ] as const;
    let n = 0;
    await bench.worker('w1', () => outcomes[n++ % outcomes.length] ?? SENT);
    for (let m = 0; m < 30; m += 1) await bench.accept({ conversation: `c${m % 7}` });
    await eventually(async () => {
      const { accepted, sent, failed } = await bench.queue.counters();
      return accepted === 30 && sent + failed === 30;
    });
    const [pending] = (await bench.client.xpending('{wx:0}out', 'wa_workers')) as [number];
    expect(pending).toBe(0);
    expect(await bench.client.xlen('{wx:0}out')).toBe(0);
    expect(await bench.client.hlen('{wx:0}le')).toBe(0);
    expect(await bench.client.exists('{wx:0}f')).toBe(0);
  });

  it('R3 · acknowledged and deleted before a retry waits: nothing is pending while it is held', async () => {
    bench = await Bench.open(redis);
    await bench.worker('w1', () => ({ kind: 'retry', delayMs: 60_000, counted: true }));
    await bench.accept();
    await bench.settled(1);
    expect(await bench.client.xlen('{wx:0}out')).toBe(0);
    expect(await bench.client.hget('{wx:0}wf', 'w1')).toBeNull();
  });
});
