import type { SendQueue } from '../engine/contract.ts';
import { AppError } from '../errors/app-error.ts';
import type { MessageError } from '../model/message.ts';
import { adviceFor, type Advice } from '../providers/advice.ts';
import type {
  DeadLetter,
  DeadLetterFilter,
  FailureRecord,
  Page,
  RecordedAttempt,
  RecordedMessage,
} from '../record/index.ts';
import { isId } from '../util/ids.ts';
import { knowingSender, returningMessage, type ReturnPorts } from './returning.ts';

/** Which letters an act is about: those with these ids, or those that a filter finds. */
export type Selection =
  { readonly ids: readonly string[] } | { readonly filter: DeadLetterFilter; readonly after?: string | undefined };

/** Why a letter was left where it is. */
export type SkipReason = 'expired' | 'window-closed' | 'backlog-full' | 'in-flight' | 'unknown-sender' | 'held';

export interface ActItem {
  readonly id: string;
  /** `would` in a dry run, `done`, or `skipped` for the reason given. */
  readonly result: 'would' | 'done' | 'skipped';
  readonly reason: SkipReason | null;
  readonly sentence: string | null;
}

export interface ActReport {
  readonly dryRun: boolean;
  /** Letters that the selection names, from all calls together; one call takes 1,000. */
  readonly matched: number;
  /** Done, or in a dry run those that would be. */
  readonly affected: number;
  readonly skipped: number;
  /** The filter found more than one call takes: call again with `after: next`. */
  readonly more: boolean;
  /** Id of the last letter of this call, while there are more. What was skipped stays, so the next call begins after it. */
  readonly next: string | null;
  readonly sentence: string;
  readonly items: readonly ActItem[];
}

export interface DeadLetterDetail {
  readonly letter: DeadLetter;
  readonly message: RecordedMessage;
  readonly failure: FailureRecord | null;
  readonly attempts: readonly RecordedAttempt[];
  readonly advice: Advice;
}

export interface DeadLetterDesk {
  /** Newest first. */
  list(
    filter: DeadLetterFilter & { readonly cursor?: string | undefined; readonly limit?: number | undefined },
  ): Promise<Page<DeadLetter>>;
  /** @throws AppError `NOT_FOUND` */
  get(id: string): Promise<DeadLetterDetail>;
  /**
   * Brings letters back into the queue, oldest first: a new attempt of the same message, at the pace of all others.
   * Expiry and the 24-hour window are looked at again; what is held because its outcome is unknown is resent.
   * @throws AppError `NOT_FOUND` for an id that is no message, `CONFLICT` for one that is on its way; nothing was done
   */
  redrive(selection: Selection, by: string, dryRun: boolean): Promise<ActReport>;
  /** Gives letters up for good. @throws like `redrive()` */
  discard(selection: Selection, by: string, dryRun: boolean): Promise<ActReport>;
  /** Every letter that the filter finds, newest first, one at a time. */
  export(filter: DeadLetterFilter): AsyncGenerator<DeadLetterDetail>;
}

/** One call takes no more: a redrive of a million is a thousand calls, and each can be looked at. */
const ACT_MAX = 1000;
const EXPORT_PAGE = 200;

const SENTENCES: Readonly<Record<SkipReason, string>> = {
  expired: 'The message has expired: it must not be sent any more. Discard it, or send a new one.',
  'window-closed':
    'More than 24 hours have passed since the person wrote: only a template may be sent. Discard it, or send a template.',
  'backlog-full': "The tenant's backlog is full. Redrive it again when it has shrunk.",
  'in-flight': 'The message is on its way again already.',
  'unknown-sender': 'Its sender does not exist any more.',
  held: 'The queue does not hold it any more. Read the message again.',
};

export interface DeadLetterPorts extends ReturnPorts {
  readonly queue: Pick<SendQueue, 'place'>;
  readonly now?: () => number;
}

