import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'vitest';
import type { Evidence } from './harness/checker.ts';
import { faultTest } from './harness/fault-test.ts';
import { scaled } from './harness/settings.ts';

/* A provider that limits, fails, or is not there. */

faultTest(
  'F31',
  'storms of 130429, 131056 and Retry-After: only the number or the pair waits, and no attempt is burnt',
  // Without a slow schedule: an attempt that counted would soon make a failure.
  { senders: ['s1', 's2', 's3'], limits: { ratePerSecond: 80 }, policy: { scheduleSeconds: [] } },
  async (world, report) => {
    const stormed = world.load({ name: 'storm', senders: ['s1'], conversations: 30 });
    const calm = world.load({ name: 'calm', senders: ['s2'], conversations: 30 });
    const paused = world.load({ name: 'pause', senders: ['s3'], conversations: 10 });
    const crowded = calm.contactsOf([0, 1, 2]);
    await world.provider.change({
      rules: [
        { action: 'refuse', code: 130429, httpStatus: 400, share: 0.5, phoneNumberId: 'p-s1' },
        {
          action: 'refuse',
          code: 131056,
          httpStatus: 400,
          recipients: crowded,
          phoneNumberId: 'p-s2',
          firstOnly: true,
          times: 6,
        },
        { action: 'refuse', code: 130429, httpStatus: 429, retryAfterSeconds: 3, phoneNumberId: 'p-s3', times: 1 },
      ],
    });
    const loads = [stormed, calm, paused];
    stormed.start(15);
    calm.start(40);
    paused.start(5);
    await delay(scaled(60_000, 4500));
    await world.provider.change({ rules: [] });
    await Promise.all(loads.map((load) => load.stop()));
    return (verdict, { ledger, histories, ops }) => {
      const refused = ledger.filter(({ taken }) => !taken);
      report('wasted calls %', (100 * refused.length) / ledger.length);
      report('goodput %', (100 * verdict.accepted) / ledger.length);
      expect(refused.length).toBeGreaterThan(5);
      expect(verdict.failed + verdict.held + verdict.ambiguous).toBe(0);
      // The other number kept its pace: what waited there were the three pairs.
      const calmIds = new Set(ops.filter(({ conversation }) => conversation.startsWith('calm')).map(({ id }) => id));
      const calmTries = [...(histories ?? [])]
        .filter(([id]) => calmIds.has(id))
        .map(([, { reports }]) => reports.length);
      expect(calmTries.filter((tries) => tries > 1).length).toBeLessThanOrEqual(6);
      const [first] = ledger.filter(({ phoneNumberId, taken }) => phoneNumberId === 'p-s3' && !taken);
      const toldAtMs = first?.endAtMs ?? Number.NaN;
      const soon = ledger.filter(
        ({ phoneNumberId, atMs }) => phoneNumberId === 'p-s3' && atMs > toldAtMs && atMs < toldAtMs + 2900,
      );
      // What was in flight when the answer came could not be called back.
      expect(soon.filter(({ atMs }) => atMs > toldAtMs + 500)).toEqual([]);
    };
  },
);

/** How often each outcome was seen on a sender. */
function outcomes({ histories, ops }: Evidence, sender: string): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { id } of ops.filter((op) => op.sender === sender)) {
    for (const { outcome } of (id === undefined ? undefined : histories?.get(id))?.reports ?? []) {
      counts[outcome] = (counts[outcome] ?? 0) + 1;
    }
  }
  return counts;
}

