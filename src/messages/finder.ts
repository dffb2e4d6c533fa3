import { setTimeout as delay } from 'node:timers/promises';
import type { Place, SendQueue, UnrecordedMessage } from '../engine/contract.ts';
import { AppError, hasCode } from '../errors/app-error.ts';
import { nullWhileAway } from '../errors/while-away.ts';
import type { Lane } from '../model/message.ts';
import type { RecordedMessage } from '../record/types.ts';
import { isId } from '../util/ids.ts';
import type { MessageStore } from './ports.ts';
import { scopeOf, type Principal } from './principal.ts';
import type { Senders } from './senders.ts';
import { isSettled, recordedView, unrecordedView, type MessageView } from './view.ts';

/** A message and how to find it in the engine. */
export interface Found {
  readonly view: MessageView;
  readonly lane: Lane;
  readonly seq: number;
  readonly isRecorded: boolean;
}

export interface FinderOptions {
  readonly queue: Pick<SendQueue, 'unrecorded' | 'place'>;
  readonly store: Pick<MessageStore, 'find'>;
  readonly senders: Pick<Senders, 'knowing'>;
  /** A message that was sent before this, and told nothing of since, is shown as overdue; epoch ms. */
  readonly silentSince: () => number;
}

/**
 * Finds a message as it stands now, in the queue, in the record, or in both while the recorder is between them.
 * @throws AppError `NOT_FOUND`, `RECORD_UNAVAILABLE`, `QUEUE_UNAVAILABLE`
 */
export type Finder = (id: string, principal: Principal, tenant: string | undefined) => Promise<Found>;

/** A recorder that keeps up needs a few ms; one that is behind is not waited for. */
const CATCH_UP_DELAYS_MS = [20, 60, 150, 300];

export function createFinder({ queue, store, senders, silentSince }: FinderOptions): Finder {
  async function find(id: string, principal: Principal, tenant: string | undefined): Promise<Found> {
    const scope = scopeOf(principal, tenant);
    if (!isId(id)) throw missing();
    // The queue first: what it no longer lists as unrecorded was committed before, so the record has it.
    const fresh = await orUnavailable(senders.knowing(() => queue.unrecorded(id)));
    if (fresh !== null && !(fresh instanceof AppError)) {
      if (scope !== null && fresh.lane.tenant !== scope) throw missing();
      return fresh.place === null ? await ended(fresh) : fromQueue(fresh);
    }
    const recorded = await store.find(scope, id);
    if (recorded === null) throw fresh ?? missing();
    const { sender, conversation, seq } = recorded;
    const lane = { sender, tenant: recorded.tenant, conversation };
    if (isSettled(recorded.status) && recorded.status !== 'failed') return fromRecord(recorded, null);
    const place = await orUnavailable(senders.knowing(() => queue.place({ id, lane, seq })));
    if (place instanceof AppError) return fromRecord(recorded, null);
    return fromRecord(place === null ? await caughtUp(recorded) : recorded, place);
  }

  /**
   * The queue lists a message for a second longer than the record lacks it. What the record knows of one that has
   * ended is more: its attempts, its statuses, or an end that lies too far back for the queue.
   */
  async function ended(message: UnrecordedMessage): Promise<Found> {
    // What is known without the record must be told while the record is away.
    const recorded = await nullWhileAway(store.find(message.lane.tenant, message.id));
    if (recorded === null) return fromQueue(message);
    const current = message.ended === null ? await caughtUp(recorded) : recorded;
    return isSettled(current.status) ? fromRecord(current, null) : fromQueue(message);
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

  function fromRecord(message: RecordedMessage, place: Place | null): Found {
    const { sender, tenant, conversation, seq } = message;
    const view = recordedView(message, place, silentSince());
    return { view, lane: { sender, tenant, conversation }, seq, isRecorded: true };
  }

  return find;
}

function fromQueue(message: UnrecordedMessage): Found {
  return { view: unrecordedView(message), lane: message.lane, seq: message.seq, isRecorded: false };
}

function missing(): AppError {
  return new AppError('NOT_FOUND', { detail: 'There is no message with this id.' });
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
