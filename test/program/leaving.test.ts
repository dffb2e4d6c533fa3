import { describe, expect, test } from 'vitest';
import { Leaving } from '../../src/program/leaving.ts';

/** Steps by hand. */
function withClock(drainMs = 40) {
  const clock = { ms: 0 };
  return { clock, leaving: new Leaving({ drainMs, graceMs: 20_000, now: () => clock.ms }) };
}

describe('R10 · leaving', () => {
  test('serves on while a load balancer hears of it, then closes', async () => {
    const { leaving } = withClock();
    leaving.noteReady();
    leaving.noteReady();
    const left = leaving.leave(true);
    expect(leaving).toMatchObject({ isStopping: true, isClosing: false });
    await left;
    expect(leaving).toMatchObject({ isStopping: true, isClosing: true });
  });

  test.each<[string, (parts: ReturnType<typeof withClock>) => void, boolean]>([
    ['nobody asked', () => undefined, true],
    ['somebody waited for the start', ({ leaving }) => leaving.noteReady(), true],
    [
      'who asked stopped asking',
      ({ leaving, clock }) => {
        leaving.noteReady();
        leaving.noteReady();
        clock.ms += 36_000;
      },
      true,
    ],
    [
      'it has no callers',
      ({ leaving }) => {
        leaving.noteReady();
        leaving.noteReady();
      },
      false,
    ],
  ])('closes at once when %s', async (_what, before, serves) => {
    // The drain is longer than this test may take.
    const parts = withClock(600_000);
    before(parts);
    await parts.leaving.leave(serves);
    expect(parts.leaving.isClosing).toBe(true);
  });

  test('the parts share one grace period', async () => {
    const { leaving, clock } = withClock();
    expect(leaving.leftMs()).toBe(20_000);
    await leaving.leave(false);
    clock.ms += 15_000;
    expect(leaving.leftMs()).toBe(5000);
    clock.ms += 15_000;
    expect(leaving.leftMs()).toBe(1000);
    expect(leaving.leftMs(10_000)).toBe(10_000);
  });
});
