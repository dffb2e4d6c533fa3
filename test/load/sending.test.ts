import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { check, type Verdict } from '../faults/harness/checker.ts';
import type { Load } from '../faults/harness/load.ts';
import { percentile } from '../faults/harness/measure.ts';
import { acceptOver, Program, settingsFor } from '../faults/harness/program.ts';
import type { LoadShape } from '../faults/harness/protocol.ts';
import type { LedgerEntry } from '../faults/harness/provider.ts';
import { faultSeed } from '../faults/harness/settings.ts';
import { World } from '../faults/harness/world.ts';
import { eventually, testDatabase } from '../support/services.ts';

/*
 * The loads of the restaurant product, over HTTP, with one web and two worker processes and the default limits (but for
 * a pair gap of 200 ms, so that twenty messages of one conversation do not take forty seconds).
 */

let world: World;
let web: Program;

beforeAll(async () => {
  world = await World.open('S11', faultSeed, {
    senders: ['default'],
    workers: 0,
    isRecorded: true,
    limits: { ratePerSecond: 80, burst: 1, concurrency: 20, pairGapMs: 200 },
    plan: { latencyMs: [20, 60] },
  });
  const settings = settingsFor(world, (await testDatabase()).url);
  web = world.owns(await Program.start('web', settings));
  const workers = await Promise.all([Program.start('worker', settings), Program.start('worker', settings)]);
  for (const worker of workers) world.owns(worker);
});

afterAll(async () => {
  await world.close();
});

beforeEach(async () => {
  await world.provider.change({ rules: [] });
});

function loadOf(shape: Partial<LoadShape> & { readonly name: string }): Load {
  return world.load(
    shape,
    acceptOver(() => web.url),
  );
}

interface Result {
  readonly verdict: Verdict;
  readonly sends: readonly LedgerEntry[];
  /** From the first request to the last message at the provider, ms. */
  readonly totalMs: number;
}

/** Waits until all of a load is at the provider, and judges it alone. */
async function finish(load: Load, startMs: number): Promise<Result> {
  const names = new Set(load.ops.map(({ op }) => op));
  const own = () => world.provider.ledger().filter(({ op }) => names.has(op));
  await eventually(() => own().filter(({ taken }) => taken).length >= names.size, { timeoutMs: 60_000 });
  const totalMs = performance.now() - startMs;
  await world.recover();
  const evidence = await world.evidence();
  const verdict = check({ ...evidence, ops: load.ops, ledger: own() });
  const delays = own().map(({ op, atMs }) => {
    const acceptedAtMs = load.ops.find((one) => one.op === op)?.acceptedAtMs ?? atMs;
    return Math.max(0, atMs - acceptedAtMs);
  });
  const { lost, dupUnambiguous, reordered, stuck, limits } = verdict;
  console.log(
    `${names.size} messages in ${Math.round(totalMs)} ms: accept → provider p50 ${Math.round(percentile(delays, 0.5))} ` +
      `p99 ${Math.round(percentile(delays, 0.99))} ms, at once ${limits.senderOpenMax}, of a tenant ` +
      `${limits.tenantOpenMax}, in a second ${limits.perSecondMax}`,
  );
  expect({ lost, dupUnambiguous, reordered, stuck, failed: verdict.takenMax > 1 }).toEqual({
    lost: 0,
    dupUnambiguous: 0,
    reordered: 0,
    stuck: 0,
    failed: false,
  });
  expect(limits.overPace).toBeLessThanOrEqual(0);
  expect(limits.senderOpenMax).toBeLessThanOrEqual(20);
  expect(limits.tenantOpenMax).toBeLessThanOrEqual(5);
  return { verdict, sends: own(), totalMs };
}

describe('load', () => {
  it('S11 · a burst of 100 is at the provider within 5 s', async () => {
    const load = loadOf({ name: 'burst', tenants: 20, conversations: 100 });
    const startMs = performance.now();
    await load.run(100, 10_000);
    const { totalMs } = await finish(load, startMs);
    expect(totalMs).toBeLessThan(5000);
  });

  it('S11 · 50 for one tenant are never above 5 in flight', async () => {
    await world.provider.change({ latencyMs: [80, 200] });
    const load = loadOf({ name: 'tenant', tenants: 1, conversations: 50 });
    const startMs = performance.now();
    await load.run(50, 10_000);
    const { verdict } = await finish(load, startMs);
    // Five, and not fewer: the places were used.
    expect(verdict.limits.tenantOpenMax).toBe(5);
    await world.provider.change({ latencyMs: [20, 60] });
  });

  it('S11 · 100 over 10 tenants go side by side', async () => {
    const load = loadOf({ name: 'tenants', tenants: 10, conversations: 100 });
    const startMs = performance.now();
    await load.run(100, 10_000);
    const { sends } = await finish(load, startMs);
    const firstHalf = [...sends].sort((a, b) => a.atMs - b.atMs).slice(0, 50);
    const tenantOf = new Map(load.ops.map(({ op, tenant }) => [op, tenant]));
    expect(new Set(firstHalf.map(({ op }) => tenantOf.get(op))).size).toBe(10);
  });

  it('S11 · 10 a second for 5 s are sent as they come', async () => {
    const load = loadOf({ name: 'steady', tenants: 10, conversations: 50 });
    const startMs = performance.now();
    await load.run(50, 10);
    const { totalMs } = await finish(load, startMs);
    expect(totalMs).toBeLessThan(7000);
  });

  it('S11 · 150 beyond the rate limit recover, also when the provider refuses some', async () => {
    await world.provider.change({ rules: [{ action: 'refuse', code: 130429, share: 0.1, times: 5, firstOnly: true }] });
    const load = loadOf({ name: 'beyond', tenants: 50, conversations: 150 });
    const startMs = performance.now();
    await load.run(150, 10_000);
    const { verdict, sends } = await finish(load, startMs);
    expect(sends.filter(({ taken }) => !taken).length).toBeGreaterThan(0);
    expect(verdict.limits.perSecondMax).toBeLessThanOrEqual(80 + 1 + Math.ceil(0.35 * 80));
  });

  it('S11 · 20 in one conversation arrive in order', async () => {
    const load = loadOf({ name: 'order', tenants: 1, conversations: 1 });
    const startMs = performance.now();
    await load.run(20, 10_000);
    const { sends } = await finish(load, startMs);
    const inOrder = [...sends].sort((a, b) => a.atMs - b.atMs).map(({ op }) => op);
    expect(inOrder).toEqual(Array.from({ length: 20 }, (_, at) => `order0#${at + 1}`));
  });
});
