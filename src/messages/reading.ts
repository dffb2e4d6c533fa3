import type { SendQueue } from '../engine/contract.ts';
import { AppError } from '../errors/app-error.ts';
import { nullWhileAway } from '../errors/while-away.ts';
import type { Page } from '../record/types.ts';
import { createFinder } from './finder.ts';
import type { MessageQuery, MessageStore } from './ports.ts';
import type { Senders } from './senders.ts';
import { scopeOf, type Principal } from './principal.ts';
import { explainEnded, explainWaiting, type Explanation } from './explain.ts';
import type { AttemptTime } from './supply.ts';
import { timelineOf, type TimelineView } from './timeline.ts';
import { isSettled, recordedView, type MessageView } from './view.ts';

export type ListQuery = Omit<MessageQuery, 'tenant' | 'silentSinceMs'> & {
  readonly tenant?: string | undefined;
  /** Only those whose status is overdue. */
  readonly statusOverdue?: boolean | undefined;
};

/** Reads and cancels messages. Another tenant's message is answered exactly like one that does not exist. */
export interface Reading {
  /**
   * The message as it stands now; a message is there at once after its accept.
   * @param tenant narrows the search to one tenant
   * @throws AppError `NOT_FOUND`, `RECORD_UNAVAILABLE`, `QUEUE_UNAVAILABLE`
   */
  get(id: string, principal: Principal, tenant?: string): Promise<MessageView>;
  /** Every event so far, oldest first. @throws like `get()` */
  timeline(id: string, principal: Principal, tenant?: string): Promise<TimelineView>;
  /** Why the message is where it is, and when it will probably be sent. @throws like `get()` */
  explain(id: string, principal: Principal, tenant?: string): Promise<Explanation>;
  /** Newest first, as recorded: a message appears here within moments of its accept. */
  list(query: ListQuery, principal: Principal): Promise<Page<MessageView>>;
  /**
   * Cancels what waits.
   * @returns the message as `cancelled`
   * @throws AppError `CONFLICT` when it is being sent or has ended, and those of `get()`
   */
  cancel(id: string, principal: Principal, tenant?: string): Promise<MessageView>;
}

export interface ReadingOptions {
  readonly queue: SendQueue;
  readonly store: MessageStore;
  readonly senders: Pick<Senders, 'knowing'>;
  /** STATUS_WATCHDOG_SECONDS in ms: a sent message is told something of within this time, or is shown as overdue. */
  readonly statusWatchdogMs?: number | undefined;
  readonly attemptTime: (sender: string) => Promise<AttemptTime>;
}

export function createReading(options: ReadingOptions): Reading {
  const { queue, store, senders, attemptTime, statusWatchdogMs = 3_600_000 } = options;
  const silentSince = () => Date.now() - statusWatchdogMs;
  const find = createFinder({ queue, store, senders, silentSince });

  return {
    get: async (id, principal, tenant) => (await find(id, principal, tenant)).view,

    async timeline(id, principal, tenant) {
      const { view, isRecorded } = await find(id, principal, tenant);
      const recorded = store.timeline(scopeOf(principal, tenant), id);
      const items = (await (isRecorded ? recorded : nullWhileAway(recorded))) ?? [];
      if (!isRecorded && items.length === 0) {
        return { items: [{ at: view.createdAt, event: 'accepted', detail: { source: 'engine' } }] };
      }
      return timelineOf(items);
    },

    async explain(id, principal, tenant) {
      const { view, lane, seq } = await find(id, principal, tenant);
      if (isSettled(view.status) && view.status !== 'failed') return explainEnded(view);
      const [line, sender, time] = await senders.knowing(() =>
        Promise.all([
          queue.line({ id, lane, seq }),
          queue.lookAtSender(lane.sender, lane.tenant),
          attemptTime(lane.sender),
        ]),
      );
      // It ended while it was looked at, or failed: what the record says now is the whole story.
      if (line === null || sender === null) return explainEnded((await find(id, principal, tenant)).view);
      return explainWaiting({ view, line, sender, time, nowMs: Date.now() });
    },

    async list({ tenant, statusOverdue, ...query }, principal) {
      const silentSinceMs = silentSince();
      const overdue = statusOverdue === true ? { silentSinceMs } : {};
      const page = await store.list({ ...query, ...overdue, tenant: scopeOf(principal, tenant) });
      return { items: page.items.map((message) => recordedView(message, null, silentSinceMs)), next: page.next };
    },

    async cancel(id, principal, tenant) {
      const { view, lane, seq } = await find(id, principal, tenant);
      const result = await senders.knowing(() => queue.cancel({ id, lane, seq }));
      if (result === 'cancelled') return { ...view, status: 'cancelled', hold: null };
      if (result === 'in-flight') {
        throw new AppError('CONFLICT', {
          detail: 'The message is being sent right now and cannot be cancelled any more.',
        });
      }
      const { view: current } = await find(id, principal, tenant);
      const word = isSettled(current.status) ? current.status : 'on its way';
      throw new AppError('CONFLICT', { detail: `The message is ${word}; only what still waits can be cancelled.` });
    },
  };
}
