import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { auditShard } from '../../src/engine/audit.ts';
import { ScriptRunner } from '../../src/engine/script-runner.ts';
import { parseConsumers, parseGroups, parseStream } from '../../src/engine/stream-info.ts';
import { testRedis, type TestRedis } from '../support/services.ts';
import { Bench, FREE_SENDER, SENT, SILENT } from './support/bench.ts';
import { Ghost } from './support/ghost.ts';

let redis: TestRedis;
let bench: Bench | undefined;
beforeAll(async () => {
  redis = await testRedis();
});
afterEach(async () => {
  await bench?.close();
  bench = undefined;
});

const ALL = { shard: undefined, sender: undefined };

async function open(...args: Parameters<typeof Bench.open> extends [unknown, ...infer R] ? R : never): Promise<Bench> {
  bench = await Bench.open(redis, ...args);
  return bench;
}
async function expectSound(): Promise<void> {
  expect(await auditShard(bench?.client as never, 0)).toEqual([]);
}

describe('R8 · reset to latest', () => {
  it('R8 · skips everything unsent of a shard: each message is told as cancelled, and the counters add up', async () => {
    const one = await open({ pairGapMs: 60_000 });
    await one.worker('w1', ({ lane }) =>
      lane.conversation === 'retries'
        ? { kind: 'retry', delayMs: 60_000, counted: true }
        : { kind: 'deferred', delayMs: 60_000, block: lane.conversation === 'blocked' },
    );
    for (const conversation of ['retries', 'deferred', 'blocked']) await one.accept({ conversation });
    await one.settled(3);
    await one.queue.pauseSender('s1', 'test');
    for (const conversation of ['retries', 'blocked', 'deep']) {
      for (let n = 0; n < 70; n += 1)
        await one.accept({ conversation, ...(n % 7 === 0 ? { expiresAtMs: Date.now() + 90_000 } : {}) });
    }
    await one.accept({ conversation: 'later', sendAtMs: Date.now() + 3_600_000 });
    const before = await one.queue.counters();
    expect(await one.queue.streams.skip(ALL, 'ada')).toEqual({ cancelled: before.accepted, kept: 0 });
    expect(await one.queue.counters()).toMatchObject({
      accepted: 214,
      cancelled: 214,
      queued: 0,
      scheduled: 0,
      deferred: 0,
    });
    await expectSound();
    expect(await one.queue.streams.skip(ALL, 'ada')).toEqual({ cancelled: 0, kept: 0 });
    // Nothing that was skipped stands in the way of what comes next.
    await one.queue.resumeSender('s1');
    await one.accept({ conversation: 'deep', contact: 'another' });
    await one.settled(4);
    await expectSound();
  });

  it('R8 · what is in flight stays, other senders stay, and what comes meanwhile stays', async () => {
    const one = await open();
    await one.queue.configureSender({ ...FREE_SENDER, sender: 's2' });
    await one.worker('w1', SILENT, 1);
    const flying = await one.accept();
    await one.started(1);
    await one.accept();
    await one.accept({ sender: 's2' });
    const until = Number(await one.client.hget('{wx:0}g', 'seq'));
    await one.accept();
    // What the desk does with the sequence number of its start.
    await one.queue.runner.run('skip', 0, ['lane', 's1|t1|c1', until, 50, '']);
    expect(await one.queue.counters()).toMatchObject({ accepted: 4, cancelled: 1, queued: 2, inFlight: 1 });
    expect(await one.queue.streams.skip({ shard: 0, sender: 's1' }, 'ada')).toEqual({ cancelled: 1, kept: 1 });
    expect(await one.queue.counters()).toMatchObject({ cancelled: 2, queued: 1, inFlight: 1 });
    expect((await one.queue.unrecorded(flying.id))?.ended).toBeNull();
    await expectSound();
  });
});

