import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { steadyNowMs } from './harness/clock.ts';
import { faultTest } from './harness/fault-test.ts';
import { percentile } from './harness/measure.ts';
import type { PoisonKind } from './harness/protocol.ts';
import type { FaultWorker } from './harness/worker.ts';
import type { World } from './harness/world.ts';

/* One message over which its worker comes to grief. The supervisor is a person's: it replaces what died or hangs. */

const POISONED = 'p0#2';
/** A worker that says nothing is found dead after 4 s; whoever supervises processes is slower than that. */
const HANGS_MS = 6000;

/** Keeps three workers alive. @returns how many died or were ended because they hung */
function supervise(world: World, kind: PoisonKind): { readonly crashes: () => number; readonly stop: () => void } {
  let crashes = 0;
  let on = true;
  const watched = new Set<FaultWorker>();
  const replace = async (worker: FaultWorker): Promise<void> => {
    const atMs = steadyNowMs();
    worker.wasSilent(atMs, Number.POSITIVE_INFINITY);
    if (kind === 'loop') {
      await delay(HANGS_MS);
      await worker.kill();
    } else if (kind !== 'throw') await worker.process.ended(60_000);
    else return;
    crashes += 1;
    if (on) watch(await world.startWorker(nodeOptions(kind)));
  };
  const watch = (worker: FaultWorker): void => {
    if (watched.has(worker)) return;
    watched.add(worker);
    worker.process.on(({ type }) => {
      if (type === 'poisoned') void replace(worker).catch(() => undefined);
    });
  };
  for (const worker of world.workers) watch(worker);
  return { crashes: () => crashes, stop: () => (on = false) };
}

const nodeOptions = (kind: PoisonKind) => (kind === 'memory' ? { nodeOptions: ['--max-old-space-size=64'] } : {});

const KINDS: readonly [kind: PoisonKind, title: string][] = [
  ['throw', 'a message over which the program makes a mistake: it is a dead letter in the end, and no process dies'],
  ['exit', 'a message that ends every worker that touches it: held after the second, its conversation goes on'],
  ['loop', 'a message over which every worker loops for ever: held after the second, its conversation goes on'],
  ['memory', 'a message that takes all memory of its worker: held after the second, its conversation goes on'],
];

for (const [kind, title] of KINDS) {
  faultTest(
    `F09-${kind}`,
    title,
    {
      workers: 0,
      policy: { scheduleSeconds: [1], deferBlocks: true },
      plan: { statuses: { delayMs: 150, copies: 1 } },
      poison: { op: POISONED, kind },
    },
    async (world, report) => {
      await Promise.all([0, 1, 2].map(() => world.startWorker(nodeOptions(kind))));
      const supervisor = supervise(world, kind);
      const load = world.load({ name: 'n', conversations: 60, tenants: 6 });
      load.start(50);
      const poisoned = world.load({ name: 'p', conversations: 1, tenants: 1, tenantPrefix: 'poisoned' });
      await poisoned.run(5);
      await eventually(
        async () => {
          const { held, failed } = await world.counters();
          return held + failed === 1;
        },
        { timeoutMs: 60_000, what: 'the poisoned message to be put aside' },
      );
      await delay(500);
      await load.stop();
      await world.recover();
      supervisor.stop();
      report('crashes until it was put aside', supervisor.crashes());
      return (verdict, { ledger, histories, ops }) => {
        const startOf = new Map(load.ops.map(({ op, startedAtMs }) => [op, startedAtMs ?? Number.NaN]));
        const waits = ledger.flatMap(({ op, atMs, attempt }) =>
          attempt === 1 && startOf.has(op) ? [atMs - (startOf.get(op) ?? 0)] : [],
        );
        report('neighbour p99 ms', percentile(waits, 0.99));
        report('ambiguous', verdict.ambiguous);
        expect(supervisor.crashes()).toBe(kind === 'throw' ? 0 : 2);
        // The poisoned one alone is not sent, and never was.
        expect([verdict.held, verdict.failed]).toEqual(kind === 'throw' ? [0, 1] : [1, 0]);
        const id = ops.find(({ op }) => op === POISONED)?.id ?? '';
        expect(ledger.some(({ messageId }) => messageId === id)).toBe(false);
        expect(histories?.get(id)?.held ?? false).toBe(kind !== 'throw');
        expect(ledger.filter(({ op }) => op.startsWith('p0#')).map(({ op }) => op)).toEqual([
          'p0#1',
          'p0#3',
          'p0#4',
          'p0#5',
        ]);
        expect(verdict.dupAmbiguous).toBe(0);
      };
    },
  );
}
