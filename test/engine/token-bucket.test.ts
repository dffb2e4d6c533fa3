import { afterAll, beforeAll, expect, it } from 'vitest';
import { testRedis, type TestRedis } from '../support/services.ts';
import { Bench, grants } from './support/bench.ts';

/* The bucket of one instance: a burst after a quiet time, then one message per token. Scaled: 10 tokens a second. */

let redis: TestRedis;
let bench: Bench;
beforeAll(async () => {
  redis = await testRedis();
  bench = await Bench.open(redis, { ratePerSecond: 10, burst: 5 });
});
afterAll(() => bench.close());

it('R4 · a bucket of 5 gives 5 messages at once, then one per token, and never one early', async () => {
  // All of them wait when the first worker comes, so that nothing but the bucket decides when they go.
  await Promise.all(Array.from({ length: 10 }, (_, n) => bench.accept({ conversation: `c${n}` })));
  await bench.worker('w1');
  await bench.worker('w2');
  await bench.until((ledger) => ledger.length === 10, 'all ten');
  const times = grants(bench.ledger);
  const since = times.map((atMs) => atMs - (times[0] ?? 0));
  expect(since[4]).toBeLessThan(90);
  for (let n = 5; n < 10; n += 1) {
    // The n-th message needs n − 4 tokens that were not there; the times are whole milliseconds.
    expect(since[n]).toBeGreaterThanOrEqual((n - 4) * 100 - 1);
  }
});
