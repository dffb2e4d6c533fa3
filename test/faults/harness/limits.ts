import type { LedgerEntry } from './provider.ts';

/** What the provider must never see exceeded. */
export interface Bounds {
  /** 0 = no limit. */
  readonly ratePerSecond: number;
  readonly burst: number;
  readonly senderConcurrency: number;
  readonly tenantConcurrency: number;
  readonly pairGapMs: number;
  /** A token is spent this long after it was taken, at the latest: the engine's and the worker's start-by limits. */
  readonly startSlackMs: number;
  /** Steady times at which Redis's clock was set forward: each frees one burst, and each pair once. */
  readonly forwardStepsAtMs: readonly number[];
}

export interface LimitReport {
  /** Most requests open at once on one sender, and of one tenant on one sender. */
  readonly senderOpenMax: number;
  readonly tenantOpenMax: number;
  /** Most attempts on one sender in any second. */
  readonly perSecondMax: number;
  /** Attempts above rate · T + burst in the worst window; 0 or less is within the limit. */
  readonly overPace: number;
  /** Shortest time between two attempts of one pair, ms; null when no pair had two. */
  readonly pairGapMsMin: number | null;
}

/** Network and event loop between the sender's first byte and the provider's look at its clock, ms. */
export const PAIR_TOLERANCE_MS = 5;

/** Measures what the provider saw, from the ledger alone. */
export function measureLimits(
  ledger: readonly LedgerEntry[],
  tenantOf: (entry: LedgerEntry) => string,
  bounds: Bounds,
): LimitReport {
  const bySender = groupBy(ledger, (entry) => entry.phoneNumberId);
  const byTenant = groupBy(ledger, (entry) => `${entry.phoneNumberId}|${tenantOf(entry)}`);
  const byPair = groupBy(ledger, (entry) => `${entry.phoneNumberId}|${entry.to}`);
  const times = [...bySender.values()].map((entries) => entries.map(({ atMs }) => atMs).sort((a, b) => a - b));
  const gaps = [...byPair.values()].flatMap((entries) => gapsOf(entries, bounds.forwardStepsAtMs));
  return {
    senderOpenMax: Math.max(0, ...[...bySender.values()].map(openMax)),
    tenantOpenMax: Math.max(0, ...[...byTenant.values()].map(openMax)),
    perSecondMax: Math.max(0, ...times.map(perSecondMax)),
    overPace: Math.max(-Infinity, ...times.map((list) => overPace(list, bounds))),
    pairGapMsMin: gaps.reduce<number | null>((least, gap) => Math.min(least ?? gap, gap), null),
  };
}

function groupBy<T>(list: readonly T[], keyOf: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of list) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [item]);
    else group.push(item);
  }
  return groups;
}

function openMax(entries: readonly LedgerEntry[]): number {
  const changes = entries.flatMap(({ atMs, endAtMs }): [number, number][] => [
    [atMs, 1],
    [endAtMs ?? Number.POSITIVE_INFINITY, -1],
  ]);
  // What ends in the same moment in which another begins was not open beside it.
  changes.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  let open = 0;
  let most = 0;
  for (const [, change] of changes) most = Math.max(most, (open += change));
  return most;
}

function perSecondMax(times: readonly number[]): number {
  let from = 0;
  let most = 0;
  times.forEach((time, index) => {
    while (time - (times[from] ?? time) >= 1000) from += 1;
    most = Math.max(most, index - from + 1);
  });
  return most;
}

/** The worst window of all: each attempt is held against every earlier one, in one pass. */
function overPace(times: readonly number[], bounds: Bounds): number {
  const { ratePerSecond, burst, startSlackMs, forwardStepsAtMs } = bounds;
  if (ratePerSecond <= 0) return -Infinity;
  const perMs = ratePerSecond / 1000;
  let least = Number.POSITIVE_INFINITY;
  let worst = -Infinity;
  times.forEach((time, index) => {
    const freed = forwardStepsAtMs.filter((at) => at <= time).length * burst;
    const ahead = index - perMs * time - freed;
    least = Math.min(least, ahead);
    worst = Math.max(worst, ahead - least + 1);
  });
  return worst - burst - perMs * startSlackMs;
}

function gapsOf(entries: readonly LedgerEntry[], forwardStepsAtMs: readonly number[]): number[] {
  const times = entries.map(({ atMs }) => atMs).sort((a, b) => a - b);
  return times.slice(1).flatMap((time, index) => {
    const before = times[index] ?? 0;
    return forwardStepsAtMs.some((at) => at >= before && at <= time) ? [] : [time - before];
  });
}
