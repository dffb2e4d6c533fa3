import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'vitest';
import { faultTest } from './harness/fault-test.ts';
import type { ProviderRule } from './harness/protocol.ts';
import { faultScale, scaled } from './harness/settings.ts';
import { measureWaste } from './harness/waste.ts';

/*
 * Ten minutes in which the provider half works, in a sixtieth of the time (a sixth at scale 1): every wait of the
 * engine is divided by the same sixty, but for the provider's own, which it says or keeps itself.
 */

const BROWN_OUT_MS = scaled(60_000, 10_000);
const COMPRESSION = 60;
const SENDERS = ['s1', 's2', 's3', 's4'];
const WASTE_MAX = 0.05;

/** Half of everything is a 5xx; on top of it pairs and numbers close as a real limit does, with and without a header. */
const RULES: readonly ProviderRule[] = [
  { action: 'refuse', code: 131016, httpStatus: 503, share: 0.25 },
  { action: 'refuse', code: 131000, httpStatus: 500, share: 0.15 },
  { action: 'take-bare-502', share: 0.05 },
  { action: 'bare-503', share: 0.05 },
  { action: 'refuse', code: 131056, httpStatus: 400, share: 0.04, closesMs: 3500 },
  { action: 'refuse', code: 131056, httpStatus: 400, share: 0.04, closesMs: 2000, retryAfterSeconds: 2 },
  { action: 'refuse', code: 130429, httpStatus: 429, share: 0.01, closesMs: 1000 },
  { action: 'refuse', code: 130429, httpStatus: 429, share: 0.01, closesMs: 2000, retryAfterSeconds: 2 },
];

faultTest(
  'F31-brownout',
  'a brown-out of ten minutes, compressed: half 5xx, 131056 and 130429 storms; no more than 5 % of the calls were known to be in vain',
  {
    workers: 3,
    senders: SENDERS,
    limits: { ratePerSecond: 80, pairGapMs: 2000 / COMPRESSION },
    engine: { ambiguousWaitMs: 30_000 / COMPRESSION },
    policy: {
      attemptsMax: 3,
      backoffMs: 2000 / COMPRESSION,
      scheduleSeconds: [60, 300, 900, 1800, 3600].map((seconds) => seconds / COMPRESSION),
      breakerThreshold: 5,
      breakerOpenMs: 60_000 / COMPRESSION,
    },
    plan: { statuses: { delayMs: 150, copies: 2 } },
    recoverMs: 180_000,
  },
  async (world, report) => {
    // Two conversations of different tenants share each contact, so that a closed pair concerns both.
    const load = world.load({ name: 'b', tenants: 12, conversations: 160, contacts: 80 });
    load.start(80);
    await delay(1500);
    const fromMs = Date.now();
    await world.provider.change({ rules: RULES });
    await delay(BROWN_OUT_MS);
    await world.provider.change({ rules: [] });
    const toMs = Date.now();
    await delay(1500);
    await load.stop();
    return (verdict, { ledger, circuits }) => {
      const during = ledger.filter(({ atMs }) => atMs >= fromMs && atMs <= toMs);
      const waste = measureWaste(ledger, circuits);
      const wasteDuring = measureWaste(during, circuits);
      report('brown-out s', (toMs - fromMs) / 1000);
      report('compressed', `1:${COMPRESSION}, scale ${faultScale}`);
      report('calls in it', during.length);
      report('taken in it', during.filter(({ taken }) => taken).length);
      report('known in vain %', 100 * wasteDuring.share);
      report('of a pair', waste.pair);
      report('of a number', waste.number);
      report('of a circuit', waste.circuit);
      report('circuits opened', circuits.filter(({ state }) => state === 'open').length);
      report('ambiguous', verdict.ambiguous);
      report('held', verdict.held);
      // The storms raged, or the figure says nothing.
      const codes = new Set(during.map(({ code }) => code));
      for (const code of [131056, 130429, 131016, 131000]) expect(codes).toContain(code);
      expect(during.filter(({ closedBy }) => closedBy !== null).length).toBeGreaterThan(0);
      expect(verdict.failed).toBe(0);
      expect(wasteDuring.share).toBeLessThanOrEqual(WASTE_MAX);
      expect(waste.share).toBeLessThanOrEqual(WASTE_MAX);
    };
  },
);
