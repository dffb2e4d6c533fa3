import type { LifecycleEvent } from '../../model/events.ts';
import type { MessageError } from '../../model/message.ts';
import { instant } from './instant.ts';
import { storableJson, storableText } from './storable.ts';

/**
 * What an event means for the message's failure record.
 * `failed` makes or changes the row, PENDING or FAILED; `ended` closes a row that exists; `redriven` opens it again.
 */
export type FailureStep =
  | {
      readonly kind: 'failed';
      readonly status: 'PENDING' | 'FAILED';
      readonly at: string;
      readonly attemptCount: number;
      readonly errorCode: string;
      readonly errorMessage: string;
      readonly nextRetryAt: string | null;
      /** JSON, joined to what is there. */
      readonly metadata: string;
    }
  | {
      readonly kind: 'ended';
      readonly status: 'RESOLVED' | 'FAILED';
      readonly at: string;
      readonly attemptCount: number | null;
      readonly lastAttemptAt: string | null;
      readonly metadata: string;
    }
  | {
      readonly kind: 'redriven';
      readonly at: string;
      readonly cause: 'person' | 'report' | 'repair';
      readonly by: string;
      readonly nextRetryAt: string;
    }
  /** No row of its own, but a dead letter may come or go. */
  | { readonly kind: 'held' };

/** Null where the failure record has nothing to learn, as for every message that goes well. */
export function failureStepOf(event: LifecycleEvent): FailureStep | null {
  switch (event.type) {
    case 'deferred':
      return failed(event, event.report?.error ?? event.error, 'PENDING', event.delayMs);
    case 'failed':
      return failed(event, event.error, 'FAILED', null);
    case 'sent': {
      // A first attempt that goes well has no row. Without a report nobody knows which attempt it was.
      if (event.report !== null && event.report.attempt <= 1) return null;
      return {
        kind: 'ended',
        status: 'RESOLVED',
        at: instant(event.atMs),
        attemptCount: event.slowRetries === undefined ? null : event.slowRetries + 1,
        lastAttemptAt: event.report === null ? null : instant(event.report.endedAtMs),
        metadata: '{}',
      };
    }
    case 'cancelled':
      return ended(event.atMs, 'RESOLVED', { resolution: 'cancelled' });
    case 'expired':
      return ended(event.atMs, 'FAILED', { resolution: 'expired' });
    case 'redriven':
      return {
        kind: 'redriven',
        at: instant(event.atMs),
        cause: event.cause,
        by: storableText(event.by),
        nextRetryAt: instant(event.atMs + event.delayMs),
      };
    case 'unknown':
      return event.waitMs === null ? { kind: 'held' } : null;
    default:
      return null;
  }
}

function failed(
  event: Extract<LifecycleEvent, { type: 'deferred' | 'failed' }>,
  error: MessageError | undefined,
  status: 'PENDING' | 'FAILED',
  delayMs: number | null,
): FailureStep {
  const closedBy = 'closedBy' in event ? event.closedBy : undefined;
  return {
    kind: 'failed',
    status,
    at: instant(event.report?.endedAtMs ?? event.atMs),
    attemptCount: (event.slowRetries ?? 0) + 1,
    errorCode: storableText(error?.providerCode ?? error?.code ?? 'UNKNOWN'),
    errorMessage: storableText(error?.detail ?? 'No attempt told why.'),
    nextRetryAt: delayMs === null ? null : instant(event.atMs + delayMs),
    metadata: storableJson({
      source: 'attempt',
      waitsFor: event.type === 'deferred' && event.asked === true ? 'provider' : 'schedule',
      ...(closedBy === undefined ? {} : { discardedBy: closedBy, discardedAt: instant(event.atMs) }),
    }),
  };
}

function ended(atMs: number, status: 'RESOLVED' | 'FAILED', metadata: Record<string, string>): FailureStep {
  return {
    kind: 'ended',
    status,
    at: instant(atMs),
    attemptCount: null,
    lastAttemptAt: null,
    metadata: storableJson(metadata),
  };
}
