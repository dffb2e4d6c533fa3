import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { UnknownSenderError } from '../../src/engine/contract.ts';
import { newId } from '../../src/util/ids.ts';
import { eventually, testRedis, type TestRedis } from '../support/services.ts';
import { Bench, message, SENT, SILENT } from './support/bench.ts';

let redis: TestRedis;
let bench: Bench;
beforeAll(async () => {
  redis = await testRedis();
});
afterEach(() => bench.close());

const counters = () => bench.queue.counters();

describe('Accepted is kept', () => {
  it('R2 · messages accepted before a worker started are consumed', async () => {
    bench = await Bench.open(redis);
    const ids = (await Promise.all(Array.from({ length: 20 }, (_, n) => bench.accept({ conversation: `c${n}` })))).map(
      ({ id }) => id,
    );
    await bench.worker('w1');
    await bench.settled(20);
    expect(bench.ids().sort()).toEqual(ids.sort());
  });

  it('R1 · accepted messages survive a kill of Redis', async () => {
    const own = await testRedis();
    bench = await Bench.open(own);
    await Promise.all(Array.from({ length: 50 }, () => bench.accept()));
    await own.kill('SIGKILL');
    await own.restart();
    await bench.worker('w1');
    await bench.settled(50);
    expect(new Set(bench.ids()).size).toBe(50);
    // The worker's connection is new; the queue's own one comes back at its own pace.
    await bench.queue.connect();
    expect(await counters()).toMatchObject({ accepted: 50, sent: 50 });
    await bench.close();
    await own.stop();
    bench = await Bench.open(redis);
  });

  it('tells whether it was handed to a worker in the same step', async () => {
    bench = await Bench.open(redis);
    expect(await bench.queue.accept(message())).toMatchObject({ kind: 'accepted', immediate: false });
    await bench.worker('w1', SILENT);
    await bench.started(1);
    expect(await bench.queue.accept(message({ conversation: 'c2' }))).toMatchObject({
      kind: 'accepted',
      immediate: true,
    });
    expect(await bench.queue.accept(message({ conversation: 'c2' }))).toMatchObject({
      kind: 'accepted',
      immediate: false,
    });
  });

  it('of messages that come together only those that were stored can be read, each answered in its place', async () => {
    bench = await Bench.open(redis);
    const first = await bench.accept({ key: 'k', text: 'a' });
    const wishes = [
      {},
      { key: 'k', text: 'a' },
      { key: 'k', text: 'b' },
      { tenant: 'full', limits: { backlogMax: 0 } },
      { conversation: 'c2' },
    ];
    const messages = wishes.map((wish) => message(wish));
    const results = await Promise.all(messages.map((one) => bench.queue.accept(one)));
    expect(results.map(({ kind }) => kind)).toEqual([
      ...['accepted', 'duplicate', 'key-reused', 'backlog-full', 'accepted'],
    ]);
    expect(results.slice(1, 3)).toMatchObject([{ id: first.id }, { id: first.id }]);
    const found = await Promise.all(messages.map(({ id }) => bench.queue.unrecorded(id)));
    expect(found.map((one) => one?.id ?? null)).toEqual(
      messages.map(({ id }, index) => (results[index]?.kind === 'accepted' ? id : null)),
    );
  });

  it('refuses an unknown sender and stores nothing', async () => {
    bench = await Bench.open(redis);
    await expect(bench.queue.accept(message({ sender: 'nobody' }))).rejects.toBeInstanceOf(UnknownSenderError);
    expect(await counters()).toMatchObject({ accepted: 0 });
  });

  it('counters add up while messages are everywhere', async () => {
    bench = await Bench.open(redis);
    await bench.worker('w1', SILENT, 2);
    for (let n = 0; n < 4; n += 1) await bench.accept({ conversation: `c${n}` });
    await bench.accept({ sendAtMs: Date.now() + 60_000 });
    await bench.started(2);
    const { accepted, ...others } = await counters();
    expect(accepted).toBe(5);
    expect(others).toMatchObject({ inFlight: 2, queued: 2, scheduled: 1 });
    expect(Object.values(others).reduce((sum, n) => sum + n)).toBe(accepted);
  });
});

