import { expect } from 'vitest';
import { faultTest, type FaultOptions } from './harness/fault-test.ts';
import { percentile } from './harness/measure.ts';
import type { ProviderRule } from './harness/protocol.ts';
import { scaled } from './harness/settings.ts';
import type { World } from './harness/world.ts';

/*
 * One pair, one sender or one tenant in trouble, and what the others notice of it: from the client's request to the
 * provider's socket, in rounds without (A) and with the trouble (B), turn by turn, with the very same load. Judged by
 * the medians of the rounds, so that a hiccup of the machine in one of them decides nothing.
 */

const ROUNDS_MIN = scaled(15, 3);
/** More rounds make the medians sure; only a machine that is busy with other things needs them. */
const ROUNDS_MAX = 4 * ROUNDS_MIN;
const ROUND_MS = 2000;
const CALM_PER_SECOND = 80;
const FACTOR_MAX = 1.2;
const SLACK_MS = 5;

interface Trouble {
  /** Of the load that is in trouble. */
  readonly sender: string;
  readonly tenants?: 1;
  readonly rules: (contacts: readonly string[]) => readonly ProviderRule[];
}

const TROUBLED = 30;

/** One round. @returns p99 of the others, ms, and how many calls of the troubled load were refused or hung */
async function round(world: World, name: string, trouble: Trouble, isOn: boolean): Promise<[p99: number, hit: number]> {
  const calm = world.load({ name: `${name}c`, senders: ['s1'], tenants: 6, conversations: 400 });
  // Its tenants are its own: t0 of this load shares no cap with t0 of the other.
  const shape = { name: `${name}x`, senders: [trouble.sender], conversations: TROUBLED, tenantPrefix: 'x' };
  const troubled = world.load({ ...shape, tenants: trouble.tenants ?? 3 });
  const contacts = troubled.contactsOf(Array.from({ length: TROUBLED }, (_, index) => index));
  await world.provider.change({ rules: isOn ? trouble.rules(contacts) : [] });
  troubled.start(TROUBLED);
  await calm.run((CALM_PER_SECOND * ROUND_MS) / 1000, CALM_PER_SECOND);
  await troubled.stop();
  await world.provider.change({ rules: [] });
  await world.recover();
  const startOf = new Map(calm.ops.map(({ op, startedAtMs }) => [op, startedAtMs ?? Number.NaN]));
  const waits = new Map<string, number>();
  let hit = 0;
  for (const { op, atMs, action } of world.provider.ledger()) {
    const startedAtMs = startOf.get(op);
    if (startedAtMs !== undefined && !waits.has(op)) waits.set(op, atMs - startedAtMs);
    if (op.startsWith(`${name}x`) && action !== 'take') hit += 1;
  }
  expect(waits.size).toBe(calm.ops.length);
  return [percentile([...waits.values()], 0.99), hit];
}

const median = (values: readonly number[]): number => percentile(values, 0.5);

function isolationTest(id: string, title: string, trouble: Trouble, options: Partial<FaultOptions> = {}): void {
  faultTest(
    id,
    title,
    {
      senders: ['s1', 's2'],
      limits: { ratePerSecond: 400, pairGapMs: 0 },
      policy: { scheduleSeconds: [] },
      plan: { statuses: { delayMs: 100, copies: 1 } },
      ...options,
    },
    async (world, report) => {
      await round(world, 'w', trouble, false);
      const without: number[] = [];
      const with_: number[] = [];
      const bound = (): number => FACTOR_MAX * median(without) + SLACK_MS;
      let hits = 0;
      for (let n = 0; n < ROUNDS_MAX && (n < ROUNDS_MIN || median(with_) > bound()); n += 1) {
        // Who goes first changes, so that neither always has the warmer machine.
        for (const isOn of n % 2 === 0 ? [false, true] : [true, false]) {
          const [p99, hit] = await round(world, `${isOn ? 'b' : 'a'}${n}`, trouble, isOn);
          (isOn ? with_ : without).push(p99);
          hits += hit;
        }
      }
      report('rounds of each', without.length);
      report('p99 ms without', median(without));
      report('p99 ms with', median(with_));
      report('ratio', median(with_) / median(without));
      report('calls in trouble', hits);
      return () => {
        expect(hits).toBeGreaterThan(without.length);
        expect(median(with_)).toBeLessThanOrEqual(bound());
      };
    },
  );
}

isolationTest('F34-pair', 'pairs at their limit (131056): the other pairs of the same sender do not notice', {
  sender: 's1',
  rules: (recipients) => [
    { action: 'refuse', code: 131056, httpStatus: 400, recipients, closesMs: 1000, retryAfterSeconds: 1 },
  ],
});

isolationTest('F34-sender', 'a number at its limit (130429): the other sender does not notice', {
  sender: 's2',
  rules: () => [{ action: 'refuse', code: 130429, httpStatus: 429, phoneNumberId: 'p-s2', closesMs: 500 }],
});

isolationTest('F34-circuit', 'a sender whose provider fails and whose circuit opens: the other does not notice', {
  sender: 's2',
  rules: () => [{ action: 'refuse', code: 131016, httpStatus: 503, phoneNumberId: 'p-s2' }],
});

isolationTest(
  'F34',
  'answers of one byte a second, and none at all, for one tenant: its places are bounded, the others do not notice',
  {
    sender: 's1',
    tenants: 1,
    rules: (recipients) => [
      { action: 'take-trickle', share: 0.5, recipients },
      { action: 'take-stall', share: 0.5, recipients },
    ],
  },
  // The slow ones open no circuit here: that is the test before this one, and it would take the calm ones along.
  { policy: { scheduleSeconds: [], breakerThreshold: 1_000_000 } },
);
