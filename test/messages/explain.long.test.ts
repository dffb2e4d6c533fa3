import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { NewMessage } from '../../src/engine/contract.ts';
import { ScriptRunner } from '../../src/engine/script-runner.ts';
import { HOLD_KINDS, type HoldKind } from '../../src/model/message.ts';
import { explainWaiting, type Explanation } from '../../src/messages/explain.ts';
import { forecast } from '../../src/messages/forecast.ts';
import { acceptedView } from '../../src/messages/view.ts';
import { Bench, FAILURE, message, SILENT, slow } from '../engine/support/bench.ts';
import { testRedis, type TestRedis } from '../support/services.ts';
import { watchStandstill } from '../support/standstill.ts';

/* Explanations and forecasts over the real engine, compared with what then happens. */

let redis: TestRedis;
let bench: Bench;
beforeAll(async () => {
  redis = await testRedis();
});
afterEach(() => bench.close());

const seqs = new Map<string, number>();

async function accept(wish: Parameters<typeof message>[0] = {}): Promise<NewMessage> {
  const one = await bench.accept(wish);
  seqs.set(one.id, (await bench.queue.unrecorded(one.id))?.seq ?? -1);
  return one;
}

async function explain(one: NewMessage, meanMs = 50): Promise<Explanation> {
  const { id, lane, priority } = one;
  const [line, sender] = await Promise.all([
    bench.queue.line({ id, lane, seq: seqs.get(id) ?? -1 }),
    bench.queue.lookAtSender(lane.sender, lane.tenant),
  ]);
  if (line === null || sender === null) throw new Error('the engine does not hold it');
  const body = { type: 'text', content: {} } as const;
  const sendAtMs = one.sendAtMs ?? null;
  const expiresAtMs = one.expiresAtMs ?? null;
  const view = acceptedView({ id, ...lane, body, priority, sendAtMs, expiresAtMs }, false);
  return explainWaiting({ view, line, sender, time: { meanMs, isMeasured: true }, nowMs: Date.now() });
}

/** Starts at the provider, on the wall clock. */
const startOf = (id: string): number => {
  const found = bench.ledger.find(({ grant }) => grant.messageId === id);
  if (found === undefined) throw new Error(`${id} was never tried`);
  return performance.timeOrigin + found.startMs;
};

