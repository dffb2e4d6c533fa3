import { AppError } from '../errors/app-error.ts';
import type { DeadLetter, DeadLetterFilter, Page } from '../record/index.ts';
import { type ActReport, actOn } from './act.ts';
import { type DeadLetterDetail, detailOf } from './dead-letter-detail.ts';
import { discardLetter } from './discard.ts';
import { redriveLetter, type RedrivePorts } from './redrive.ts';
import type { Selection } from './selection.ts';

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

export type DeadLetterPorts = Omit<RedrivePorts, 'now'> & { readonly now?: () => number };

const EXPORT_PAGE = 200;

export function createDeadLetterDesk(options: DeadLetterPorts): DeadLetterDesk {
  const { record } = options;
  const ports: RedrivePorts = { ...options, now: options.now ?? Date.now };

  return {
    list: (filter) => record.deadLetters.list(filter),

    async get(id) {
      const letter = await record.deadLetters.get(id);
      const detail = letter === null ? null : await detailOf(record, letter);
      if (detail === null) throw new AppError('NOT_FOUND', { detail: 'There is no dead letter with this id.' });
      return detail;
    },

    redrive: (selection, by, dryRun) =>
      actOn(record, selection, dryRun, {
        done: 'redriven',
        one: (letter) => redriveLetter(ports, letter, by, dryRun),
      }),

    discard: (selection, by, dryRun) =>
      actOn(record, selection, dryRun, {
        done: 'discarded',
        one: async (letter) => (dryRun ? null : await discardLetter(ports, letter, by)),
      }),

    async *export(filter) {
      let cursor: string | undefined;
      do {
        const page = await record.deadLetters.list({ ...filter, cursor, limit: EXPORT_PAGE });
        for (const letter of page.items) {
          const detail = await detailOf(record, letter);
          if (detail !== null) yield detail;
        }
        cursor = page.next ?? undefined;
      } while (cursor !== undefined);
    },
  };
}
