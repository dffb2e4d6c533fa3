import type { Brake, Grant, Settlement } from '../engine/contract.ts';
import type { MessageError } from '../model/message.ts';
import type { ProviderOutcome } from '../providers/contract.ts';
import { isTemplateStopped } from '../providers/template-stopped.ts';

/** What the decision needs to know of a hand-over; `template` is what the message is made from. */
export type TriedGrant = Tried & { readonly template?: string | undefined };

type Tried = Pick<Grant, 'attempt' | 'counted' | 'deferrals'>;

/** When and how often a message is tried. */
export interface RetryPolicy {
  /** Fast attempts in all, ≥ 1 (QUEUE_RETRY_ATTEMPTS; WA_MAX_DELIVERIES on Evolution senders). */
  readonly attemptsMax: number;
  /** Base of the exponential backoff, ms (QUEUE_BACKOFF_DELAY). */
  readonly backoffMs: number;
  /** Waits of the slow retries, seconds; empty = none (RETRY_SCHEDULE_SECONDS). */
  readonly scheduleSeconds: readonly number[];
  /** Does a deferred message hold its conversation (ON_DEFER=block). */
  readonly deferBlocks: boolean;
}

/** No single backoff is longer: with more attempts than that the slow schedule is the better place. */
const BACKOFF_MS_MAX = 5 * 60_000;
/** Waits that a provider asks for are honoured up to a day. */
const WAIT_MS_MAX = 24 * 3600_000;
/**
 * Meta's advice for 131056: wait 4^n s. The first step, 1 s, is left out, because a pair's bucket refills by one in 6 s.
 * The last one repeats: in so long the bucket has gained ten. How often in a row a pair was limited, the engine counts.
 */
const PAIR_WAITS_MS = [4000, 16_000, 64_000] as const;

/**
 * Decides what becomes of a message after an attempt: the one place that turns a provider's answer into a settlement.
 * The rows follow the backoff table of the provider facts. `random` is 0 … 1 (injected by tests).
 */
export function decide(
  outcome: ProviderOutcome,
  grant: TriedGrant,
  policy: RetryPolicy,
  random: () => number = Math.random,
): Settlement {
  switch (outcome.kind) {
    case 'sent':
      return { kind: 'sent', providerMessageId: outcome.providerMessageId };
    case 'ambiguous':
      return { kind: 'unknown' };
    case 'not-sent':
      return retry(outcome.error, grant, policy, random, {});
    case 'rejected':
      return decideRejected(outcome, grant, policy, random);
  }
}

function decideRejected(
  outcome: Extract<ProviderOutcome, { kind: 'rejected' }>,
  grant: TriedGrant,
  policy: RetryPolicy,
  random: () => number,
): Settlement {
  const { error, retryAfterMs } = outcome;
  switch (outcome.class) {
    case 'pair':
      return braked({
        on: 'pair',
        waitsMs: retryAfterMs === undefined ? PAIR_WAITS_MS : [Math.min(retryAfterMs, WAIT_MS_MAX)],
      });
    case 'sender-slow':
      return braked({ on: 'sender-rate', waitMs: Math.min(retryAfterMs ?? 1000, WAIT_MS_MAX) });
    case 'sender-pause':
    case 'credentials':
      return braked({ on: 'sender', reason: pauseReason(error) });
    case 'retry-soon':
      return retry(error, grant, policy, random, outcome);
    case 'template':
      if (grant.template !== undefined && isTemplateStopped(error)) {
        return braked({ on: 'template', template: grant.template });
      }
      return defer(error, grant, policy, outcome);
    case 'retry-later':
      return defer(error, grant, policy, outcome);
    case 'recipient':
    case 'payload':
      return { kind: 'failed', error };
  }
}

/** The message stays at the head of its conversation; what must wait is its pair, its sender or its template. No attempt is counted. */
function braked(brake: Brake): Settlement {
  return { kind: 'retry', delayMs: 0, counted: false, brake };
}

interface ErrorLimits {
  readonly retryAfterMs?: number;
  /** Attempts in all that make sense for this error, fast and slow together. */
  readonly attemptsMax?: number;
}

/**
 * The attempts of this try that count, this one included: without those that a brake or a circuit took back, and without
 * those before a redrive. What was taken in again has slow retries behind it that the engine did not see.
 */
function attemptsMade({ counted, deferrals }: Tried): number {
  return Math.max(counted, deferrals) + 1;
}

function isSpent(grant: Tried, limits: ErrorLimits): boolean {
  return limits.attemptsMax !== undefined && attemptsMade(grant) >= limits.attemptsMax;
}

function retry(
  error: MessageError,
  grant: Tried,
  policy: RetryPolicy,
  random: () => number,
  limits: ErrorLimits,
): Settlement {
  const made = attemptsMade(grant);
  // A message on the slow schedule gets one attempt per slot.
  if (made >= policy.attemptsMax || grant.deferrals > 0) return defer(error, grant, policy, limits);
  if (isSpent(grant, limits)) return { kind: 'failed', error };
  const ceilingMs = Math.min(policy.backoffMs * 2 ** (made - 1), BACKOFF_MS_MAX);
  const delayMs = Math.max(random() * ceilingMs, Math.min(limits.retryAfterMs ?? 0, WAIT_MS_MAX));
  return { kind: 'retry', delayMs: Math.ceil(delayMs), counted: true };
}

function defer(error: MessageError, grant: Tried, policy: RetryPolicy, limits: ErrorLimits): Settlement {
  const slotSeconds = policy.scheduleSeconds[grant.deferrals];
  if (slotSeconds === undefined || isSpent(grant, limits)) return { kind: 'failed', error };
  const [slotMs, askedMs] = [slotSeconds * 1000, Math.min(limits.retryAfterMs ?? 0, WAIT_MS_MAX)];
  const asked = askedMs > slotMs ? { asked: true } : {};
  return { kind: 'deferred', delayMs: Math.max(slotMs, askedMs), block: policy.deferBlocks, ...asked };
}

function pauseReason(error: MessageError): string {
  return error.providerCode === null ? error.title : `${error.title} (${error.providerCode})`;
}
