import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { RedisTarget } from '../../src/engine/connection.ts';
import type { BadHealth, Grant, SettleRequest, Settlement } from '../../src/engine/contract.ts';
import { ShardEventLog } from '../../src/engine/event-log.ts';
import type { EngineOptions } from '../../src/engine/options.ts';
import { ShardReader } from '../../src/engine/shard-reader.ts';
import { WorkerLink } from '../../src/engine/worker-link.ts';
import { eventually } from '../support/eventually.ts';
import { type TestRedis, testRedis } from '../support/services.ts';
import { Bench, FREE_SENDER, SENT } from './support/bench.ts';

const OPEN_MS = 250;
const BY = { cause: 'person', by: 'ada', delayMs: 0 } as const;
const RETRY: Settlement = { kind: 'retry', delayMs: 20_000, counted: true };
const bad = (opens: boolean): BadHealth => ({ opens, openMs: OPEN_MS });

/** A worker whose attempts are answered by the test, one by one or by a rule. */
class HandWorker {
  readonly link: WorkerLink;
  readonly began: { grant: Grant; atMs: number }[] = [];
  answer: ((grant: Grant) => Omit<SettleRequest, 'grant' | 'report'> | null) | null = null;

  constructor(target: RedisTarget, name: string, engine: Partial<EngineOptions>) {
    this.link = new WorkerLink({
      ...engine,
      redis: target,
      shard: 0,
      worker: name,
      slots: 50,
      onGrants: (grants) => void this.#attend(grants),
    });
  }

  async settle(grant: Grant, request: Omit<SettleRequest, 'grant' | 'report'>) {
    return await this.link.settle({ grant, report: null, ...request });
  }

  async #attend(grants: readonly Grant[]): Promise<void> {
    const [first] = grants;
    if (first === undefined || !(await this.link.begin(first.entry))) return;
    for (const grant of grants) {
      this.began.push({ grant, atMs: performance.now() });
      const request = this.answer?.(grant) ?? null;
      if (request !== null) void this.settle(grant, request);
    }
  }
}

