import type { EventsOut } from '../../record/index.ts';
import { createDelivery, type DeliveryOptions } from './delivery.ts';

export interface DispatcherOptions extends DeliveryOptions {
  readonly outbox: Pick<EventsOut, 'claim' | 'finish' | 'heard' | 'disable' | 'purge'>;
  /** EVENTS_CONCURRENCY: attempts at one receiver at once, in this process. */
  readonly perEndpoint: number;
  /** How often it looks when nobody woke it, ms; default 500. */
  readonly pollMs?: number;
  /** After how long an attempt of a process that died is made again, ms; default 30,000, above any attempt's time. */
  readonly leaseMs?: number;
  readonly onError?: (error: unknown) => void;
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
  const { outbox, perEndpoint } = options;
  const deliver = createDelivery(options);
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