describe('R8 · reset to begin', () => {
  it('R8 · every unsettled message goes again from the head of its conversation, and nothing settled does', async () => {
    const one = await open({}, { ambiguousWaitMs: 20, onAmbiguous: 'hold' });
    let good = false;
    await one.worker('w1', ({ lane }) => {
      if (good || lane.conversation === 'fine') return SENT;
      if (lane.conversation === 'retries') return { kind: 'retry', delayMs: 600_000, counted: true };
      if (lane.conversation === 'unknown') return { kind: 'unknown' };
      return { kind: 'deferred', delayMs: 600_000, block: lane.conversation === 'blocked' };
    });
    for (const conversation of ['fine', 'retries', 'unknown', 'deferred', 'blocked'])
      await one.accept({ conversation });
    const second = await one.accept({ conversation: 'retries' });
    const later = await one.accept({ conversation: 'later', sendAtMs: Date.now() + 3_600_000 });
    await one.settled(5);
    await expect.poll(async () => (await one.queue.counters()).held, { timeout: 5000 }).toBe(1);
    good = true;
    expect(await one.queue.streams.restart(ALL, 'ada')).toEqual({ retries: 1, deferred: 2, unknown: 1, kept: 0 });
    await one.settled(10);
    expect(await one.queue.counters()).toMatchObject({ accepted: 7, sent: 6, scheduled: 1 });
    const starts = one.ids();
    expect(
      starts.filter((id) => one.ledger.find(({ grant }) => grant.messageId === id)?.grant.lane.conversation === 'fine'),
    ).toHaveLength(1);
    expect(starts.at(starts.lastIndexOf(second.id))).toBe(second.id);
    expect(starts.indexOf(second.id)).toBeGreaterThan(4);
    expect(starts).not.toContain(later.id);
    await expectSound();
    expect(await one.queue.streams.restart(ALL, 'ada')).toEqual({ retries: 0, deferred: 0, unknown: 0, kept: 0 });
  });
});

describe('R8 · destroy and recreate', () => {
  it('R8 · stream and group are built again, what is being sent ends well, and no entry id comes twice', async () => {
    const one = await open();
    let answer: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => (answer = resolve));
    await one.worker('w1', async () => {
      await gate;
      return SENT;
    });
    for (let n = 0; n < 20; n += 1) await one.accept({ conversation: `c${n}` });
    await one.started(20);
    await one.client.xadd('{wx:0}out', '*', 'l', 'left over');
    const lastId = parseStream(await one.client.call('XINFO', 'STREAM', '{wx:0}out')).lastId;
    const done = await one.queue.streams.regroup(ALL);
    expect(done).toMatchObject({ returned: 0, removed: 1 });
    expect(done.kept).toBeGreaterThan(0);
    expect(parseStream(await one.client.call('XINFO', 'STREAM', '{wx:0}out')).lastId).toBe(lastId);
    await expectSound();
    expect(await one.queue.streams.health(0)).toMatchObject({
      hasGroup: true,
      consumers: 1,
      queueDepth: 0,
      pending: done.kept,
    });
    answer();
    await one.settled(20);
    await one.accept({ conversation: 'after' });
    await one.settled(21);
    expect(new Set(one.ids()).size).toBe(21);
    expect(await one.queue.counters()).toMatchObject({ accepted: 21, sent: 21 });
    await expectSound();
  });
});

describe('R8 · health', () => {
  it('R8 · a worker that was killed is counted no more, although nobody took over what it holds', async () => {
    const one = await open();
    const beat = (worker: string) => one.queue.runner.run('beat', 0, [worker, 100, 5]);
    await beat('killed');
    await one.accept();
    const workers = async () => {
      const { consumers, workers, pending } = await one.queue.streams.health(0);
      return { consumers, workers, pending, explained: (await one.queue.lookAtSender('s1', 't1'))?.workers };
    };
    expect(await workers()).toEqual({ consumers: 1, workers: 1, pending: 1, explained: 1 });
    // Five seconds of the shard's clock, in which it does not beat.
    await new ScriptRunner(one.client, () => Date.now() + 5000).run('tick', 0, [0, 0]);
    await one.queue.runner.run('tick', 0, [0, 0]);
    expect(await workers()).toEqual({ consumers: 0, workers: 0, pending: 1, explained: 0 });
    await beat('alive');
    expect(await workers()).toMatchObject({ consumers: 1, workers: 1, explained: 1 });
    await beat('killed');
    expect(await workers()).toMatchObject({ consumers: 2, workers: 2, explained: 2 });
  });
});

describe('R8 · destroy and recreate, with work that nobody has begun', () => {
  it('R8 · it goes back to its conversation and goes again, once', async () => {
    const one = await open({}, { startByMs: 10_000 });
    const ghost = new Ghost(one, 'silent', { startByMs: 10_000 });
    await ghost.wait(1);
    const { id } = await one.accept();
    expect(await one.queue.streams.health(0)).toMatchObject({ pending: 1, backlog: { waiting: 0, inFlight: 1 } });
    expect(await one.queue.streams.regroup(ALL)).toEqual({ returned: 1, kept: 0, removed: 0 });
    expect(await one.queue.streams.health(0)).toMatchObject({ pending: 0, backlog: { waiting: 1, inFlight: 0 } });
    await expectSound();
    await one.worker('w1');
    await one.settled(1);
    expect(one.ids()).toEqual([id]);
    expect(one.ledger[0]?.grant).toMatchObject({ attempt: 1 });
    await expectSound();
  });
});

