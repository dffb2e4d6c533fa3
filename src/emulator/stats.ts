import { displayPhoneNumber, effectiveLimits } from './numbers.ts';
import type { LiveStats } from './live.ts';
import type { PairGap } from './pairs.ts';
import type { WebhookStats } from './outbox.ts';
import { nowMs } from './timers.ts';
import type { Totals, World } from './world.ts';

export interface NumberStats {
  readonly phoneNumberId: string;
  readonly displayPhoneNumber: string;
  readonly requests: number;
  readonly accepted: number;
  readonly rejected: number;
  readonly throughputHits: number;
  readonly pairHits: number;
  readonly inFlight: number;
  readonly inFlightMax: number;
  /** Message requests in the rolling second that ends now. */
  readonly perSecond: number;
  /** The most message requests in any rolling second, refused ones included. */
  readonly perSecondMax: number;
  /** The most that passed the limits in any rolling second. */
  readonly passedPerSecondMax: number;
  readonly throughputPerSecond: number;
  readonly pairCapacity: number;
  readonly pairRefillMs: number;
}

export interface EmulatorStats extends Totals {
  readonly perSecond: number;
  readonly numbers: readonly NumberStats[];
  /** Pairs with the smallest time between two message requests, smallest first. */
  readonly pairGaps: readonly PairGap[];
  /** The smallest of them; null until a pair was used twice. */
  readonly pairGapMinMs: number | null;
  /** Messages whose last status is still to come. */
  readonly statusesPending: number;
  readonly webhooks: Readonly<WebhookStats>;
  readonly conversations: number;
  readonly pairs: number;
  readonly ledgerEntries: number;
}

/** @param pairs how many of the closest pairs to list, default 10 */
export function statsOf(world: World, pairs = 10): EmulatorStats {
  const at = nowMs();
  const settings = world.settings();
  const numbers = world.numbers
    .all()
    .filter((number) => number.used)
    .map((number) => ({
      phoneNumberId: number.id,
      displayPhoneNumber: displayPhoneNumber(settings, number.id),
      requests: number.requests,
      accepted: number.accepted,
      rejected: number.rejected,
      throughputHits: number.throughputHits,
      pairHits: number.pairHits,
      inFlight: number.inFlight,
      inFlightMax: number.inFlightMax,
      perSecond: number.arrivals.count(at),
      perSecondMax: number.arrivals.max,
      passedPerSecondMax: number.passed.max,
      ...effectiveLimits(settings, number.id),
    }));
  const gaps = world.pairs.smallestGaps(Math.max(1, pairs));
  return {
    ...world.totals,
    perSecond: numbers.reduce((sum, number) => sum + number.perSecond, 0),
    numbers,
    pairGaps: gaps.slice(0, pairs),
    pairGapMinMs: gaps[0]?.minGapMs ?? null,
    statusesPending: world.statuses.pending,
    webhooks: { ...world.outbox.stats },
    conversations: world.conversations.size,
    pairs: world.pairs.size,
    ledgerEntries: world.ledger.count,
  };
}

/** The figures of the page's top bar; cheap enough for five times a second. */
export function liveStatsOf(world: World): LiveStats {
  const at = nowMs();
  const numbers = world.numbers.all();
  const { totals } = world;
  return {
    perSecond: numbers.reduce((sum, number) => sum + number.arrivals.count(at), 0),
    total: totals.messages,
    accepted: totals.accepted,
    failed: totals.rejected + totals.faults + totals.failedLater,
    limited: totals.limited,
    inbound: totals.inbound,
    conversations: world.conversations.size,
    rules: world.rules.list().filter((rule) => rule.enabled && rule.applied < (rule.times ?? Infinity)).length,
    rulesVersion: world.rules.version,
    webhooksPending: world.outbox.stats.pending,
  };
}
