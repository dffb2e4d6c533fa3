import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { auditShard } from '../../src/engine/audit.ts';
import { eventually } from '../support/eventually.ts';
import { type TestRedis, testRedis } from '../support/services.ts';
import { Bench, FREE_SENDER, SENT } from './support/bench.ts';

const PROMO = 'en:promo';

describe('T1 · a template that the provider stopped', () => {
  let redis: TestRedis;
  let bench: Bench;
  beforeAll(async () => {
    redis = await testRedis();
  });
  afterEach(async () => {
    expect(await auditShard(bench.client, 0)).toEqual([]);
    await bench.close();
  });
  const sentIn = (conversation: string) =>
    bench.ledger.filter(({ grant }) => grant.lane.conversation === conversation).length;
  const settledAll = (n: number) =>
    eventually(async () => expect((await bench.queue.counters()).sent).toBe(n), { timeoutMs: 5000 });

  it('holds its messages with the kind template-paused, lets the others go, and lets all go when freed', async () => {
    bench = await Bench.open(redis);
    await bench.queue.holdTemplate('s1', PROMO);
    await bench.queue.holdTemplate('s1', PROMO);
    await bench.worker('w1');
    const held = [];
    for (let n = 0; n < 100; n += 1) held.push(await bench.accept({ conversation: `held${n}`, template: PROMO }));
    const behind = await bench.accept({ conversation: 'held0', template: 'en:other' });
    await bench.accept({ conversation: 'free', template: 'en:other' });
    await bench.accept({ conversation: 'plain' });
    await settledAll(2);
    expect([sentIn('free'), sentIn('plain')]).toEqual([1, 1]);
    const [first] = held;
    if (first === undefined) throw new Error('none');
    const place = await bench.queue.place({ id: first.id, lane: first.lane, seq: 1 });
    expect(place).toMatchObject({ status: 'queued', hold: { kind: 'template-paused', untilMs: null } });
    const next = await bench.queue.place({ id: behind.id, lane: behind.lane, seq: 101 });
    expect(next?.hold?.kind).toBe('conversation');
    expect(await auditShard(bench.client, 0)).toEqual([]);
    expect(await bench.queue.heldTemplates('s1')).toEqual([PROMO]);
    await bench.queue.releaseTemplate('s1', PROMO);
    await settledAll(103);
    expect(await bench.queue.heldTemplates('s1')).toEqual([]);
    expect(await bench.client.keys('{wx:0}t[hw]:*')).toEqual([]);
    expect(await bench.client.hget('{wx:0}s:s1', 'holds')).toBeNull();
  });

  it('is one sender´s matter: the same template goes on another one', async () => {
    bench = await Bench.open(redis);
    await bench.queue.configureSender({ ...FREE_SENDER, sender: 's2' });
    await bench.queue.holdTemplate('s1', PROMO);
    await bench.worker('w1');
    await bench.accept({ template: PROMO });
    await bench.accept({ sender: 's2', template: PROMO });
    await settledAll(1);
    expect(bench.ledger.map(({ grant }) => grant.lane.sender)).toEqual(['s2']);
  });

  it('is held by an attempt that was answered so, counts no attempt, and tries again once freed', async () => {
    bench = await Bench.open(redis);
    let isPaused = true;
    await bench.worker('w1', (grant) =>
      isPaused && grant.body?.includes(PROMO) === true
        ? { kind: 'retry', delayMs: 0, counted: false, brake: { on: 'template', template: PROMO } }
        : SENT,
    );
    const first = await bench.accept({ conversation: 'c1', template: PROMO });
    await eventually(async () => expect(await bench.queue.heldTemplates('s1')).toEqual([PROMO]));
    await bench.accept({ conversation: 'c2', template: PROMO });
    await bench.accept({ conversation: 'c3' });
    await settledAll(1);
    const place = await bench.queue.place({ id: first.id, lane: first.lane, seq: 1 });
    expect(place).toMatchObject({ status: 'queued', attempts: 1, hold: { kind: 'template-paused' } });
    isPaused = false;
    await bench.queue.releaseTemplate('s1', PROMO);
    await settledAll(3);
    const last = bench.ledger.filter(({ grant }) => grant.messageId === first.id).at(-1);
    expect(last?.grant).toMatchObject({ attempt: 2, counted: 0 });
  });

  it('gives way in its conversation when the held message is cancelled or expires', async () => {
    bench = await Bench.open(redis);
    await bench.queue.holdTemplate('s1', PROMO);
    await bench.worker('w1');
    const held = await bench.accept({ conversation: 'c1', template: PROMO });
    await bench.accept({ conversation: 'c1' });
    await bench.accept({ conversation: 'c2', template: PROMO, expiresAtMs: Date.now() + 150 });
    await bench.accept({ conversation: 'c2' });
    expect(await bench.queue.cancel({ id: held.id, lane: held.lane, seq: 1 })).toBe('cancelled');
    await settledAll(2);
    expect(await bench.queue.counters()).toMatchObject({ cancelled: 1, expired: 1, queued: 0 });
  });

  it('keeps nobody of the same pair waiting', async () => {
    bench = await Bench.open(redis, { pairGapMs: 40 });
    await bench.worker('w1');
    const contact = '+4915112345678';
    await bench.accept({ conversation: 'c1', contact });
    await settledAll(1);
    // These wait for the pair; the first of them is held before its turn comes.
    await bench.accept({ conversation: 'c2', contact, template: PROMO });
    await bench.accept({ conversation: 'c3', contact });
    await bench.accept({ tenant: 't2', conversation: 'c4', contact });
    await bench.queue.holdTemplate('s1', PROMO);
    await eventually(() => expect([sentIn('c3'), sentIn('c4')]).toEqual([1, 1]), { timeoutMs: 5000 });
    await bench.queue.releaseTemplate('s1', PROMO);
    await eventually(() => expect(sentIn('c2')).toBe(1), { timeoutMs: 5000 });
    await settledAll(4);
  });

  it('may be held again while it is let go: what has not gone yet waits on', async () => {
    bench = await Bench.open(redis);
    await bench.queue.holdTemplate('s1', PROMO);
    for (let n = 0; n < 200; n += 1) await bench.accept({ conversation: `c${n}`, template: PROMO });
    await bench.queue.releaseTemplate('s1', PROMO);
    await bench.queue.holdTemplate('s1', PROMO);
    await bench.worker('w1');
    await bench.accept({ conversation: 'plain' });
    await eventually(() => expect(sentIn('plain')).toBe(1));
    expect(await bench.queue.heldTemplates('s1')).toEqual([PROMO]);
    expect(await auditShard(bench.client, 0)).toEqual([]);
    await bench.queue.releaseTemplate('s1', PROMO);
    await settledAll(201);
  });
});