describe('what an explanation says', () => {
  it('nothing holds a message that could go, and without a worker it says so', async () => {
    bench = await Bench.open(redis);
    const one = await accept();
    const before = await explain(one);
    expect(before).toMatchObject({ status: 'queued', hold: null, position: 1, expectedAt: null });
    expect(before.sentence).toMatch(/^No worker is running that could send it/);
  });

  it('a message that a killed worker was given, with nobody to take over, is not told of as being sent', async () => {
    bench = await Bench.open(redis);
    await bench.queue.runner.run('beat', 0, ['killed', 100, 5]);
    const one = await accept();
    expect((await explain(one)).sentence).toMatch(/^It is being sent right now/);
    // Five seconds of the shard's clock, in which nobody beats.
    await new ScriptRunner(bench.client, () => Date.now() + 5000).run('tick', 0, [0, 0]);
    const found = await explain(one);
    expect(found.sentence).toMatch(/^The worker that attempt 1 was given to is gone/);
    expect(found.endsWhen).toBe('a worker starts');
    await bench.worker('w1');
    await bench.settled(1);
  });

  it('a message behind others of its conversation names what the first of them does', async () => {
    bench = await Bench.open(redis);
    await bench.worker('w1', SILENT);
    await accept();
    await accept();
    const third = await accept();
    await bench.started(1);
    expect(await explain(third)).toMatchObject({
      status: 'queued',
      hold: { kind: 'conversation', until: null },
      position: 3,
      ahead: { conversation: 2, tenant: 0, sender: 0 },
      sentence: expect.stringMatching(
        /^It waits behind 2 messages of its conversation; the first of them is being sent; it will probably go in \d+ ms\.$/,
      ) as string,
    });
  });

  it('a message whose template is stopped, and one behind it, expect no time, because only the provider knows it', async () => {
    bench = await Bench.open(redis);
    await bench.queue.holdTemplate('s1', 'en:promo');
    await bench.worker('w1');
    const held = await accept({ template: 'en:promo' });
    const behind = await accept();
    await expect.poll(async () => (await explain(held)).hold?.kind, { timeout: 5000 }).toBe('template-paused');
    const found = await explain(held);
    expect(found).toMatchObject({ position: 1, expectedAt: null });
    expect(found.sentence).toBe('Meta has paused its template; when it goes hangs on that alone.');
    expect(await explain(behind)).toMatchObject({ hold: { kind: 'conversation' }, position: 2, expectedAt: null });
  });

  it('every kind of hold of the engine is named with what ends it', async () => {
    const told = new Map<HoldKind, Explanation>();
    const tell = async (one: NewMessage) => {
      const found = await explain(one);
      if (found.hold !== null) told.set(found.hold.kind, found);
      return found;
    };
    bench = await Bench.open(redis, { pairGapMs: 60_000, ratePerSecond: 1000, burst: 50 });
    await bench.worker('w1', ({ lane }) => {
      if (lane.conversation === 'fails') return { kind: 'retry', delayMs: 60_000, counted: true };
      return lane.conversation === 'hangs' ? new Promise(() => undefined) : { kind: 'failed', error: FAILURE };
    });
    await accept({ conversation: 'a', contact: 'same' });
    await bench.settled(1);
    const paired = await tell(await accept({ conversation: 'b', contact: 'same' }));
    expect(paired.sentence).toMatch(/WhatsApp wants 60 s between two messages to the same person/);
    await accept({ conversation: 'hangs', tenant: 'small', limits: { concurrency: 1 } });
    await bench.started(2);
    await tell(await accept({ conversation: 'other', tenant: 'small', limits: { concurrency: 1 } }));
    await tell(await accept({ conversation: 'hangs', tenant: 'small', limits: { concurrency: 1 } }));
    const retried = await accept({ conversation: 'fails' });
    await bench.settled(2);
    const retry = await tell(retried);
    expect(Date.parse(retry.expectedAt ?? '') - Date.now()).toBeGreaterThan(55_000);
    await tell(await accept({ conversation: 'later', sendAtMs: Date.now() + 3_600_000 }));
    await bench.queue.pauseSender('s1', 'the token was refused');
    const paused = await tell(await accept({ conversation: 'paused' }));
    expect(paused.sentence).toBe('The sender is paused: the token was refused; when it goes hangs on that alone.');
    expect(paused.expectedAt).toBeNull();
    await bench.queue.resumeSender('s1');
    await bench.queue.runner.run('control', 0, ['open-circuit', 's1', 30_000]);
    await tell(await accept({ conversation: 'circuit' }));
    await bench.client.hdel('{wx:0}s:s1', 'circuit');
    await bench.queue.configureSender({
      ...{ sender: 's1', shard: 0, ratePerSecond: 0.01, burst: 1, concurrency: 100 },
      ...{ pairGapMs: 60_000, pairBucketCapacity: 0, pairBucketRefillPerSecond: 0 },
    });
    await accept({ conversation: 'first' });
    const rated = await tell(await accept({ conversation: 'rated' }));
    expect(rated.hold?.until).not.toBeNull();
    // `window` and `template-paused` are decided before a message reaches its sender's line.
    const ofTheEngine = HOLD_KINDS.filter((kind) => kind !== 'window' && kind !== 'template-paused');
    expect([...told.keys()].sort()).toEqual([...ofTheEngine].sort());
    for (const { sentence, endsWhen } of told.values()) {
      expect(endsWhen).toBeTruthy();
      expect(sentence).toMatch(/^[A-Z].*\.$/);
    }
  });

  it('a message that waits for a person says that, and one that would expire before it goes says when', async () => {
    bench = await Bench.open(redis, {}, { ambiguousWaitMs: 30, onAmbiguous: 'hold' });
    await bench.worker('w1', () => ({ kind: 'unknown' }));
    const held = await accept();
    await expect.poll(async () => (await explain(held)).sentence, { timeout: 5000 }).toMatch(/a person has to decide/);
    expect((await explain(held)).status).toBe('unknown');
    await bench.queue.pauseSender('s1', 'lunch');
    const expiring = await accept({ conversation: 'x', expiresAtMs: Date.now() + 60_000 });
    expect((await explain(expiring)).sentence).toMatch(/and it expires at 20/);
  });
});

/** Relative error of an expected time, against the time that it really took from then on; what stood still is no error. */
function errorOf(askedAtMs: number, expectedAt: string | null, reallyMs: number, stoodMs: number): number {
  const offMs = Math.abs(Date.parse(expectedAt ?? '') - reallyMs);
  return Math.max(0, offMs - stoodMs) / (reallyMs - askedAtMs);
}

