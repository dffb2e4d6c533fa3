import { expect, test } from 'vitest';
import { DirectPace, type Paced } from '../../src/worker/direct-pace.ts';

function message(ratePerSecond: number, n: number): Paced {
  const limits = { ratePerSecond, burst: 1, concurrency: 100, pairGapMs: 0, pairBucketCapacity: 0 };
  const to = { sender: 's1', tenant: 't1', contact: `k${n}` };
  return { ...to, limits: { ...limits, pairBucketRefillPerSecond: 0 }, tenantConcurrency: 100 };
}

test.each([
  [0.01, 10, 100],
  [10, 0.5, 2000],
  [10, 0, 0],
])(
  'S4 · S7 · past the queue, a rate that is changed from %d to %d a second counts at once: the next goes after %d ms',
  (before, after, waitMs) => {
    const pace = new DirectPace();
    pace.start(message(before, 1), 1000);
    expect(pace.waitMs(message(before, 2), 1000)).toBe(1000 / before);
    expect(pace.waitMs(message(after, 2), 1000)).toBe(waitMs);
    // A message that was drafted before the change finds what it would have found.
    if (after > 0) expect(pace.waitMs(message(before, 3), 1000)).toBe(1000 / before);
  },
);

test('past the queue, each limit of a pair in a row waits longer, and one that something went between is the first again', () => {
  const pace = new DirectPace();
  const one = message(0, 1);
  const limited = { on: 'pair', waitsMs: [4000, 16_000] } as const;
  let now = 1000;
  const next = (wasSent: boolean, brake?: typeof limited) => {
    pace.start(one, now);
    pace.end(one, now, wasSent, brake);
    const waitMs = pace.waitMs(one, now) ?? -1;
    now += waitMs;
    return waitMs;
  };
  expect(next(false, limited)).toBe(4000);
  expect(next(false)).toBe(0); // refused for another reason
  expect(next(false, limited)).toBe(16_000);
  expect(next(false, limited)).toBe(16_000);
  expect(next(true)).toBe(0);
  expect(next(false, limited)).toBe(4000);
  now += 63_000;
  expect(next(false, limited)).toBe(16_000);
  now += 64_000; // so long a silence ends the row, as in the queue
  expect(next(false, limited)).toBe(4000);
});
