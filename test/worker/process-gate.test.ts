import { describe, expect, it } from 'vitest';
import { ProcessGate } from '../../src/worker/process-gate.ts';

describe('ProcessGate', () => {
  it('S4 · gives all slots when no rate is set, whatever is in work', () => {
    const gate = new ProcessGate({ slotsMax: 20, ratePerSecond: 0, onRoom: () => undefined });
    expect(gate.slots()).toBe(20);
    gate.took(20);
    expect(gate.slots()).toBe(20);
    expect(gate.inWork).toBe(20);
  });

  it('S4 · GLOBAL_RATE_PER_SECOND: gives no more than its tokens, and tells when there is room again', async () => {
    let told: (() => void) | undefined;
    const room = new Promise<void>((resolve) => (told = resolve));
    let nowMs = 0;
    const gate = new ProcessGate({ slotsMax: 100, ratePerSecond: 50, onRoom: () => told?.(), now: () => nowMs });
    expect(gate.slots()).toBe(5); // a tenth of a second's worth
    gate.took(5);
    expect(gate.slots()).toBe(5); // only what is in work
    await room;
    nowMs = 40;
    expect(gate.slots()).toBe(7);
    nowMs = 60_000;
    expect(gate.slots()).toBe(10); // never more than its burst at once
    gate.close();
  });
});
