import type { AlertRule } from './rule.ts';
import type { Change } from './state.ts';

/** One alert's beginning or end, on its way to the webhook. */
export interface Notice {
  /** The same for the same change, whoever sends it: the receiver drops a second one by it. */
  readonly id: string;
  readonly body: string;
  readonly attempts: number;
  /** Wall clock, epoch ms. */
  readonly dueAtMs: number;
  readonly madeAtMs: number;
}

export type Deliver = (notice: Pick<Notice, 'id' | 'body'>) => Promise<void>;

const BACKOFF_MS_MIN = 1000;
const BACKOFF_MS_MAX = 10 * 60_000;
/** An alert that could not be told for a day is not news any more. */
const GIVE_UP_MS = 24 * 3_600_000;
/** More than this can only be a receiver that is away while alerts flicker; the oldest are dropped. */
const OUTBOX_MAX = 500;

export function noticeOf(rule: AlertRule, { kind, alert }: Change, nowMs: number): Notice {
  const atMs = (kind === 'firing' ? alert.firedAtMs : alert.resolvedAtMs) ?? nowMs;
  const instance = alert.instance === '' ? '' : `-${Buffer.from(alert.instance).toString('base64url')}`;
  return {
    id: `alert-${rule.id}${instance}-${kind}-${atMs}`,
    body: JSON.stringify({
      type: `alert.${kind}`,
      timestamp: new Date(atMs).toISOString(),
      data: {
        alert: rule.id,
        severity: rule.severity,
        state: kind,
        sentence: rule.sentence,
        advice: rule.advice,
        instance: alert.instance === '' ? null : alert.instance,
        value: alert.value,
        since: new Date(alert.sinceMs).toISOString(),
      },
    }),
    attempts: 0,
    dueAtMs: nowMs,
    madeAtMs: nowMs,
  };
}

export interface Delivery {
  readonly outbox: readonly Notice[];
  readonly delivered: number;
  readonly failed: number;
  /** Those that nobody will send any more. */
  readonly givenUp: readonly Notice[];
}

/**
 * Sends what is due, oldest first, and stops at the first failure, so that a beginning comes before its end.
 * @param onFailure hears why
 */
export async function deliverDue(
  outbox: readonly Notice[],
  deliver: Deliver,
  now: () => number,
  onFailure: (notice: Notice, error: unknown) => void,
): Promise<Delivery> {
  const givenUp = outbox.filter(({ madeAtMs }) => now() - madeAtMs > GIVE_UP_MS);
  const left = outbox.filter((notice) => !givenUp.includes(notice)).slice(-OUTBOX_MAX);
  let delivered = 0;
  for (let first = left[0]; first !== undefined && first.dueAtMs <= now(); first = left[0]) {
    try {
      await deliver(first);
      left.shift();
      delivered += 1;
    } catch (error) {
      onFailure(first, error);
      const waitMs = Math.min(BACKOFF_MS_MIN * 2 ** first.attempts, BACKOFF_MS_MAX);
      left[0] = { ...first, attempts: first.attempts + 1, dueAtMs: now() + waitMs };
      return { outbox: left, delivered, failed: 1, givenUp };
    }
  }
  return { outbox: left, delivered, failed: 0, givenUp };
}