faultTest(
  'F32',
  '5xx, refused connections, TLS and DNS errors: what was not sent is never ambiguous',
  {
    senders: ['s1', 's2', 's3', 's4'],
    // Three of them never work: an open circuit would hold their messages for as long, and rightly so.
    policy: { scheduleSeconds: [], breakerThreshold: 1_000_000 },
    apiUrls: {
      // Port 1 takes no connections; the provider speaks no TLS; the name exists nowhere (RFC 6761).
      s2: 'http://127.0.0.1:1/v23.0',
      s4: 'http://waxwing-fault-test.invalid/v23.0',
    },
    tlsSender: 's3',
    plan: {
      rules: [
        { action: 'refuse', code: 131000, httpStatus: 500, share: 0.3, phoneNumberId: 'p-s1' },
        { action: 'bare-503', share: 0.2, phoneNumberId: 'p-s1' },
      ],
    },
  },
  async (world, report) => {
    await world.load({ name: 'a', conversations: 80 }).run(scaled(1000, 100), 100);
    return (verdict, evidence) => {
      for (const sender of world.senders) {
        const seen = outcomes(evidence, sender);
        report(
          sender,
          Object.entries(seen)
            .map(([name, count]) => `${name} ${count}`)
            .join(' + '),
        );
        if (sender === 's1') expect(Object.keys(seen).sort()).toEqual(['ambiguous', 'rejected', 'sent']);
        else expect(Object.keys(seen)).toEqual(['not-sent']);
      }
      expect(verdict.takenMax).toBe(1);
    };
  },
);

faultTest(
  'F36',
  'the provider is down while input goes on, and comes back: order and pace kept, no herd',
  {
    limits: { ratePerSecond: 60, pairGapMs: 20 },
    policy: { attemptsMax: 2, scheduleSeconds: Array.from({ length: 600 }, () => 1), deferBlocks: true },
  },
  async (world, report) => {
    const load = world.load({ name: 'a', conversations: 60 });
    load.start(45);
    await delay(1000);
    await world.provider.listen(false);
    await delay(scaled(60_000, 4500));
    await load.stop();
    const { taken } = await world.provider.count();
    const waiting = load.ops.length - taken;
    await world.provider.listen(true);
    const drainMs = await world.recover();
    report('waiting when it came back', waiting);
    report('drained per second', (1000 * waiting) / drainMs);
    return (verdict, { ledger }) => {
      // Deferred messages may be overtaken by name; these block their conversation, so none was.
      const last = new Map<string, number>();
      for (const { op } of [...ledger].sort((a, b) => a.atMs - b.atMs)) {
        const [conversation = '', n = ''] = op.split('#');
        expect(Number(n)).toBeGreaterThan(last.get(conversation) ?? 0);
        last.set(conversation, Number(n));
      }
      expect(verdict).toMatchObject({ ambiguous: 0, failed: 0 });
    };
  },
);

faultTest(
  'F36',
  'a breaker through an outage: probes only, no attempt burnt, then the backlog at the rate and in order',
  // As many attempts as failures open it: with fewer, the first message to fail could use up its own before that.
  { senders: ['s1'], limits: { ratePerSecond: 40 }, policy: { scheduleSeconds: [], attemptsMax: 5 } },
  async (world, report) => {
    const load = world.load({ name: 'down', senders: ['s1'], conversations: 40 });
    load.start(25);
    await delay(scaled(5000, 1500));
    const fromMs = Date.now();
    await world.provider.change({ rules: [{ action: 'refuse', code: 131016, httpStatus: 500 }] });
    await delay(scaled(60_000, 6000));
    const toMs = Date.now();
    await world.provider.change({ rules: [] });
    await delay(scaled(5000, 1500));
    await load.stop();
    return (verdict, { ledger }) => {
      const calls = ledger.filter(({ atMs, taken }) => !taken && atMs >= fromMs && atMs <= toMs).length;
      const seconds = (toMs - fromMs) / 1000;
      report('calls in the outage', calls);
      report('calls per second of it', calls / seconds);
      // Each of the workers counts to the threshold by itself, with what is in flight; then a probe every half second.
      expect(calls).toBeLessThan(60 + 3 * seconds);
      expect(verdict).toMatchObject({ failed: 0, held: 0 });
    };
  },
);
