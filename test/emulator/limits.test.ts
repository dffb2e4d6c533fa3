import { describe, expect, it } from 'vitest';
import { control, CUSTOMER, emulator, eventually, NUMBER, post, text } from './support.ts';
import { Pairs } from '../../src/emulator/pairs.ts';
import { RollingSecond } from '../../src/emulator/rolling.ts';

const codes = (answers: { body: { error?: { code: number } } }[]): (number | undefined)[] =>
  answers.map((answer) => answer.body.error?.code);

describe('limits', () => {
  it('S4 · refuses with 130429 exactly what exceeds the number in a rolling second', async () => {
    const target = await emulator({ settings: { limits: { throughputPerSecond: 5, pairCapacity: 0 } } });
    // However slow the machine: sending goes on until the limit was met three times and left twice.
    const outcomes = (): string =>
      target
        .ledger()
        .map((entry) => entry.outcome[0])
        .join('');
    await eventually(async () => {
      await post(target, text());
      return /l+a.*l+a.*l/.test(outcomes());
    });
    const passed: number[] = [];
    for (const entry of target.ledger()) {
      const inWindow = passed.filter((atMs) => atMs > entry.atMs - 1000).length;
      expect(entry.outcome).toBe(inWindow >= 5 ? 'limited' : 'accepted');
      expect(entry.code).toBe(inWindow >= 5 ? 130429 : null);
      if (entry.outcome === 'accepted') passed.push(entry.atMs);
    }
    expect(target.stats().numbers[0]).toMatchObject({ passedPerSecondMax: 5 });
    expect(target.ledger().find((entry) => entry.outcome === 'limited')).toMatchObject({
      httpStatus: 429,
      taken: false,
    });
  });

  it('has Meta’s figures as defaults: 80 per second, 45 per pair, one back per 6 s', async () => {
    const target = await emulator();
    await post(target, text());
    expect(target.stats().numbers[0]).toMatchObject({
      throughputPerSecond: 80,
      pairCapacity: 45,
      pairRefillMs: 6000,
    });
  });

  it('refuses with 131056 when a pair used its 45, counts by wa_id, and leaves other pairs alone', async () => {
    const target = await emulator({ settings: { limits: { throughputPerSecond: 0, pairRefillMs: 3_600_000 } } });
    const answers = [];
    // Two ways to write one Brazilian number: one person, one bucket.
    for (let i = 0; i < 46; i += 1)
      answers.push(await post(target, text('x', { to: i % 2 ? '+5547984178525' : '+554784178525' })));
    expect(codes(answers).filter((code) => code === undefined)).toHaveLength(45);
    expect(codes(answers)[45]).toBe(131056);
    expect((await post(target, text())).status).toBe(200);
    expect(target.stats().numbers[0]?.pairHits).toBe(1);
  });

  it('changes the limits of one number while it runs', async () => {
    const target = await emulator();
    await control(target, 'PATCH', `/numbers/${NUMBER}`, { throughputPerSecond: 1 });
    await eventually(async () => (await post(target, text())).body.error?.code === 130429);
    expect((await post(target, text(), '2000')).status).toBe(200);
    await control(target, 'PATCH', `/numbers/${NUMBER}`, { throughputPerSecond: 0 });
    expect((await post(target, text())).status).toBe(200);
  });

  it('refuses recipients that a test number may not write to (131030)', async () => {
    const target = await emulator({ settings: { allowedRecipients: [CUSTOMER] } });
    expect((await post(target, text())).status).toBe(200);
    expect((await post(target, text('x', { to: '+491700000000' }))).body.error?.code).toBe(131030);
  });
});

describe('the meters', () => {
  it('a rolling second counts (t − 1000 ms, t] and remembers its maximum', () => {
    const rolling = new RollingSecond();
    for (let i = 0; i < 200; i += 1) rolling.add(1000 + i * 10);
    expect(rolling.max).toBe(100);
    expect(rolling.count(2990)).toBe(100);
    expect(rolling.count(3980)).toBe(1);
    expect(rolling.count(3990)).toBe(0);
  });

  it('a pair gets one message back per refill time, and never more than its capacity', () => {
    const pairs = new Pairs();
    const limit = { capacity: 2, refillMs: 6000 };
    const take = (atMs: number): boolean => pairs.take('1', 'a', atMs, limit);
    expect([take(1000), take(1000), take(1000)]).toEqual([true, true, false]);
    expect([take(6999), take(7000), take(7001)]).toEqual([false, true, false]);
    expect([take(100_000), take(100_000), take(100_000)]).toEqual([true, true, false]);
  });

  it('reports the smallest gap of a pair', () => {
    const pairs = new Pairs();
    for (const at of [1000, 3000, 3500, 9000]) pairs.arrived('1', 'a', at);
    for (const at of [1000, 1200]) pairs.arrived('1', 'b', at);
    expect(pairs.smallestGaps(2)).toEqual([
      { phoneNumberId: '1', recipient: 'b', minGapMs: 200 },
      { phoneNumberId: '1', recipient: 'a', minGapMs: 500 },
    ]);
  });
});
