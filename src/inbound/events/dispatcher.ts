import type { ClaimedEvent, EventsOut } from '../../record/index.ts';
import { GuardedFetchError, type GuardedFetch } from '../../util/guarded-fetch/index.ts';
import { signedHeaders } from '../../util/signed-webhook.ts';
import { EVENT_SCHEDULE_MS, judge } from './outcome.ts';

export interface DispatcherOptions {
  readonly outbox: Pick<EventsOut, 'claim' | 'finish' | 'heard' | 'disable' | 'purge'>;
  readonly fetch: GuardedFetch;
  /** Secrets that sign for a receiver, the newest first. */
  readonly secretsOf: (endpoint: string) => readonly string[];
  /** EVENTS_CONCURRENCY: attempts at one receiver at once, in this process. */
  readonly perEndpoint: number;
  /** Default `EVENT_SCHEDULE_MS`. */
  readonly scheduleMs?: readonly number[];
  /** How often it looks when nobody woke it, ms; default 500. */
  readonly pollMs?: number;
  /** After how long an attempt of a process that died is made again, ms; default 30,000, above any attempt's time. */
  readonly leaseMs?: number;
  /** Wall clock, epoch ms. */
  readonly now?: () => number;
  readonly onAttempt?: (attempt: EventAttempt) => void;
  readonly onDisabled?: (endpoint: string) => void;
  readonly onError?: (error: unknown) => void;
}

/** One call to a receiver, without what it was about. */
export interface EventAttempt {
  readonly endpoint: string;
  readonly type: string;
  readonly outcome: 'delivered' | 'pending' | 'dead';
  readonly status: number | null;
}

/** Sends the events of the outbox. Any number of processes may run one. */
export interface EventDispatcher {
  start(): void;
  /** There may be something to send: look now. Cheap, and safe to call at any time. */
  wake(): void;
  /** Takes no more and waits for the attempts under way, at most `graceMs`. */
  stop(graceMs: number): Promise<void>;
}

const POLL_MS = 500;
const LEASE_MS = 30_000;
const DAY_MS = 86_400_000;
const PURGE_EVERY_MS = 3_600_000;
/** How long events stay to be looked at and sent again. */
const KEEP_DELIVERED_MS = 7 * DAY_MS;
const KEEP_DEAD_MS = 30 * DAY_MS;

export function createEventDispatcher(options: DispatcherOptions): EventDispatcher {
  const { outbox, fetch, secretsOf, perEndpoint } = options;
  const schedule = options.scheduleMs ?? EVENT_SCHEDULE_MS;
  const now = options.now ?? Date.now;
  const onError = options.onError ?? (() => undefined);
  const busy = new Map<string, number>();
  const underWay = new Set<Promise<void>>();
  let timer: NodeJS.Timeout | undefined;
  let claiming: Promise<void> | undefined;
  let isWoken = false;
  let isStopped = true;
  let purgedAtMs = 0;

  function arm(waitMs: number): void {
    clearTimeout(timer);
    if (!isStopped) timer = setTimeout(wake, waitMs);
  }

  function wake(): void {
    if (isStopped) return;
    if (claiming !== undefined) {
      isWoken = true;
      return;
    }
    isWoken = false;
    claiming = claim()
      .catch(onError)
      .finally(() => {
        claiming = undefined;
        if (isWoken) wake();
        else arm(options.pollMs ?? POLL_MS);
      });
  }

  async function claim(): Promise<void> {
    const events = await outbox.claim({ perEndpoint, leaseMs: options.leaseMs ?? LEASE_MS, busy });
    for (const event of events) {
      busy.set(event.endpoint, (busy.get(event.endpoint) ?? 0) + 1);
      const work = deliver(event)
        .catch(onError)
        .finally(() => {
          underWay.delete(work);
          const left = (busy.get(event.endpoint) ?? 1) - 1;
          if (left === 0) busy.delete(event.endpoint);
          else busy.set(event.endpoint, left);
          // A receiver that was full may have more.
          if (left === 0 || left < perEndpoint / 2) wake();
        });
      underWay.add(work);
    }
    if (now() - purgedAtMs > PURGE_EVERY_MS) {
      purgedAtMs = now();
      await outbox.purge({ delivered: now() - KEEP_DELIVERED_MS, dead: now() - KEEP_DEAD_MS });
    }
  }

  async function deliver(event: ClaimedEvent): Promise<void> {
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
  }

  return {
    start() {
      if (!isStopped) return;
      isStopped = false;
      wake();
    },
    wake,
    async stop(graceMs) {
      isStopped = true;
      clearTimeout(timer);
      const finished = Promise.resolve(claiming).then(() => Promise.all(underWay));
      const timeout = new Promise((resolve) => setTimeout(resolve, graceMs).unref());
      await Promise.race([finished, timeout]);
    },
  };
}

/** What the receiver gets. Made of what the outbox holds, so every attempt sends the same bytes. */
export function bodyOf({ type, occurredAtMs, data }: Pick<ClaimedEvent, 'type' | 'occurredAtMs' | 'data'>): string {
  return JSON.stringify({ type, timestamp: new Date(occurredAtMs).toISOString(), data });
}
