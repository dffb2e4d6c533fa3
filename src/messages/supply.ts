import type { SenderLook } from '../engine/line.ts';
import { AppError } from '../errors/app-error.ts';
import type { Demand, Supply } from './pace.ts';

/** How long attempts of a sender take. */
export interface AttemptTime {
  readonly meanMs: number;
  /** False: nothing was measured yet, this is a guess. */
  readonly isMeasured: boolean;
}

/** Used until something was measured: what Meta's API usually takes. */
const UNMEASURED: AttemptTime = { meanMs: 300, isMeasured: false };

/** @param meanMs how long attempts took on average, ms; null = nothing was measured */
export async function attemptTimeOf(meanMs: Promise<number | null> | undefined): Promise<AttemptTime> {
  // Without the record nothing is lost but accuracy.
  const measuredMs = await meanMs?.catch((error: unknown) => {
    if (error instanceof AppError) return null;
    throw error;
  });
  return measuredMs === undefined || measuredMs === null ? UNMEASURED : { meanMs: measuredMs, isMeasured: true };
}

/** Beside the attempt itself a message keeps its places for hand-over and settlement. */
const ENGINE_MS = 4;

/** Without a burst nothing makes up for a wake-up that comes a little after its token. */
const WAKE_MS = 1;

export function supplyOf(look: SenderLook, time: AttemptTime): Supply {
  const { ratePerSecond, burst, rateAheadMs } = look;
  return {
    ratePerSecond: burst > 1 || ratePerSecond === 0 ? ratePerSecond : 1000 / (1000 / ratePerSecond + WAKE_MS),
    tokens: Math.max(0, burst - (rateAheadMs * look.ratePerSecondMax) / 1000),
    places: Math.min(look.concurrency, Math.max(1, look.slots)),
    placeMs: Math.max(1, time.meanMs) + ENGINE_MS,
  };
}

/** What the other tenants want. A paused one takes no turns; a sample stands for all. */
export function demandsOf(look: SenderLook): Demand[] {
  const known = look.others.length;
  const inAll = Math.max(known, look.tenantsInAll - (look.tenant === null ? 0 : 1));
  return look.others
    .filter(({ isPaused }) => !isPaused)
    .map(({ backlog, inFlight, weight, concurrency }) => ({
      messages: Math.max(0, backlog - inFlight),
      weight,
      places: concurrency,
      times: known === 0 ? 1 : inAll / known,
    }));
}