describe('Idempotent accept', () => {
  it('R6 · the same key and body return the first message, another body is refused', async () => {
    bench = await Bench.open(redis);
    const first = await bench.accept({ key: 'k', text: 'a' });
    expect(await bench.queue.accept(message({ key: 'k', text: 'a' }))).toEqual({ kind: 'duplicate', id: first.id });
    expect(await bench.queue.accept(message({ key: 'k', text: 'b' }))).toEqual({ kind: 'key-reused', id: first.id });
    expect(await bench.queue.accept(message({ key: 'k2', text: 'a' }))).toMatchObject({ kind: 'accepted' });
    expect(await counters()).toMatchObject({ accepted: 2 });
  });

  it('parallel accepts with one key all get the one message', async () => {
    bench = await Bench.open(redis);
    const results = await Promise.all(Array.from({ length: 40 }, () => bench.queue.accept(message({ key: 'k' }))));
    const accepted = results.filter(({ kind }) => kind === 'accepted');
    expect(accepted).toHaveLength(1);
    expect(new Set(results.map((result) => ('id' in result ? result.id : '')))).toHaveLength(1);
  });

  it('a key is scoped by tenant and by sender', async () => {
    bench = await Bench.open(redis);
    await bench.accept({ key: 'k' });
    expect(await bench.queue.accept(message({ key: 'k', tenant: 't2' }))).toMatchObject({ kind: 'accepted' });
  });

  it('still holds after the first message was sent', async () => {
    bench = await Bench.open(redis);
    await bench.worker('w1');
    const first = await bench.accept({ key: 'k' });
    await bench.settled(1);
    expect(await bench.queue.accept(message({ key: 'k' }))).toEqual({ kind: 'duplicate', id: first.id });
  });

  it('Content is never a reason to drop a message without a key', async () => {
    bench = await Bench.open(redis);
    await bench.accept({ text: 'same' });
    expect(await bench.queue.accept(message({ text: 'same' }))).toMatchObject({ kind: 'accepted' });
  });
});

describe('Backlog cap', () => {
  it('R6 · more than the tenant may have waiting is refused, nothing stored; another tenant is not touched', async () => {
    bench = await Bench.open(redis);
    const limits = { backlogMax: 3 };
    for (let n = 0; n < 3; n += 1) await bench.accept({ limits });
    expect(await bench.queue.accept(message({ limits }))).toEqual({ kind: 'backlog-full' });
    expect(await bench.queue.accept(message({ limits, tenant: 't2' }))).toMatchObject({ kind: 'accepted' });
    await bench.worker('w1');
    await bench.settled(4);
    expect(await bench.queue.accept(message({ limits }))).toMatchObject({ kind: 'accepted' });
    expect(await counters()).toMatchObject({ accepted: 5 });
  });

  it('scheduled messages count', async () => {
    bench = await Bench.open(redis);
    const limits = { backlogMax: 1 };
    await bench.accept({ limits, sendAtMs: Date.now() + 60_000 });
    expect(await bench.queue.accept(message({ limits }))).toEqual({ kind: 'backlog-full' });
  });
});

describe('sendAt and expiresAt', () => {
  it('S12 · a scheduled message takes its place at its time, behind what was accepted meanwhile', async () => {
    // Its time must come after the others were accepted: a busy machine may need more than one try.
    for (let aheadMs = 200; ; aheadMs *= 4) {
      bench = await Bench.open(redis);
      let go: () => void = () => undefined;
      const gate = new Promise<void>((resolve) => (go = resolve));
      await bench.worker('w1', async () => {
        await gate;
        return SENT;
      });
      const sendAtMs = Date.now() + aheadMs;
      const later = await bench.accept({ sendAtMs });
      const now = await bench.accept();
      const behind = await bench.accept();
      const wasInTime = (await counters()).scheduled === 1;
      go();
      await bench.settled(3);
      expect(Date.now()).toBeGreaterThanOrEqual(sendAtMs);
      if (wasInTime) {
        expect(bench.ids()).toEqual([now.id, behind.id, later.id]);
        break;
      }
      await bench.close();
    }
  });

  it('an expired message is never sent late, and its conversation goes on', async () => {
    bench = await Bench.open(redis, { ratePerSecond: 5 });
    await bench.accept({ conversation: 'takes the token' });
    const id = newId();
    const expired = bench.queue.waitForOutcome(id, 10_000);
    const late = await bench.accept({ id, expiresAtMs: Date.now() + 80 });
    const next = await bench.accept();
    await bench.queue.pauseSender('s1', 'test');
    await bench.worker('w1');
    expect(await expired).toBe('expired');
    await bench.queue.resumeSender('s1');
    await bench.settled(2);
    expect(bench.ids()).not.toContain(late.id);
    expect(bench.ids()).toContain(next.id);
    expect(await counters()).toMatchObject({ accepted: 3, expired: 1, sent: 2 });
  });

  it('one that has expired when it is accepted ends once, in the order of its events', async () => {
    bench = await Bench.open(redis);
    await bench.worker('w1');
    const { id } = await bench.accept({ expiresAtMs: Date.now() - 1 });
    await eventually(async () => (await counters()).expired === 1);
    const entries = await bench.client.xrange('{wx:0}ev', '-', '+');
    const kinds = entries.flatMap(([, fields]) => fields.filter((_, i) => i % 2 === 0 && fields[i + 1]?.includes(id)));
    expect(kinds.map((kind) => kind.charAt(0))).toEqual(['A', 'X']);
    expect(await bench.client.zcard('{wx:0}at')).toBe(0);
  });
});

