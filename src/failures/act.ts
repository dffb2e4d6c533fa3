import { AppError } from '../errors/app-error.ts';
import type { DeadLetter } from '../record/index.ts';
import type { ReturnPorts } from './returning.ts';
import { select, type Selection } from './selection.ts';
import { SKIP_SENTENCES, type SkipReason } from './skip-reason.ts';

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

/** What a person does to letters. */
export interface Act {
  /** What was done to them, for the sentence: `redriven`. */
  readonly done: string;
  /** In a dry run nothing may happen. @returns why the letter was left where it is; null = it was not */
  readonly one: (letter: DeadLetter) => Promise<SkipReason | null>;
}

/** Acts on each letter of a selection, one after the other, and tells what became of them. */
export async function actOn(
  record: ReturnPorts['record'],
  selection: Selection,
  dryRun: boolean,
  act: Act,
): Promise<ActReport> {
  const { letters, matched, more } = await select(record, selection);
  const items: ActItem[] = [];
  for (const letter of letters) {
    const reason = await act.one(letter);
    // A person who names one message is told in the status of the answer that it cannot be.
    if (reason === 'in-flight' && 'ids' in selection && letters.length === 1) {
      throw new AppError('CONFLICT', { detail: SKIP_SENTENCES['in-flight'], field: 'ids' });
    }
    items.push({
      id: letter.messageId,
      result: reason !== null ? 'skipped' : dryRun ? 'would' : 'done',
      reason,
      sentence: reason === null ? null : SKIP_SENTENCES[reason],
    });
  }
  const affected = items.filter(({ reason }) => reason === null).length;
  const verb = dryRun ? 'would be' : affected === 1 ? 'was' : 'were';
  const sentence =
    letters.length === 0
      ? 'No dead letter matches; nothing was done.'
      : `${affected} of ${letters.length} ${verb} ${act.done}.`;
  const skipped = items.length - affected;
  const next = more ? (letters.at(-1)?.messageId ?? null) : null;
  return { dryRun, matched, affected, skipped, more, next, sentence, items };
}