describe('R8 · claim pending', () => {
  it('R8 · takes over what a dead worker holds; a live one keeps its own', async () => {
    // The live one must not give back what the dead one has not begun yet.
    const one = await open({}, { startByMs: 10_000 });
    await one.worker('alive', SILENT, 1);
    await one.accept();
    await one.started(1);
    await one.queue.runner.run('beat', 0, ['dead', 100, 5]);
    await one.accept({ conversation: 'c2' });
    const health = await one.queue.streams.health(0);
    expect(health).toMatchObject({
      consumers: 2,
      pending: 2,
      workers: 2,
      backlog: { waiting: 0, outside: 0, inFlight: 2 },
    });
    const entry = (await one.client.xrange('{wx:0}out', '-', '+')).at(-1)?.[0] ?? '';
    await one.queue.runner.run('exchange', 0, ['dead', 5, 0, '0', 60_000, 30_000, 'resend', 10_000, 1, 1, entry, 0]);
    expect(await one.queue.streams.claim({ shard: 0, sender: undefined })).toEqual({
      claimed: 1,
      removed: 0,
      workers: ['dead'],
    });
    expect(await one.queue.counters()).toMatchObject({ inFlight: 1, unknown: 1 });
    await expectSound();
  });
});

describe('R8 · claim pending, with nobody there', () => {
  it('R8 · left-over entries are removed, and who claimed them stays no consumer', async () => {
    const one = await open({}, { claimIdleMs: 1 });
    const out = '{wx:0}out';
    await one.queue.runner.run('beat', 0, ['w1', 100, 0]);
    await one.client.xadd(out, '*', 'l', 'left over');
    await one.client.xreadgroup('GROUP', 'wa_workers', 'w1', 'STREAMS', out, '>');
    // Redis counts how long it lies there in whole milliseconds.
    const idleMs = async () =>
      ((await one.client.xpending(out, 'wa_workers', '-', '+', 1)) as [string, string, number][])[0]?.[2];
    await expect.poll(idleMs).toBeGreaterThan(0);
    expect(await one.queue.streams.claim(ALL)).toMatchObject({ claimed: 0, removed: 1 });
    const reply = await one.client.call('XINFO', 'CONSUMERS', out, 'wa_workers');
    expect(parseConsumers(reply)).toMatchObject([{ name: 'w1', pending: 0 }]);
    await expectSound();
  });
});

describe('R2 · replies of Redis 6.2, 7 and 8', () => {
  const base = ['name', 'wa_workers', 'consumers', 2, 'pending', 3, 'last-delivered-id', '5-1'];

  it.each([
    ['6.2', base, null],
    ['7.0', [...base, 'entries-read', 9, 'lag', 4], 4],
    ['7.0, lag not known', [...base, 'entries-read', null, 'lag', null], null],
    ['8, more fields than are known', ['new-field', 1, ...base, 'entries-read', 9, 'lag', 0, 'nacked-count', 0], 0],
  ])('R2 · XINFO GROUPS of %s', (_version, reply, lag) => {
    expect(parseGroups([reply])).toEqual([
      { name: 'wa_workers', consumers: 2, pending: 3, lastDeliveredId: '5-1', lag },
    ]);
  });

  it.each([
    ['6.2', ['name', 'w1', 'pending', 1, 'idle', 20], null],
    ['7.0', ['name', 'w1', 'pending', 1, 'idle', 20], null],
    ['7.2', ['name', 'w1', 'pending', 1, 'idle', 20, 'inactive', 30], 30],
    ['8, never active', ['name', 'w1', 'pending', 1, 'idle', 20, 'inactive', -1], null],
  ])('R2 · XINFO CONSUMERS of %s', (_version, reply, inactiveMs) => {
    expect(parseConsumers([reply])).toEqual([{ name: 'w1', pending: 1, idleMs: 20, inactiveMs }]);
  });

  it('R2 · XINFO STREAM with the fields of 6.2 and of 7, as list and as map', () => {
    const old = ['length', 2, 'radix-tree-keys', 1, 'last-generated-id', '7-0', 'groups', 1];
    const found = { length: 2, lastId: '7-0' };
    expect(parseStream(old)).toEqual(found);
    expect(parseStream([...old, 'max-deleted-entry-id', '6-0', 'entries-added', 9])).toEqual(found);
    expect(
      parseStream(
        new Map<string, unknown>([
          ['length', 2],
          ['last-generated-id', '7-0'],
        ]),
      ),
    ).toEqual(found);
    expect(parseStream([])).toEqual({ length: 0, lastId: '0-0' });
  });

  it('R2 · a worker shows in XINFO CONSUMERS at once', async () => {
    const one = await open();
    await one.worker('w1');
    const reply = await one.client.call('XINFO', 'CONSUMERS', '{wx:0}out', 'wa_workers');
    expect(parseConsumers(reply).map(({ name }) => name)).toEqual(['w1']);
  });
});
