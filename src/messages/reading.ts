import { setTimeout as delay } from 'node:timers/promises';
import type { Place, SendQueue, UnrecordedMessage } from '../engine/contract.ts';
import { AppError, hasCode } from '../errors/app-error.ts';
import type { Lane } from '../model/message.ts';
import type { Page, RecordedMessage } from '../record/types.ts';
import { isId } from '../util/ids.ts';
import type { MessageQuery, MessageStore } from './ports.ts';
import type { Senders } from './senders.ts';
import { scopeOf, type Principal } from './principal.ts';
import { explainEnded, explainWaiting, type Explanation } from './explain.ts';
import type { AttemptTime } from './supply.ts';
import { timelineOf, type TimelineView } from './timeline.ts';
import { isSettled, recordedView, unrecordedView, type MessageView } from './view.ts';

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

/** A recorder that keeps up needs a few ms; one that is behind is not waited for. */
const CATCH_UP_DELAYS_MS = [20, 60, 150, 300];

/** A message and how to find it in the engine. */
interface Found {
  readonly view: MessageView;
  readonly lane: Lane;
  readonly seq: number;
  readonly isRecorded: boolean;
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
  const asFound = (message: RecordedMessage, place: Place | null): Found => {
    const { sender, tenant, conversation, seq } = message;
    const view = recordedView(message, place, silentSince());
    return { view, lane: { sender, tenant, conversation }, seq, isRecorded: true };
  };

  async function find(id: string, principal: Principal, tenant: string | undefined): Promise<Found> {
    const scope = scopeOf(principal, tenant);
    if (!isId(id)) throw missing();
    // The queue first: what it no longer lists as unrecorded was committed before, so the record has it.
    const fresh = await orUnavailable(senders.knowing(() => queue.unrecorded(id)));
    if (fresh !== null && !(fresh instanceof AppError)) {
      if (scope !== null && fresh.lane.tenant !== scope) throw missing();
      return fresh.place === null ? await ended(fresh) : found(fresh);
    }
    const recorded = await store.find(scope, id);
    if (recorded === null) throw fresh ?? missing();
    const { sender, conversation, seq } = recorded;
    const lane = { sender, tenant: recorded.tenant, conversation };
    if (isSettled(recorded.status) && recorded.status !== 'failed') return asFound(recorded, null);
    const place = await orUnavailable(senders.knowing(() => queue.place({ id, lane, seq })));
    if (place instanceof AppError) return asFound(recorded, null);
    return asFound(place === null ? await caughtUp(recorded) : recorded, place);
  }

  /**
   * The queue lists a message for a second longer than the record lacks it. What the record knows of one that has
   * ended is more: its attempts, its statuses, or an end that lies too far back for the queue.
   */
  async function ended(message: UnrecordedMessage): Promise<Found> {
    const recorded = await orNull(store.find(message.lane.tenant, message.id));
    if (recorded === null) return found(message);
    const current = message.ended === null ? await caughtUp(recorded) : recorded;
    return isSettled(current.status) ? asFound(current, null) : found(message);
  }

  /**
   * The engine has done with the message and the record does not know yet how it ended: the recorder is about to write
   * it. Waiting for that a moment is what lets a caller read what it has just done.
   */
  async function caughtUp(message: RecordedMessage): Promise<RecordedMessage> {
    let current = message;
    for (const delayMs of CATCH_UP_DELAYS_MS) {
      if (isSettled(current.status)) break;
      await delay(delayMs);
      current = (await store.find(message.tenant, message.id)) ?? current;
    }
    return current;
  }

  return {
    get: async (id, principal, tenant) => (await find(id, principal, tenant)).view,

    async timeline(id, principal, tenant) {
      const { view, isRecorded } = await find(id, principal, tenant);
      const recorded = store.timeline(scopeOf(principal, tenant), id);
      const items = (await (isRecorded ? recorded : orNull(recorded))) ?? [];
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

function found(message: UnrecordedMessage): Found {
  return { view: unrecordedView(message), lane: message.lane, seq: message.seq, isRecorded: false };
}

function missing(): AppError {
  return new AppError('NOT_FOUND', { detail: 'There is no message with this id.' });
}

/** What is known without the record must be told while the record is away. */
async function orNull<T>(asked: Promise<T | null>): Promise<T | null> {
  try {
    return await asked;
  } catch (error) {
    if (hasCode(error, 'RECORD_UNAVAILABLE')) return null;
    throw error;
  }
}

/** A queue that is away does not hide what the record knows; the error is kept for when that is nothing. */
async function orUnavailable<T>(asked: Promise<T>): Promise<T | AppError> {
  try {
    return await asked;
  } catch (error) {
    if (hasCode(error, 'QUEUE_UNAVAILABLE')) return error;
    throw error;
  }
}
