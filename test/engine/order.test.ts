import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { testRedis, type TestRedis } from '../support/services.ts';
import { watchStandstill } from '../support/standstill.ts';
import { Bench, byConversation, mostAtOnce, SENT, slow } from './support/bench.ts';

let redis: TestRedis;
let bench: Bench;
beforeAll(async () => {
  redis = await testRedis();
});
afterEach(() => bench.close());

/** Accepts one after another in one conversation, at once over conversations; returns the ids of each in their order. */
async function acceptAll(tenants: number, conversations: number, each: number): Promise<Map<string, string[]>> {
  const lanes = new Map<string, string[]>();
  const pending: Promise<unknown>[] = [];
  for (let n = 0; n < each; n += 1) {
    for (let t = 0; t < tenants; t += 1) {
      for (let c = 0; c < conversations; c += 1) {
        const accepted = bench.accept({ tenant: `t${t}`, conversation: `c${c}`, limits: { concurrency: 5 } });
        const lane = `s1|t${t}|c${c}`;
        pending.push(accepted.then(({ id }) => lanes.set(lane, [...(lanes.get(lane) ?? []), id])));
      }
    }
  }
  await Promise.all(pending);
  return lanes;
}

describe('Order', () => {
  it('S2 · S11 · a burst of 100 reaches the provider in under 5 s, each conversation in the order of acceptance', async () => {
    bench = await Bench.open(redis);
    await bench.worker(
      'w1',
      slow(() => 5 + Math.random() * 40),
    );
    const standstill = watchStandstill(() => bench.client.ping());
    const startMs = performance.now();
    const accepted = await acceptAll(2, 5, 10);
    await bench.settled(100, 20_000);
    expect(performance.now() - startMs).toBeLessThan(5000 + standstill.ms());
    expect(byConversation(bench.ledger)).toEqual(accepted);
  });

  it('S2 · S11 · 20 messages of one conversation go in order, one at a time, over two workers', async () => {
    bench = await Bench.open(redis);
    await bench.worker(
      'w1',
      slow(() => 1 + Math.random() * 10),
      2,
    );
    await bench.worker(
      'w2',
      slow(() => 1 + Math.random() * 10),
      2,
    );
    const accepted = await acceptAll(1, 1, 20);
    await bench.settled(20);
    expect(byConversation(bench.ledger)).toEqual(accepted);
    expect(mostAtOnce(bench.ledger)).toBe(1);
  });

  it('S2 · S11 · 100 messages over 10 tenants keep the order of each conversation under random retries', async () => {
    bench = await Bench.open(redis);
    const answer = () => (Math.random() < 0.3 ? ({ kind: 'retry', delayMs: 20, counted: true } as const) : SENT);
    const sent: string[] = [];
    const provider = (grant: { messageId: string }) => {
      const settlement = answer();
      if (settlement.kind === 'sent') sent.push(grant.messageId);
      return settlement;
    };
    await bench.worker('w1', provider);
    await bench.worker('w2', provider);
    const accepted = await acceptAll(10, 2, 5);
    await bench.until(() => sent.length === 100, '100 sent messages');
    for (const ids of accepted.values()) expect(sent.filter((id) => ids.includes(id))).toEqual(ids);
    expect(new Set(sent).size).toBe(100);
  });

  it('S2 · a retry holds its own conversation and nothing else', async () => {
    bench = await Bench.open(redis);
    const first = await bench.accept({ conversation: 'c1' });
    const second = await bench.accept({ conversation: 'c1' });
    const other = await bench.accept({ conversation: 'c2' });
    let retries = 0;
    await bench.worker('w1', (grant) =>
      grant.messageId === first.id && retries++ === 0 ? { kind: 'retry', delayMs: 300, counted: true } : SENT,
    );
    await bench.settled(4);
    expect(bench.ids()).toEqual([first.id, other.id, first.id, second.id]);
  });

  it('S6 · a better priority goes first among conversations, never across the order of one', async () => {
    bench = await Bench.open(redis, { concurrency: 1 });
    const low = await bench.accept({ conversation: 'low', priority: 1 });
    const plain = await bench.accept({ conversation: 'plain', priority: 5 });
    const high = await bench.accept({ conversation: 'high', priority: 10 });
    const laterHigh = await bench.accept({ conversation: 'low', priority: 10 });
    await bench.worker('w1');
    await bench.settled(4);
    expect(bench.ids().slice(0, 3)).toEqual([high.id, plain.id, low.id]);
    expect(bench.ids()[3]).toBe(laterHigh.id);
  });

  it('S6 · a tenant with urgent messages does not starve another that shares its sender', async () => {
    bench = await Bench.open(redis, { concurrency: 1 });
    for (let n = 0; n < 40; n += 1) await bench.accept({ tenant: 'loud', conversation: `c${n}`, priority: 10 });
    await bench.accept({ tenant: 'quiet', conversation: 'c', priority: 1 });
    await bench.worker('w1');
    await bench.settled(41);
    expect(bench.ledger.findIndex(({ grant }) => grant.lane.tenant === 'quiet')).toBeLessThan(4);
  });

  it('Fair · tenants that share a sender take turns by weight, whatever their backlog', async () => {
    bench = await Bench.open(redis, { concurrency: 1 });
    for (let n = 0; n < 60; n += 1)
      await bench.accept({ tenant: 'three', conversation: `c${n}`, limits: { weight: 3, concurrency: 5 } });
    for (let n = 0; n < 20; n += 1)
      await bench.accept({ tenant: 'one', conversation: `c${n}`, limits: { weight: 1, concurrency: 5 } });
    await bench.worker('w1');
    await bench.settled(80);
    const first40 = bench.ledger.slice(0, 40).filter(({ grant }) => grant.lane.tenant === 'three').length;
    expect(first40).toBeGreaterThanOrEqual(28);
    expect(first40).toBeLessThanOrEqual(32);
  });
});