describe('P4 · circuit of a sender', () => {
  let redis: TestRedis;
  let bench: Bench;
  const workers: HandWorker[] = [];

  beforeAll(async () => {
    redis = await testRedis();
  });
  afterEach(async () => {
    for (const { link } of workers.splice(0)) await link.close();
    await bench.close();
  });

  async function worker(name: string, engine: Partial<EngineOptions> = {}): Promise<HandWorker> {
    const made = new HandWorker(bench.target, name, engine);
    workers.push(made);
    await made.link.start();
    return made;
  }
  const began = () => workers.flatMap((one) => one.began);
  const states = async () => (await bench.queue.circuits()).open.map(({ state }) => state);

  /** Opens the circuit of s1 with a failed attempt of conversation `first`. */
  async function openCircuit(hand: HandWorker) {
    const first = await bench.accept({ conversation: 'first' });
    await eventually(() => expect(hand.began).toHaveLength(1));
    const [attempt] = hand.began;
    if (attempt === undefined) throw new Error('no attempt');
    const openedAtMs = performance.now();
    await hand.settle(attempt.grant, { settlement: RETRY, badHealth: bad(true) });
    return { first, openedAtMs };
  }

  it('holds everything of the sender over all workers, with the kind circuit and its end, and counts no attempt', async () => {
    bench = await Bench.open(redis);
    await worker('w1');
    await worker('w2');
    // Whoever is idle gets the first: settle through the one that has it.
    const first = await bench.accept({ conversation: 'first' });
    await eventually(() => expect(began()).toHaveLength(1));
    const holder = workers.find((candidate) => candidate.began.length === 1);
    const attempt = began()[0];
    if (attempt === undefined) throw new Error('no attempt');
    await holder?.settle(attempt.grant, { settlement: RETRY, badHealth: { opens: true, openMs: 60_000 } });
    const second = await bench.accept({ conversation: 'second' });
    for (const one of [first, second]) {
      const place = await bench.queue.place({ id: one.id, lane: one.lane, seq: one === first ? 1 : 2 });
      expect(place?.hold?.kind).toBe('circuit');
      expect(place?.hold?.untilMs).toBeGreaterThan(Date.now() + 50_000);
    }
    expect(began()).toHaveLength(1);
    expect(await bench.queue.circuits()).toMatchObject({
      open: [{ sender: 's1', state: 'open' }],
      opened: 1,
      closed: 0,
    });
    // Another sender of the same workers is not concerned.
    await bench.queue.configureSender({ ...FREE_SENDER, sender: 's2' });
    await bench.accept({ sender: 's2' });
    await eventually(() => expect(began()).toHaveLength(2));
  });

  it('lets one probe through after its time, over all workers, and closes when it succeeds', async () => {
    bench = await Bench.open(redis);
    const hand = await worker('w1');
    const { openedAtMs } = await openCircuit(hand);
    await worker('w2');
    for (let n = 0; n < 20; n += 1) await bench.accept({ conversation: `c${n}` });
    await eventually(() => expect(began()).toHaveLength(2));
    const probe = began()[1];
    if (probe === undefined) throw new Error('no probe');
    expect(probe.atMs - openedAtMs).toBeGreaterThanOrEqual(OPEN_MS - 1);
    expect(await states()).toEqual(['half-open']);
    // Nobody else goes while it is on its way: a call of every worker finds nothing.
    for (const { link } of workers) link.takeMore();
    await bench.accept({ conversation: 'late' });
    expect(began()).toHaveLength(2);
    for (const one of workers) one.answer = () => ({ settlement: SENT });
    const holder = workers.find((one) => one.began.includes(probe));
    await holder?.settle(probe.grant, { settlement: SENT });
    await eventually(() => expect(began()).toHaveLength(23));
    await eventually(async () => expect(await bench.queue.counters()).toMatchObject({ sent: 22, queued: 0 }));
    expect(await bench.queue.circuits()).toEqual({ open: [], opened: 1, closed: 1 });
    expect(await bench.client.exists('{wx:0}cb')).toBe(0);
  });

  it('opens again when the probe fails; each probe is another conversation, and none burns an attempt', async () => {
    bench = await Bench.open(redis);
    const hand = await worker('w1');
    await openCircuit(hand);
    await bench.accept({ conversation: 'second' });
    hand.answer = () => ({ settlement: { kind: 'failed', error: FAILED }, badHealth: bad(false) });
    await eventually(() => expect(hand.began.length).toBeGreaterThanOrEqual(4), { timeoutMs: 8000 });
    const probes = hand.began.slice(1, 4).map(({ grant }) => grant.lane.conversation);
    expect(new Set(probes.slice(0, 2)).size).toBe(2);
    for (const { grant } of hand.began) expect(grant.counted).toBe(0);
    expect(await bench.queue.counters()).toMatchObject({ failed: 0, accepted: 2 });
    hand.answer = () => ({ settlement: SENT });
    await eventually(async () => expect(await bench.queue.counters()).toMatchObject({ sent: 2 }), { timeoutMs: 8000 });
  });

  it('a probe that comes back unstarted, or whose worker dies, lets another one go', async () => {
    bench = await Bench.open(redis);
    const hand = await worker('w1');
    await openCircuit(hand);
    await eventually(() => expect(hand.began).toHaveLength(2));
    const probe = hand.began[1];
    if (probe === undefined) throw new Error('no probe');
    await hand.settle(probe.grant, { settlement: { kind: 'unstarted' } });
    await eventually(() => expect(hand.began).toHaveLength(3));
    expect(await states()).toEqual(['half-open']);
    // Its worker says goodbye with the probe in flight: nobody knows how that went, the next conversation tries.
    await bench.accept({ conversation: 'second' });
    workers.splice(0, 1);
    await hand.link.close();
    const next = await worker('w2');
    next.answer = () => ({ settlement: SENT });
    await eventually(async () => expect(await bench.queue.circuits()).toMatchObject({ open: [], closed: 1 }));
  });

  it('a late answer of an attempt from before neither closes nor prolongs it; a person lets the probe go at once', async () => {
    bench = await Bench.open(redis);
    const hand = await worker('w1');
    await bench.accept({ conversation: 'a' });
    await bench.accept({ conversation: 'b' });
    await bench.accept({ conversation: 'c' });
    await eventually(() => expect(hand.began).toHaveLength(3));
    const [a, b, c] = hand.began.map(({ grant }) => grant);
    if (a === undefined || b === undefined || c === undefined) throw new Error('three attempts were begun');
    await hand.settle(a, { settlement: RETRY, badHealth: { opens: true, openMs: 60_000 } });
    const until = (await bench.queue.circuits()).open[0]?.untilMs ?? 0;
    await hand.settle(b, { settlement: SENT });
    await hand.settle(c, { settlement: RETRY, badHealth: { opens: true, openMs: 600_000 } });
    const after = (await bench.queue.circuits()).open[0];
    expect(after?.state).toBe('open');
    expect(Math.abs((after?.untilMs ?? 0) - until)).toBeLessThan(60_000);
    // What every start of a process says again changes nothing.
    await bench.queue.configureSender({ ...FREE_SENDER, concurrency: 500 });
    expect(await states()).toEqual(['open']);
    hand.answer = () => ({ settlement: SENT });
    await bench.queue.resumeSender('s1');
    await eventually(async () => expect(await bench.queue.counters()).toMatchObject({ sent: 3 }));
    expect(await bench.queue.circuits()).toMatchObject({ open: [], opened: 1, closed: 1 });
  });

  it.each(['redrive', 'hasten', 'resend'] as const)(
    'takes a message that comes back (%s) as its probe, and the next one waits for it',
    async (verb) => {
      bench = await Bench.open(redis, {}, { onAmbiguous: 'hold', ambiguousWaitMs: 50 });
      const hand = await worker('w1', { onAmbiguous: 'hold', ambiguousWaitMs: 50 });
      const one = await bench.accept({ conversation: 'back' });
      await eventually(() => expect(hand.began).toHaveLength(1));
      const [attempt] = hand.began;
      if (attempt === undefined) throw new Error('no attempt');
      const ends: Record<typeof verb, Settlement> = {
        redrive: { kind: 'failed', error: FAILED },
        hasten: { kind: 'deferred', delayMs: 600_000, block: false },
        resend: { kind: 'unknown' },
      };
      await hand.settle(attempt.grant, { settlement: ends[verb] });
      // What nobody knows the outcome of waits for evidence first, and then for a person.
      if (verb === 'resend')
        await eventually(async () => expect(await bench.queue.counters()).toMatchObject({ held: 1 }));
      // Opened by another sender's credential, so that no message of this one stands ready to be the probe.
      await hand.link.openCircuit('s1', OPEN_MS);
      await eventually(async () => expect(await states()).toEqual(['half-open']));
      const { retries } = bench.queue;
      const calls: Record<typeof verb, () => Promise<unknown>> = {
        redrive: () => retries.redrive({ ...one, shard: 0, expiresAtMs: null, attempts: 1 }, 'failed', BY),
        hasten: () => retries.hasten({ id: one.id, lane: one.lane, shard: 0 }, { attempts: 1, slowRetries: 1 }),
        resend: () => retries.resend({ id: one.id, lane: one.lane, shard: 0 }, 'ada'),
      };
      expect(await calls[verb]()).toBe('done');
      await eventually(() => expect(hand.began).toHaveLength(2));
      expect(hand.began[1]?.grant.messageId).toBe(one.id);
      await bench.accept({ conversation: 'next' });
      hand.link.takeMore();
      expect(await states()).toEqual(['half-open']);
      expect(hand.began).toHaveLength(2);
      const probe = hand.began[1];
      if (probe === undefined) throw new Error('no probe');
      hand.answer = () => ({ settlement: SENT });
      await hand.settle(probe.grant, { settlement: SENT });
      await eventually(async () => expect(await bench.queue.counters()).toMatchObject({ accepted: 2, sent: 2 }));
      expect(await bench.queue.circuits()).toEqual({ open: [], opened: 1, closed: 1 });
    },
  );

  it('tells every opening and closing in the event log, once', async () => {
    bench = await Bench.open(redis);
    const hand = await worker('w1');
    const { first } = await openCircuit(hand);
    hand.answer = () => ({ settlement: SENT });
    await eventually(async () => expect(await bench.queue.circuits()).toMatchObject({ closed: 1 }));
    const log = new ShardEventLog(0, bench.client, new ShardReader(bench.target, 0));
    const events = (await log.read('0-0', 100, 2000)).flatMap(({ events: found }) => found);
    await log.close();
    const circuit = events.filter(({ type }) => type === 'circuit');
    expect(circuit).toMatchObject([
      { messageId: 's1', state: 'open', reason: 'failures' },
      { messageId: 's1', state: 'closed', untilMs: null },
    ]);
    const retry = events.find(({ type, messageId }) => type === 'retry' && messageId === first.id);
    expect(retry).toMatchObject({ delayMs: 0 });
  });
});

const FAILED = {
  code: 'PROVIDER_REJECTED',
  providerCode: '131016',
  title: 'Service temporarily unavailable',
  detail: 'Try again.',
  retryable: true,
} as const;
