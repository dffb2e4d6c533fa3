import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { eventually, testRedis, type TestRedis } from '../support/services.ts';
import { Bench, FREE_SENDER, message, SENT, SILENT, slow } from './support/bench.ts';
import { Ghost } from './support/ghost.ts';

let redis: TestRedis;
let bench: Bench;
beforeAll(async () => {
  redis = await testRedis();
});
afterEach(() => bench.close());

async function pendingOf(worker: string): Promise<number> {
  const consumers = (await bench.client.xinfo('CONSUMERS', '{wx:0}out', 'wa_workers')) as unknown[][];
  const fields = consumers.find((one) => one[1] === worker) ?? [];
  return Number(fields[fields.indexOf('pending') + 1] ?? -1);
}
async function acceptMany(count: number): Promise<void> {
  await Promise.all(Array.from({ length: count }, (_, n) => bench.accept({ conversation: `c${n % 10}` })));
}

describe('Disturbances', () => {
  it('R2 · a worker shows in XINFO CONSUMERS at once, with what it holds, and is gone when it left', async () => {
    bench = await Bench.open(redis);
    const link = await bench.worker('w1', SILENT, 3);
    expect(await pendingOf('w1')).toBe(0);
    await acceptMany(3);
    await bench.started(3);
    expect(await pendingOf('w1')).toBeGreaterThan(0);
    await link.close();
    expect(await pendingOf('w1')).toBe(-1);
    expect(await bench.queue.counters()).toMatchObject({ unknown: 3 });
  });

  it('SCRIPT FLUSH between calls is not noticed', async () => {
    bench = await Bench.open(redis);
    await bench.worker('w1');
    for (let n = 0; n < 5; n += 1) {
      await bench.client.script('FLUSH');
      await bench.accept();
      await bench.client.script('FLUSH');
      await bench.settled(n + 1);
    }
    expect(await bench.queue.counters()).toMatchObject({ accepted: 5, sent: 5 });
  });

  it('XGROUP DESTROY loses nothing, repeats nothing, and leaves nothing pending', async () => {
    bench = await Bench.open(redis);
    await bench.worker('w1', slow(5), 4);
    await bench.worker('w2', slow(5), 4);
    const accepted = acceptMany(100);
    await bench.settled(20);
    await bench.client.xgroup('DESTROY', '{wx:0}out', 'wa_workers');
    await accepted;
    await bench.settled(100);
    expect(new Set(bench.ids()).size).toBe(100);
    expect(bench.ledger).toHaveLength(100);
    await eventually(async () => (await bench.client.xlen('{wx:0}out')) === 0);
    expect(((await bench.client.xpending('{wx:0}out', 'wa_workers')) as [number])[0]).toBe(0);
  });

  it('after XGROUP DESTROY a dead worker is still taken over, also when nothing else can be handed out', async () => {
    const engine = { sendTimeoutMs: 200, ambiguousWaitMs: 200 };
    bench = await Bench.open(redis, { concurrency: 1 }, engine);
    const one = await bench.accept();
    const ghost = new Ghost(bench, 'ghost', engine);
    await ghost.take(1);
    await bench.client.xgroup('DESTROY', '{wx:0}out', 'wa_workers');
    await bench.worker('w1');
    await bench.settled(1, 9000);
    expect(bench.ledger[0]?.grant).toMatchObject({ messageId: one.id, attempt: 2 });
  });

  it('a group that is set back steals no live work', async () => {
    bench = await Bench.open(redis);
    let open: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => (open = resolve));
    const provider = async () => {
      await gate;
      return SENT;
    };
    await bench.worker('w1', provider, 5);
    await bench.accept({ conversation: 'held' });
    await bench.started(1);
    await bench.client.xgroup('SETID', '{wx:0}out', 'wa_workers', '0');
    const link = await bench.worker('w2', provider, 5);
    for (let n = 0; n < 6; n += 1) await bench.accept({ conversation: `c${n}` });
    await bench.started(7);
    // The one that took it over by mistake leaves: that must not end the other's attempt.
    const held = bench.ledger[0]?.worker;
    expect(held).toBe('w1');
    await link.close();
    expect(await pendingOf('w1')).toBeGreaterThan(0);
    const ofTheOther = bench.ledger.filter(({ worker }) => worker === 'w2').length;
    expect(await bench.queue.counters()).toMatchObject({ unknown: ofTheOther, inFlight: 7 - ofTheOther });
    open();
    await eventually(async () => (await bench.queue.counters()).inFlight === 0);
    const { sent, unknown } = await bench.queue.counters();
    expect(sent + unknown).toBe(7);
    expect(bench.ledger.filter(({ worker, endMs }) => worker === 'w1' && endMs === null)).toHaveLength(0);
    expect(unknown).toBe(bench.ledger.filter(({ worker }) => worker === 'w2').length);
  });

  it('after FLUSHALL everything goes on once the sender is configured again', async () => {
    bench = await Bench.open(redis);
    await bench.worker('w1');
    await bench.accept();
    await bench.settled(1);
    await bench.client.flushall();
    await expect(bench.queue.accept(message())).rejects.toThrow('configure it first');
    await bench.queue.configureSender(FREE_SENDER);
    await bench.accept();
    await bench.settled(2);
    expect(await bench.queue.counters()).toMatchObject({ accepted: 1, sent: 1 });
  });

  it('a settlement of what FLUSHALL took away is stale, and the next message goes', async () => {
    bench = await Bench.open(redis);
    await bench.worker('w1', slow(50));
    await bench.accept();
    await bench.started(1);
    await bench.client.flushall();
    await bench.settled(1);
    await bench.queue.configureSender(FREE_SENDER);
    await bench.accept();
    await bench.settled(2);
    expect(await bench.queue.counters()).toMatchObject({ accepted: 1, sent: 1, inFlight: 0 });
  });

  it('rights that are taken away and given back: 503 meanwhile, and then all goes on', async () => {
    bench = await Bench.open(redis);
    await bench.worker('w1');
    await bench.accept();
    await bench.settled(1);
    await bench.client.acl('SETUSER', 'default', '-@scripting');
    try {
      await expect(bench.accept()).rejects.toMatchObject({ code: 'QUEUE_UNAVAILABLE' });
    } finally {
      await bench.client.acl('SETUSER', 'default', '+@scripting');
    }
    await bench.accept();
    await bench.settled(2);
  });

  it('a body that fails its checksum is never handed over as sendable', async () => {
    bench = await Bench.open(redis);
    const damaged = await bench.accept({ text: 'pay 100' });
    const whole = await bench.accept({ conversation: 'c2' });
    const element = (await bench.client.lindex('{wx:0}c:s1|t1|c1', 0)) ?? '';
    await bench.client.lset('{wx:0}c:s1|t1|c1', 0, element.replace('pay 100', 'pay 900'));
    await bench.worker('w1', (grant) =>
      grant.body === null
        ? {
            kind: 'failed',
            error: { code: 'BODY_DAMAGED', providerCode: null, title: '', detail: '', retryable: false },
          }
        : SENT,
    );
    await bench.settled(2);
    const bodies = new Map(bench.ledger.map(({ grant }) => [grant.messageId, grant.body]));
    expect(bodies.get(damaged.id)).toBeNull();
    expect(bodies.get(whole.id)).toBe(whole.body);
  });

  it('S10 · a worker that stops taking finishes what it has, and what came meanwhile goes to another at once', async () => {
    bench = await Bench.open(redis);
    const first = await bench.worker('w1', slow(100), 10);
    await bench.accept({ conversation: 'first' });
    await bench.started(1);
    void first.stopTaking();
    await eventually(async () => (await bench.client.zscore('{wx:0}iw', 'w1')) === null);
    await bench.worker('w2');
    for (let n = 0; n < 10; n += 1) await bench.accept({ conversation: `c${n}` });
    await bench.settled(11);
    expect(bench.ledger.filter(({ worker }) => worker === 'w1')).toHaveLength(1);
    await first.close();
    expect(await bench.queue.counters()).toMatchObject({ accepted: 11, sent: 11 });
  });
});
