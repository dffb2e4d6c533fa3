import { describe, expect, it } from 'vitest';
import { ProcessGate } from '../../src/worker/process-gate.ts';

const nothing = (): void => undefined;

describe('ProcessGate', () => {
  it('S4 · gives all slots when no rate is set, whatever is in work', () => {
    const gate = new ProcessGate({ placesMax: 20, ratePerSecond: 0, onRoom: nothing });
    expect(gate.slotsFor(0, 0)).toBe(20);
    gate.took(0, 20);
    expect(gate.slotsFor(0, 5)).toBe(20);
    expect(gate.inWork).toBe(20);
  });

  it('S4 · GLOBAL_RATE_PER_SECOND: gives no more than its tokens, and tells when there is room again', async () => {
    let told: (() => void) | undefined;
    const room = new Promise<void>((resolve) => (told = resolve));
    let nowMs = 0;
    const gate = new ProcessGate({ placesMax: 100, ratePerSecond: 50, onRoom: () => told?.(), now: () => nowMs });
    expect(gate.slotsFor(0, 0)).toBe(5); // a tenth of a second's worth
    gate.took(0, 5);
    for (let n = 0; n < 5; n += 1) expect(await gate.enter(0)).not.toBeNull();
    expect(gate.slotsFor(0, 0)).toBe(5); // only what is in work
    expect(gate.slotsFor(0, 3)).toBe(2); // what is being settled gives its place back, but no token
    await room;
    nowMs = 40;
    expect(gate.slotsFor(0, 0)).toBe(7);
    nowMs = 60_000;
    expect(gate.slotsFor(0, 0)).toBe(10); // never more than its burst at once
    gate.close();
  });

  it('S4 · what came in excess of the rate has its turn later, or none in time', async () => {
    const gate = new ProcessGate({ placesMax: 100, ratePerSecond: 50, onRoom: nothing, now: () => 1000 });
    for (let n = 0; n < 5; n += 1) expect(await gate.enter(1000)).not.toBeNull();
    expect(await gate.enter(1010)).toBeNull(); // its turn would be at 1020
    expect(await gate.enter(1020)).not.toBeNull();
    expect(await gate.enter(1030)).toBeNull();
    expect(await gate.enter(1040)).not.toBeNull();
    gate.close();
  });

  it('S4 · what came in excess of the places waits for one, in the order of arrival, or goes without in time', async () => {
    const gate = new ProcessGate({ placesMax: 1, ratePerSecond: 0, onRoom: nothing });
    const first = await gate.enter(0);
    expect(await gate.enter(performance.now())).toBeNull();
    const came: number[] = [];
    const later = [1, 2].map(async (n) => {
      const leave = await gate.enter(performance.now() + 60_000);
      came.push(n);
      leave?.();
    });
    first?.();
    await Promise.all(later);
    expect(came).toEqual([1, 2]);
    expect(await gate.enter(0)).not.toBeNull();
  });
});
