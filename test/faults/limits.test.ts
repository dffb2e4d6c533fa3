import { expect } from 'vitest';
import { faultTest } from './harness/fault-test.ts';
import { scaled } from './harness/settings.ts';

faultTest(
  'F12',
  '64 workers race for the last place and the last token',
  {
    workers: 0,
    limits: { ratePerSecond: 40, burst: 2, concurrency: 4, pairGapMs: 60 },
    tenantConcurrency: 2,
    plan: { latencyMs: [30, 120] },
  },
  async (world, report) => {
    await Promise.all(Array.from({ length: 4 }, () => world.startWorker({ count: 16, slots: 5 })));
    const load = world.load({ name: 'a', tenants: 4, conversations: 60, contacts: 30 });
    await load.run(scaled(3000, 250), 500);
    return ({ limits }, { ledger }) => {
      report('workers', 64);
      report('pair gap ms', `${limits.pairGapMsMin?.toFixed(0) ?? '–'}/60`);
      report('processes that sent', new Set(ledger.map(({ worker }) => worker)).size);
      // The limits were reached, or the race proves nothing.
      expect(limits.senderOpenMax).toBe(4);
      expect(limits.tenantOpenMax).toBe(2);
      expect(limits.perSecondMax).toBeGreaterThanOrEqual(38);
    };
  },
);
