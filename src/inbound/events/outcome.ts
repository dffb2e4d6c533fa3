import type { AttemptResult } from '../../record/index.ts';
import { GuardedFetchError, type GuardedAnswer } from '../../util/guarded-fetch/index.ts';

/**
 * Waits between the attempts of an event, ms: 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 10 h after the one before, so eight
 * attempts over about 28 hours.
 */
export const EVENT_SCHEDULE_MS: readonly number[] = [
  5_000, 300_000, 1_800_000, 7_200_000, 18_000_000, 36_000_000, 36_000_000,
];

/** Receivers that were down together do not get everything in the same moment; never earlier than the schedule says. */
const JITTER = 0.1;
/** A receiver may ask for a later attempt, but not for one that is never made. */
const RETRY_AFTER_MS_MAX = 36_000_000;

export interface Judgement extends AttemptResult {
  /** It says that it will never want events again. */
  readonly isGone: boolean;
}

/**
 * What an attempt's outcome means. Only 2xx is a success: a redirect is not followed, and 410 ends it for good.
 * @param made attempts before this one
 */
export function judge(
  outcome: GuardedAnswer | GuardedFetchError,
  made: number,
  schedule: readonly number[],
  nowMs: number,
): Judgement {
  if (!(outcome instanceof GuardedFetchError) && outcome.status >= 200 && outcome.status < 300) {
    return { state: 'delivered', status: outcome.status, error: null, isGone: false };
  }
  const isError = outcome instanceof GuardedFetchError;
  const status = isError ? null : outcome.status;
  const error = isError ? `${outcome.reason}: ${outcome.message}` : `It answered ${outcome.status}.`;
  if (status === 410) return { state: 'dead', status, error, isGone: true };
  const waitMs = schedule[made];
  if (waitMs === undefined) return { state: 'dead', status, error, isGone: false };
  const asked =
    isError || ![429, 503].includes(outcome.status) ? 0 : retryAfterMs(outcome.headers['retry-after'], nowMs);
  const jittered = waitMs * (1 + Math.random() * JITTER);
  return { state: 'pending', waitMs: Math.max(jittered, asked), status, error, isGone: false };
}

function retryAfterMs(header: string | readonly string[] | undefined, nowMs: number): number {
  const text = typeof header === 'string' ? header.trim() : '';
  const ms = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - nowMs;
  return Number.isNaN(ms) ? 0 : Math.min(Math.max(0, ms), RETRY_AFTER_MS_MAX);
}