export function createDeadLetterDesk(ports: DeadLetterPorts): DeadLetterDesk {
  const { record, retries, queue } = ports;
  const now = ports.now ?? Date.now;

  async function detailOf(letter: DeadLetter): Promise<DeadLetterDetail | null> {
    const message = await record.messages.find(null, letter.messageId);
    if (message === null) return null;
    const [failure, attempts, sender] = await Promise.all([
      record.failures.get(letter.messageId),
      record.messages.attempts(null, letter.messageId),
      record.senders.get(letter.sender),
    ]);
    const advice = adviceFor(sender?.provider ?? 'cloud', errorOf(letter, message));
    return { letter, message, failure, attempts, advice };
  }

  /** The letters that are meant. Ids are all checked before anything is done. */
  async function select(
    selection: Selection,
  ): Promise<{ letters: readonly DeadLetter[]; matched: number; more: boolean }> {
    if ('filter' in selection) {
      const { filter, after } = selection;
      if (after !== undefined && !isId(after)) {
        throw new AppError('REQUEST_INVALID', { field: 'after', detail: 'Give the `next` of the call before.' });
      }
      const [found, matched] = await Promise.all([
        record.deadLetters.oldest(filter, ACT_MAX + 1, after),
        record.deadLetters.count(filter),
      ]);
      const letters = found.slice(0, ACT_MAX);
      return { letters, matched: Math.max(matched, letters.length), more: found.length > ACT_MAX };
    }
    const letters: DeadLetter[] = [];
    for (const id of [...new Set(selection.ids)].sort()) letters.push(await named(id));
    return { letters, matched: letters.length, more: false };
  }

  async function named(id: string): Promise<DeadLetter> {
    const letter = await record.deadLetters.get(id);
    if (letter !== null) return letter;
    const message = await record.messages.find(null, id);
    if (message === null) {
      throw new AppError('NOT_FOUND', { detail: `There is no message ${id}.`, field: 'ids' });
    }
    const onItsWay = ['queued', 'scheduled', 'deferred', 'unknown'].includes(message.engineStatus);
    throw new AppError('CONFLICT', {
      detail: onItsWay
        ? `The message ${id} is on its way (${message.status}); only a dead letter can be redriven or discarded.`
        : `The message ${id} is no dead letter: it is ${message.status}.`,
      field: 'ids',
    });
  }

  /** What speaks against sending it again; null = nothing. */
  async function obstacle(letter: DeadLetter, message: RecordedMessage): Promise<SkipReason | null> {
    const { sender, tenant, conversation } = message;
    const place = await queue.place({ id: message.id, lane: { sender, tenant, conversation }, seq: message.seq });
    if (place !== null && !letter.held) return 'in-flight';
    if (message.expiresAtMs !== null && message.expiresAtMs <= now()) return 'expired';
    if (message.type === 'template') return null;
    const names = [message.contact, message.to, message.recipient].filter((name) => name !== null);
    const windowEndsMs = await record.conversations.windowOf({ sender, tenant, conversation, names });
    if (windowEndsMs !== null) return windowEndsMs <= now() ? 'window-closed' : null;
    // Nobody knows the window: WhatsApp's own word that it was closed counts until the person is seen to write.
    return letter.code === '131047' || letter.code === '63016' ? 'window-closed' : null;
  }

  async function redriveOne(letter: DeadLetter, by: string, dryRun: boolean): Promise<SkipReason | null> {
    const message = await record.messages.find(null, letter.messageId);
    if (message === null) return 'held';
    const reason = await obstacle(letter, message);
    if (reason !== null || dryRun) return reason;
    const { sender, tenant, conversation } = message;
    const result = await knowingSender(ports, sender, async () => {
      if (letter.held) {
        const lane = { sender, tenant, conversation };
        return await retries.resend({ id: message.id, shard: message.shard, lane }, by);
      }
      const back = await returningMessage(ports, message);
      const from = message.engineStatus === 'sent' ? 'sent' : 'failed';
      return await retries.redrive(back, from, { cause: 'person', by, delayMs: 0 });
    });
    switch (result) {
      case 'done':
        return null;
      case 'not-there':
        return letter.held ? 'held' : 'in-flight';
      default:
        return result;
    }
  }

  async function discardOne(letter: DeadLetter, by: string): Promise<SkipReason | null> {
    if (!letter.held) {
      const gone = await record.deadLetters.discard([letter.messageId], by);
      return gone.length === 1 ? null : 'in-flight';
    }
    const message = await record.messages.find(null, letter.messageId);
    if (message === null) return 'held';
    const { id, shard, sender, tenant, conversation } = message;
    const target = { id, shard, lane: { sender, tenant, conversation } };
    const result = await knowingSender(ports, sender, () => retries.close(target, by, CLOSED));
    return result === 'done' ? null : 'held';
  }

  async function act(
    selection: Selection,
    dryRun: boolean,
    word: string,
    one: (letter: DeadLetter) => Promise<SkipReason | null>,
  ): Promise<ActReport> {
    const { letters, matched, more } = await select(selection);
    const items: ActItem[] = [];
    for (const letter of letters) {
      const reason = await one(letter);
      // A person who names one message is told in the status of the answer that it cannot be.
      if (reason === 'in-flight' && 'ids' in selection && letters.length === 1) {
        throw new AppError('CONFLICT', { detail: SENTENCES['in-flight'], field: 'ids' });
      }
      items.push({
        id: letter.messageId,
        result: reason !== null ? 'skipped' : dryRun ? 'would' : 'done',
        reason,
        sentence: reason === null ? null : SENTENCES[reason],
      });
    }
    const affected = items.filter(({ reason }) => reason === null).length;
    const sentence =
      letters.length === 0
        ? 'No dead letter matches; nothing was done.'
        : `${affected} of ${letters.length} ${dryRun ? 'would be' : 'were'} ${word}.`;
    const skipped = items.length - affected;
    const next = more ? (letters.at(-1)?.messageId ?? null) : null;
    return { dryRun, matched, affected, skipped, more, next, sentence, items };
  }

  return {
    list: (filter) => record.deadLetters.list(filter),

    async get(id) {
      const letter = await record.deadLetters.get(id);
      const detail = letter === null ? null : await detailOf(letter);
      if (detail === null) throw new AppError('NOT_FOUND', { detail: 'There is no dead letter with this id.' });
      return detail;
    },

    redrive: (selection, by, dryRun) => act(selection, dryRun, 'redriven', (letter) => redriveOne(letter, by, dryRun)),

    discard: (selection, by, dryRun) =>
      act(selection, dryRun, 'discarded', async (letter) => (dryRun ? null : await discardOne(letter, by))),

    async *export(filter) {
      let cursor: string | undefined;
      do {
        const page = await record.deadLetters.list({ ...filter, cursor, limit: EXPORT_PAGE });
        for (const letter of page.items) {
          const detail = await detailOf(letter);
          if (detail !== null) yield detail;
        }
        cursor = page.next ?? undefined;
      } while (cursor !== undefined);
    },
  };
}

const CLOSED: MessageError = {
  code: 'OUTCOME_UNKNOWN_CLOSED',
  providerCode: null,
  title: 'Closed by a person',
  detail: 'Nobody knows whether the message was sent; a person decided not to send it again.',
  retryable: false,
};

function errorOf(letter: DeadLetter, message: RecordedMessage): MessageError {
  if (letter.held || message.error === null) {
    const code = letter.held ? 'PROVIDER_OUTCOME_UNKNOWN' : letter.code;
    return { code, providerCode: null, title: 'The outcome is not known', detail: '', retryable: false };
  }
  return message.error;
}
