import { AppError } from '../errors/app-error.ts';
import type { DeadLetter, DeadLetterFilter, WaxwingRecord } from '../record/index.ts';
import { isId } from '../util/ids.ts';

/** Which letters an act is about: those with these ids, or those that a filter finds. */
export type Selection =
  { readonly ids: readonly string[] } | { readonly filter: DeadLetterFilter; readonly after?: string | undefined };

/** The letters of one call, oldest first. */
export interface Selected {
  readonly letters: readonly DeadLetter[];
  /** Letters that the selection names, from all calls together. */
  readonly matched: number;
  /** The filter found more than one call takes. */
  readonly more: boolean;
}

type Letters = Pick<WaxwingRecord, 'deadLetters' | 'messages'>;

/** One call takes no more: a redrive of a million is a thousand calls, and each can be looked at. */
const ACT_MAX = 1000;

/**
 * The letters that are meant. Ids are all checked before anything is done.
 * @throws AppError `NOT_FOUND` for an id that is no message, `CONFLICT` for one that is no dead letter
 */
export async function select(record: Letters, selection: Selection): Promise<Selected> {
  if ('filter' in selection) return await found(record, selection.filter, selection.after);
  const letters: DeadLetter[] = [];
  for (const id of [...new Set(selection.ids)].sort()) letters.push(await named(record, id));
  return { letters, matched: letters.length, more: false };
}

async function found(record: Letters, filter: DeadLetterFilter, after: string | undefined): Promise<Selected> {
  if (after !== undefined && !isId(after)) {
    throw new AppError('REQUEST_INVALID', { field: 'after', detail: 'Give the `next` of the call before.' });
  }
  const [oldest, matched] = await Promise.all([
    record.deadLetters.oldest(filter, ACT_MAX + 1, after),
    record.deadLetters.count(filter),
  ]);
  const letters = oldest.slice(0, ACT_MAX);
  return { letters, matched: Math.max(matched, letters.length), more: oldest.length > ACT_MAX };
}

async function named(record: Letters, id: string): Promise<DeadLetter> {
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