describe('what an explanation expects is what happens, within a tenth', () => {
  it('behind 120 messages of its own tenant, at the rate of the sender', async () => {
    bench = await Bench.open(redis, { ratePerSecond: 40, burst: 10 });
    const all = [];
    for (let n = 0; n < 120; n += 1) all.push(await accept({ conversation: `c${n}` }));
    const last = all[119];
    if (last === undefined) throw new Error('nothing was accepted');
    await bench.worker('w1', slow(20));
    const standstill = watchStandstill(() => bench.client.ping());
    const askedAtMs = Date.now();
    const { expectedAt, ahead } = await explain(last, 20);
    expect(ahead.tenant).toBeGreaterThan(100);
    await bench.settled(120, 20_000);
    expect(errorOf(askedAtMs, expectedAt, startOf(last.id), standstill.ms())).toBeLessThan(0.1);
  });

  it('a share by weight among three tenants, at the places of the sender', async () => {
    bench = await Bench.open(redis, { concurrency: 5 });
    let turn = 0;
    const own = [];
    // Many: where in its turn the tenant stands when it is asked must be little beside the whole.
    for (let n = 0; n < 28; n += 1)
      own.push(await accept({ tenant: 'a', conversation: `c${n}`, limits: { weight: 1 } }));
    for (const [tenant, weight] of [
      ['b', 1],
      ['c', 3],
    ] as const)
      for (let n = 0; n < 100; n += 1) await accept({ tenant, conversation: `c${n}`, limits: { weight } });
    await bench.worker(
      'w1',
      // Neither in step nor by chance: the share is what is looked at.
      slow(() => (turn++ % 2 === 0 ? 250 : 350)),
    );
    await bench.started(10);
    const last = own[27];
    if (last === undefined) throw new Error('nothing was accepted');
    const standstill = watchStandstill(() => bench.client.ping());
    const askedAtMs = Date.now();
    const { expectedAt, ahead } = await explain(last, 302);
    expect(ahead.sender).toBeGreaterThan(ahead.tenant * 2);
    await bench.until((ledger) => ledger.some(({ grant }) => grant.messageId === last.id), 'its attempt', 20_000);
    expect(errorOf(askedAtMs, expectedAt, startOf(last.id), standstill.ms())).toBeLessThan(0.1);
  });

  it('the seventh message of a conversation, at the gap of its pair', async () => {
    bench = await Bench.open(redis, { pairGapMs: 400 });
    const all = [];
    for (let n = 0; n < 7; n += 1) all.push(await accept());
    await bench.worker('w1', slow(50));
    const last = all[6];
    if (last === undefined) throw new Error('nothing was accepted');
    await bench.started(1);
    const standstill = watchStandstill(() => bench.client.ping());
    const askedAtMs = Date.now();
    const { expectedAt } = await explain(last, 50);
    await bench.settled(7, 20_000);
    expect(errorOf(askedAtMs, expectedAt, startOf(last.id), standstill.ms())).toBeLessThan(0.1);
  });
});

describe('a forecast is what happens, within a tenth', () => {
  it.each([
    ['rate', { ratePerSecond: 40, burst: 10, concurrency: 100 }, { concurrency: 1000, weight: 1 }],
    ['sender-places', { concurrency: 12 }, { concurrency: 1000, weight: 1 }],
    ['tenant-places', { concurrency: 100 }, { concurrency: 8, weight: 1 }],
  ] as const)('a broadcast bound by %s', async (limitedBy, limits, tenantLimits) => {
    bench = await Bench.open(redis, limits);
    await bench.worker('w1', slow(600));
    const messages = 48 * (limitedBy === 'rate' ? 3 : 1);
    const look = await bench.queue.lookAtSender('s1', 't1');
    if (look === null) throw new Error('the engine does not know the sender');
    const standstill = watchStandstill(() => bench.client.ping());
    const nowMs = Date.now();
    const told = forecast({
      ...{ sender: 's1', tenant: 't1', messages, look, tenantLimits, nowMs },
      time: { meanMs: 602, isMeasured: true },
    });
    expect(told.limitedBy).toBe(limitedBy);
    const wishes = Array.from({ length: messages }, (_, n) =>
      bench.accept({ conversation: `c${n}`, limits: tenantLimits }),
    );
    await Promise.all(wishes);
    await bench.settled(messages, 20_000);
    const endMs = performance.timeOrigin + Math.max(...bench.ledger.map((attempt) => attempt.endMs ?? 0));
    expect(errorOf(nowMs, told.doneAt, endMs, standstill.ms())).toBeLessThan(0.1);
  });
});
