import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { testRedis, type TestRedis } from '../support/services.ts';
import { watchStandstill } from '../support/standstill.ts';
import {
  Bench,
  FREE_SENDER,
  grants,
  message,
  mostAtOnce,
  mostGrants,
  type Provider,
  SENT,
  slow,
} from './support/bench.ts';

let redis: TestRedis;
let bench: Bench;
beforeAll(async () => {
  redis = await testRedis();
});
afterEach(() => bench.close());

/** A token that was waited for counts from when it was due, if the timer was no later than this; and whole ms. */
const DUE_MS = 5 + 1;

async function acceptMany(count: number, tenants = 1, concurrency = 1000): Promise<void> {
  await Promise.all(
    Array.from({ length: count }, (_, n) =>
      bench.accept({ tenant: `t${n % tenants}`, conversation: `c${n}`, limits: { concurrency } }),
    ),
  );
}

/** Nothing is answered before so many are under way; then each takes its time. */
function onceStarted(count: number, ms: number): Provider {
  const take = slow(ms);
  return async (grant) => {
    await bench.started(count);
    return await take(grant);
  };
}

describe('Limits are never exceeded', () => {
  it('S3 · S11 · 50 messages of one tenant are never more than five in flight, over two workers', async () => {
    bench = await Bench.open(redis);
    await bench.worker('w1', onceStarted(5, 15));
    await bench.worker('w2', onceStarted(5, 15));
    await acceptMany(50, 1, 5);
    await bench.settled(50);
    expect(mostAtOnce(bench.ledger)).toBe(5);
  });

  it('S3 · S11 · 100 messages over 10 tenants: each tenant has its own five places', async () => {
    bench = await Bench.open(redis);
    await bench.worker('w1', onceStarted(50, 30));
    await acceptMany(100, 10, 5);
    await bench.settled(100);
    for (let t = 0; t < 10; t += 1) {
      expect(mostAtOnce(bench.ledger, ({ grant }) => grant.lane.tenant === `t${t}`)).toBeLessThanOrEqual(5);
    }
    expect(mostAtOnce(bench.ledger)).toBe(50);
  });

  it('S3 · a lower tenant cap holds at once, a higher one is felt by what waits already', async () => {
    bench = await Bench.open(redis);
    await acceptMany(10, 1, 1);
    let open: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => (open = resolve));
    await bench.worker('w1', async () => {
      await gate;
      return { kind: 'sent', providerMessageId: 'wamid' };
    });
    await bench.started(1);
    await bench.queue.configureTenant('s1', 't0', { concurrency: 4, weight: 1, backlogMax: 1000 });
    await bench.started(4);
    expect(bench.ledger).toHaveLength(4);
    open();
    await bench.settled(10);
    expect(mostAtOnce(bench.ledger)).toBe(4);
  });

  it('S4 · at most 20 at once per sender, over two workers', async () => {
    bench = await Bench.open(redis, { concurrency: 20 });
    await bench.worker('w1', onceStarted(20, 20));
    await bench.worker('w2', onceStarted(20, 20));
    await acceptMany(80, 8);
    await bench.settled(80);
    expect(mostAtOnce(bench.ledger)).toBe(20);
  });

  it('S4 · S11 · 150 messages beyond a rate of 80 per second all go, never faster than the rate and the burst', async () => {
    bench = await Bench.open(redis, { ratePerSecond: 80, burst: 1 });
    const standstill = watchStandstill(() => bench.client.ping());
    await bench.worker('w1');
    await bench.worker('w2');
    await acceptMany(150, 3);
    await bench.settled(150);
    for (const windowMs of [100, 500, 1000]) {
      expect(mostGrants(bench.ledger, windowMs)).toBeLessThanOrEqual(Math.floor(0.08 * (windowMs + DUE_MS)) + 1);
    }
    const times = grants(bench.ledger);
    const tookMs = (times.at(-1) ?? 0) - (times[0] ?? 0);
    expect(tookMs).toBeGreaterThanOrEqual((149 / 80) * 1000 - DUE_MS);
    expect(tookMs).toBeLessThan(3500 + standstill.ms());
  });

  it('S4 · after a quiet time a burst of five starts at once, and no more', async () => {
    bench = await Bench.open(redis, { ratePerSecond: 5, burst: 5 });
    await acceptMany(8);
    await bench.worker('w1');
    await bench.settled(8);
    const times = grants(bench.ledger);
    expect(mostGrants(bench.ledger, 150)).toBe(5);
    expect((times[7] ?? 0) - (times[0] ?? 0)).toBeGreaterThanOrEqual(600 - DUE_MS);
  });

  it('R4 · two instances have a bucket each: one that is empty holds nothing of the other', async () => {
    const limits = { ratePerSecond: 0.01, burst: 2 };
    let conversations = 0;
    bench = await Bench.open(redis, limits);
    await bench.queue.configureSender({ ...FREE_SENDER, ...limits, sender: 's2' });
    await bench.worker('w1');
    for (const sender of ['s1', 's2', 's1', 's2', 's1', 's2'])
      await bench.accept({ sender, conversation: `c${(conversations += 1)}` });
    await bench.settled(4);
    expect(bench.ledger.map(({ grant }) => grant.lane.sender).sort()).toEqual(['s1', 's1', 's2', 's2']);
    expect(await bench.queue.counters()).toMatchObject({ sent: 4, queued: 2 });
  });

  it('S11 · 10 per second for 5 s: each is handed over with its accept', async () => {
    bench = await Bench.open(redis, { ratePerSecond: 80, burst: 1 });
    await bench.worker('w1');
    for (let n = 0; n < 50; n += 1) {
      await delay(100);
      const one = message({ conversation: `c${n}` });
      expect(await bench.queue.accept(one)).toMatchObject({ kind: 'accepted', immediate: true });
      await bench.settled(n + 1);
      expect(bench.ids().at(-1)).toBe(one.id);
    }
  });

  it('F1 · one message per pair per 2 s: the first at once, the second 1.5 s after 0.5 s, the third 2.5 s after 1.5 s', async () => {
    bench = await Bench.open(redis, { pairGapMs: 2000 });
    await bench.worker('w1');
    const standstill = watchStandstill(() => bench.client.ping());
    const send = (conversation: string) => bench.accept({ conversation, contact: '+966500000001' });
    await send('c1');
    await bench.settled(1);
    await delay(500);
    await send('c2');
    await delay(1000);
    await send('c3');
    await bench.settled(3);
    for (const n of [1, 2]) {
      const gapMs = (bench.ledger[n]?.startMs ?? 0) - (bench.ledger[n - 1]?.endMs ?? 0);
      expect(gapMs).toBeGreaterThanOrEqual(2000 - 5);
      expect(gapMs).toBeLessThan(2000 + 300 + standstill.ms());
    }
  });

  it('F1 · many conversations with one contact keep the gap, over two workers; another contact does not wait', async () => {
    bench = await Bench.open(redis, { pairGapMs: 60 });
    await Promise.all([
      ...Array.from({ length: 12 }, (_, n) => bench.accept({ conversation: `c${n}`, contact: 'same' })),
      bench.accept({ conversation: 'other', contact: 'other' }),
    ]);
    await bench.worker('w1', slow(5));
    await bench.worker('w2', slow(5));
    await bench.settled(13);
    const same = bench.ledger.filter(({ grant }) => grant.contact === 'same');
    same.slice(1).forEach(({ startMs }, n) => expect(startMs - (same[n]?.endMs ?? 0)).toBeGreaterThanOrEqual(60 - 5));
    expect(
      bench.ids().indexOf(bench.ledger.find(({ grant }) => grant.contact === 'other')?.grant.messageId ?? ''),
    ).toBeLessThan(3);
  });

  it('F1 · a pair bucket of three lets three go, then one per refill', async () => {
    bench = await Bench.open(redis, { pairBucketCapacity: 3, pairBucketRefillPerSecond: 5 });
    await Promise.all(Array.from({ length: 5 }, (_, n) => bench.accept({ conversation: `c${n}`, contact: 'same' })));
    await bench.worker('w1');
    await bench.settled(5);
    const [first = 0, , third = 0, fourth = 0, fifth = 0] = grants(bench.ledger);
    expect(third - first).toBeLessThan(150);
    expect(fourth - first).toBeGreaterThanOrEqual(200 - DUE_MS);
    expect(fifth - first).toBeGreaterThanOrEqual(400 - DUE_MS);
  });

  it('a pair limit of the provider parks the pair and no other', async () => {
    // Long enough that the others are accepted meanwhile on a busy machine, too.
    const PARKED_MS = 2500;
    bench = await Bench.open(redis);
    let isLimited = true;
    await bench.worker('w1', (grant) => {
      if (grant.contact !== 'limited' || !isLimited) return { kind: 'sent', providerMessageId: 'wamid' };
      isLimited = false;
      return { kind: 'retry', delayMs: 0, counted: false, brake: { on: 'pair', waitsMs: [PARKED_MS] } };
    });
    const first = await bench.accept({ conversation: 'c1', contact: 'limited' });
    await bench.settled(1);
    const second = await bench.accept({ conversation: 'c2', contact: 'limited' });
    const free = await bench.accept({ conversation: 'c3', contact: 'free' });
    await bench.settled(4);
    expect(bench.ids()[1]).toBe(free.id);
    expect([...bench.ids().slice(2)].sort()).toEqual([first.id, second.id].sort());
    const [start = 0, , again = 0] = bench.ledger.map(({ startMs }) => startMs);
    expect(again - start).toBeGreaterThanOrEqual(PARKED_MS - 5);
    expect(bench.ledger.filter(({ grant }) => grant.messageId === first.id).map(({ grant }) => grant.counted)).toEqual([
      0, 0,
    ]);
  });

  it('a number limit of the provider slows the sender down', async () => {
    bench = await Bench.open(redis, { ratePerSecond: 100, burst: 1 });
    let isFirst = true;
    await bench.worker('w1', () => {
      if (!isFirst) return { kind: 'sent', providerMessageId: 'wamid' };
      isFirst = false;
      return { kind: 'retry', delayMs: 0, counted: false, brake: { on: 'sender-rate', waitMs: 200 } };
    });
    await bench.accept({ conversation: 'first' });
    await bench.settled(1);
    await acceptMany(20);
    await bench.settled(22);
    const [start = 0, next = 0, ...rest] = grants(bench.ledger);
    const last = rest.at(-1) ?? 0;
    expect(next - start).toBeGreaterThanOrEqual(200 - DUE_MS);
    // Half the rate: 20 more take about 400 ms, not 200.
    expect(last - next).toBeGreaterThan(300);
  });

  it('S12 · a rate that a person raises counts at once, however long the next token would have taken', async () => {
    bench = await Bench.open(redis, { ratePerSecond: 0.01, burst: 1 });
    await bench.worker('w1');
    await acceptMany(3);
    await bench.settled(1);
    await bench.queue.configureSender({ ...FREE_SENDER, ratePerSecond: 50, burst: 1 });
    await bench.settled(3);
    const [, second = 0, third = 0] = grants(bench.ledger);
    expect(third - second).toBeGreaterThanOrEqual(20 - DUE_MS);
  });

  it('S12 · a rate that a person lowers gives no second burst: what was taken in advance is still owed', async () => {
    bench = await Bench.open(redis, { ratePerSecond: 0.1, burst: 5 });
    await bench.worker('w1');
    await acceptMany(5);
    await bench.settled(5);
    await bench.queue.configureSender({ ...FREE_SENDER, ratePerSecond: 0.01, burst: 5 });
    const next = await bench.accept({ conversation: 'next' });
    const { hold } = (await bench.queue.place({ ...next, seq: 6 })) ?? {};
    expect(hold?.kind).toBe('sender-rate');
    // A token of the new rate takes 100 s.
    expect((hold?.untilMs ?? 0) - Date.now()).toBeGreaterThan(60_000);
    expect(bench.ledger).toHaveLength(5);
  });

  it('a process that starts and configures the sender again does not lift a number limit', async () => {
    const limits = { ratePerSecond: 100, burst: 1 };
    bench = await Bench.open(redis, limits);
    let isFirst = true;
    await bench.worker('w1', () => {
      if (!isFirst) return SENT;
      isFirst = false;
      return { kind: 'retry', delayMs: 0, counted: false, brake: { on: 'sender-rate', waitMs: 300 } };
    });
    await bench.accept();
    await bench.settled(1);
    await bench.queue.configureSender({ ...FREE_SENDER, ...limits });
    await bench.settled(2);
    expect((bench.ledger[1]?.startMs ?? 0) - (bench.ledger[0]?.endMs ?? 0)).toBeGreaterThanOrEqual(300 - 5);
  });

  it('a policy error pauses the sender until a person resumes it, and burns no attempt', async () => {
    bench = await Bench.open(redis);
    let isFirst = true;
    await bench.worker('w1', () => {
      if (!isFirst) return { kind: 'sent', providerMessageId: 'wamid' };
      isFirst = false;
      return { kind: 'retry', delayMs: 0, counted: false, brake: { on: 'sender', reason: 'policy' } };
    });
    const held = await bench.accept();
    await bench.settled(1);
    expect((await bench.queue.place({ ...held, seq: 1 }))?.hold).toEqual({ kind: 'sender-paused', untilMs: null });
    await bench.queue.resumeSender('s1');
    await bench.settled(2);
    expect(bench.ledger[1]?.grant).toMatchObject({ messageId: held.id, attempt: 2, counted: 0 });
  });
});
