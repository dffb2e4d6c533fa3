import type { ClaimedEvent, EventsOut } from '../../record/index.ts';
import { GuardedFetchError, type GuardedFetch } from '../../util/guarded-fetch/index.ts';
import { signedHeaders } from '../../util/signed-webhook.ts';
import { EVENT_SCHEDULE_MS, judge } from './outcome.ts';

export interface DeliveryOptions {
  readonly outbox: Pick<EventsOut, 'finish' | 'heard' | 'disable'>;
  readonly fetch: GuardedFetch;
  /** Secrets that sign for a receiver, the newest first. */
  readonly secretsOf: (endpoint: string) => readonly string[];
  /** Default `EVENT_SCHEDULE_MS`. */
  readonly scheduleMs?: readonly number[];
  /** Wall clock, epoch ms. */
  readonly now?: () => number;
  readonly onAttempt?: (attempt: EventAttempt) => void;
  readonly onDisabled?: (endpoint: string) => void;
}

/** One call to a receiver, without what it was about. */
export interface EventAttempt {
  readonly endpoint: string;
  readonly type: string;
  readonly outcome: 'delivered' | 'pending' | 'dead';
  readonly status: number | null;
}

/** Makes one attempt to tell a receiver of an event, and notes in the outbox what became of it. */
export type Delivery = (event: ClaimedEvent) => Promise<void>;

export function createDelivery(options: DeliveryOptions): Delivery {
  const { outbox, fetch, secretsOf } = options;
  const schedule = options.scheduleMs ?? EVENT_SCHEDULE_MS;
  const now = options.now ?? Date.now;

  return async (event) => {
    const { id, endpoint, url, type } = event;
    if (url === null || event.isDisabled) {
      const error = url === null ? 'There is no address for its events any more.' : 'Its address was disabled.';
      await outbox.finish(id, { state: 'dead', status: null, error });
      return;
    }
    const body = bodyOf(event);
    const outcome = await fetch(url, { body, headers: signedHeaders(secretsOf(endpoint), id, body, now()) }).catch(
      (error: unknown) => {
        if (error instanceof GuardedFetchError) return error;
        throw error;
      },
    );
    const judgement = judge(outcome, event.attempts, schedule, now());
    await outbox.finish(id, judgement);
    options.onAttempt?.({ endpoint, type, outcome: judgement.state, status: judgement.status });
    if (judgement.isGone) {
      await outbox.disable(endpoint, 'It answered 410: it wants no events any more.');
      options.onDisabled?.(endpoint);
    } else {
      await outbox.heard(endpoint, judgement.state === 'delivered');
    }
  };
}

/** What the receiver gets. Made of what the outbox holds, so every attempt sends the same bytes. */
export function bodyOf({ type, occurredAtMs, data }: Pick<ClaimedEvent, 'type' | 'occurredAtMs' | 'data'>): string {
  return JSON.stringify({ type, timestamp: new Date(occurredAtMs).toISOString(), data });
}
