import { expect } from 'vitest';
import { eventually } from '../support/eventually.ts';
import type { Evidence, Verdict } from './harness/checker.ts';
import { faultTest, type Report } from './harness/fault-test.ts';
import type { ProviderRule } from './harness/protocol.ts';
import { scaled } from './harness/settings.ts';
import type { World } from './harness/world.ts';

/* Answers that never come: nobody here knows what the provider did, and the ledger does. */

/** The provider kills the sender of some requests after it has taken them; each dead worker is replaced. */
async function killAfterTaking(world: World, kills: number): Promise<void> {
  await world.provider.change({ rules: [{ action: 'take-kill', share: 0.1 }] });
  const starting: Promise<unknown>[] = [];
  let killed = 0;
  world.provider.process.on((message) => {
    if (message.type !== 'killed') return;
    killed += 1;
    starting.push(world.startWorker());
  });
  const load = world.load({ name: 'a' });
  load.start(70);
  await eventually(() => killed >= kills, { timeoutMs: 300_000, what: `${kills} kills by the provider` });
  await world.provider.change({ rules: [] });
  await Promise.all(starting);
  await load.stop();
}

/** What became of the attempts whose outcome was lost. */
function reportAmbiguous(report: Report, verdict: Verdict, { histories, ledger }: Evidence): void {
  const lost = [...(histories ?? [])].filter(([, { unknown }]) => unknown > 0);
  const taken = new Set(ledger.filter((entry) => entry.taken).map(({ messageId }) => messageId));
  const once = lost.filter(([id, { end, reports }]) => end === 'sent' && taken.has(id) && !reports.some(isSent));
  report('ambiguous', verdict.ambiguous);
  report('settled by a status', once.length);
  report('dup per 1,000 ambiguous', verdict.ambiguous === 0 ? 0 : (1000 * verdict.dupAmbiguous) / verdict.ambiguous);
}

const isSent = ({ outcome }: { readonly outcome: string }): boolean => outcome === 'sent';

faultTest(
  'F02',
  'workers killed after the provider took the message, statuses told: none is sent twice',
  { workers: 3, killsWorkers: true, plan: { statuses: { delayMs: 300, copies: 1 } } },
  async (world, report) => {
    const kills = scaled(60, 5);
    await killAfterTaking(world, kills);
    report('kills', kills);
    return (verdict, evidence) => {
      reportAmbiguous(report, verdict, evidence);
      expect(verdict.ambiguous).toBeGreaterThanOrEqual(kills);
      expect(verdict.dupAmbiguous).toBe(0);
    };
  },
);

for (const onAmbiguous of ['reconcile', 'hold', 'resend'] as const) {
  faultTest(
    `F03-${onAmbiguous}`,
    `workers killed after the provider took the message, no status ever, ON_AMBIGUOUS=${onAmbiguous}`,
    { workers: 3, killsWorkers: true, engine: { onAmbiguous, ambiguousWaitMs: 3000 } },
    async (world, report) => {
      const kills = scaled(30, 3);
      await killAfterTaking(world, kills);
      report('kills', kills);
      return (verdict, evidence) => {
        reportAmbiguous(report, verdict, evidence);
        report('held', verdict.held);
        expect(verdict.ambiguous).toBeGreaterThanOrEqual(kills);
        // One more delivery for an ambiguous attempt at most, and none where a person decides.
        expect(verdict.takenMax).toBeLessThanOrEqual(onAmbiguous === 'hold' ? 1 : 2);
        expect(verdict.held).toBe(evidence.counters?.held);
        if (onAmbiguous === 'hold') expect(verdict.held).toBeGreaterThanOrEqual(kills);
      };
    },
  );
}

const LOST_ANSWERS: readonly ProviderRule[] = [
  { action: 'take-reset', share: 0.03 },
  { action: 'take-stall', share: 0.02 },
  { action: 'take-bare-502', share: 0.02 },
  { action: 'reset', share: 0.02 },
  { action: 'bare-503', share: 0.01 },
];

for (const told of [true, false]) {
  faultTest(
    told ? 'F33' : 'F33-silent',
    `answers lost after the message was taken, and before, ${told ? 'statuses told' : 'no status ever'}`,
    { plan: { rules: LOST_ANSWERS, statuses: told ? { delayMs: 200, copies: 1 } : null } },
    async (world, report) => {
      const load = world.load({ name: 'a', conversations: 80 });
      await load.run(scaled(3000, 250), 90);
      return (verdict, evidence) => {
        reportAmbiguous(report, verdict, evidence);
        report('held', verdict.held);
        report('dup ppm', (1e6 * verdict.dupAmbiguous) / verdict.accepted);
        expect(verdict.ambiguous).toBeGreaterThan(0);
        expect(verdict.takenMax).toBeLessThanOrEqual(2);
        if (told) expect(verdict.dupAmbiguous).toBe(0);
      };
    },
  );
}

faultTest(
  'F35',
  'answers that no provider gives: 200 without an id, HTML, 10 MB',
  {
    plan: {
      rules: [
        { action: 'take-no-id', share: 0.05 },
        { action: 'take-html', share: 0.05 },
        { action: 'take-huge', share: 0.02 },
      ],
      statuses: { delayMs: 200, copies: 2 },
    },
  },
  async (world, report) => {
    await world.load({ name: 'a' }).run(scaled(2000, 150), 90);
    return (verdict, evidence) => {
      reportAmbiguous(report, verdict, evidence);
      report('crashes', world.workers.length - world.living().length);
      expect(world.living()).toHaveLength(world.workers.length);
      expect(verdict.ambiguous).toBeGreaterThan(0);
      expect(verdict.dupAmbiguous).toBe(0);
    };
  },
);