describe('Cancel', () => {
  it('ends what waits: in its conversation, at its head, and scheduled', async () => {
    bench = await Bench.open(redis);
    const head = await bench.accept();
    const middle = await bench.accept();
    const last = await bench.accept();
    const scheduled = await bench.accept({ sendAtMs: Date.now() + 60_000 });
    expect(await bench.queue.cancel({ ...middle, seq: 2 })).toBe('cancelled');
    expect(await bench.queue.cancel({ ...head, seq: 1 })).toBe('cancelled');
    expect(await bench.queue.cancel({ ...scheduled, seq: 4 })).toBe('cancelled');
    expect(await bench.queue.cancel({ ...middle, seq: 2 })).toBe('gone');
    await bench.worker('w1');
    await bench.settled(1);
    expect(bench.ids()).toEqual([last.id]);
    expect(await counters()).toMatchObject({ accepted: 4, cancelled: 3, sent: 1 });
  });

  it('refuses what is in flight', async () => {
    bench = await Bench.open(redis);
    await bench.worker('w1', SILENT);
    const one = await bench.accept();
    await bench.started(1);
    expect(await bench.queue.cancel({ ...one, seq: 1 })).toBe('in-flight');
  });

  it('frees a conversation whose head waits for a retry, at once', async () => {
    bench = await Bench.open(redis);
    const head = await bench.accept();
    const next = await bench.accept();
    await bench.worker('w1', (grant) =>
      grant.messageId === head.id ? { kind: 'retry', delayMs: 60_000, counted: true } : SENT,
    );
    await bench.settled(1);
    expect(await bench.queue.cancel({ ...head, seq: 1 })).toBe('cancelled');
    await bench.settled(2);
    expect(bench.ids()).toEqual([head.id, next.id]);
  });

  it('a conversation of which hundreds were cancelled goes on with what is left', async () => {
    bench = await Bench.open(redis);
    const all = await Promise.all(Array.from({ length: 120 }, () => bench.accept()));
    for (const [n, one] of all.slice(0, 119).entries()) await bench.queue.cancel({ ...one, seq: n + 1 });
    await bench.worker('w1');
    await bench.settled(1);
    expect(bench.ids()).toEqual([all[119]?.id]);
  });
});

describe('Where a message is', () => {
  it('place() names the hold and its end', async () => {
    bench = await Bench.open(redis, { pairGapMs: 60_000 });
    await bench.worker('w1');
    await bench.accept({ conversation: 'c1', contact: 'same' });
    await bench.settled(1);
    const paired = await bench.accept({ conversation: 'c2', contact: 'same' });
    const behind = await bench.accept({ conversation: 'c2', contact: 'same' });
    const place = await bench.queue.place({ ...paired, seq: 2 });
    expect(place).toMatchObject({ status: 'queued', hold: { kind: 'pair' }, position: 0, attempts: 0 });
    expect(place?.hold?.untilMs).toBeGreaterThan(Date.now() + 30_000);
    expect(await bench.queue.place({ ...behind, seq: 3 })).toMatchObject({
      hold: { kind: 'conversation' },
      position: 1,
    });
  });

  it('unrecorded() finds a message straight after its accept, and what ended it', async () => {
    bench = await Bench.open(redis);
    const one = await bench.accept({ text: 'secret' });
    expect(await bench.queue.unrecorded(one.id)).toMatchObject({
      id: one.id,
      body: one.body,
      place: { status: 'queued' },
      ended: null,
    });
    await bench.worker('w1');
    await bench.settled(1);
    expect(await bench.queue.unrecorded(one.id)).toMatchObject({
      place: null,
      ended: { status: 'sent', providerMessageId: 'wamid.1' },
    });
    expect(await bench.queue.unrecorded('00000000-0000-7000-8000-000000000000')).toBeNull();
  });

  it('unrecorded() looks again when a message ends while it is looked at', async () => {
    bench = await Bench.open(redis);
    const one = await bench.accept();
    const place = bench.queue.place.bind(bench.queue);
    vi.spyOn(bench.queue, 'place').mockImplementationOnce(async (target) => {
      await bench.worker('w1');
      await bench.settled(1);
      return place(target);
    });
    expect(await bench.queue.unrecorded(one.id)).toMatchObject({ place: null, ended: { status: 'sent' } });
  });

  it('unrecorded() follows a scheduled message into its conversation', async () => {
    bench = await Bench.open(redis);
    const first = await bench.accept();
    const scheduled = await bench.accept({ sendAtMs: Date.now() + 50 });
    await bench.queue.pauseSender('s1', 'test');
    await eventually(async () => (await counters()).scheduled === 0);
    const found = await bench.queue.unrecorded(scheduled.id);
    expect(found).toMatchObject({ place: { status: 'queued', position: 1 } });
    expect(await bench.queue.cancel({ ...scheduled, seq: found?.seq ?? 0 })).toBe('cancelled');
    expect(first.id).not.toBe(scheduled.id);
  });

  it('waitForOutcome() resolves with the event, not by looking again', async () => {
    bench = await Bench.open(redis);
    const one = message();
    const outcome = bench.queue.waitForOutcome(one.id, 5000);
    await bench.queue.accept(one);
    await bench.worker('w1');
    expect(await outcome).toBe('sent');
    expect(await bench.queue.waitForOutcome('00000000-0000-7000-8000-000000000000', 50)).toBeNull();
  });
});
