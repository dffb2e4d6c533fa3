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
    const gate = new ProcessGate({ slotsMax: 100, ratePerSecond: 50, onRoom: () => told?.() });
    const allowed = gate.slots();
    expect(allowed).toBe(5); // a tenth of a second's worth
    gate.took(allowed);
    expect(gate.slots()).toBe(allowed); // only what is in work
    const waitedSinceMs = performance.now();
    await room;
    expect(performance.now() - waitedSinceMs).toBeGreaterThan(10);
    expect(gate.slots()).toBeGreaterThan(gate.inWork);
    gate.close();
  });
});
