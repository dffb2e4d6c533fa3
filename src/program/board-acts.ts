import { AppError } from '../errors/app-error.ts';
import type { WaxwingFailures } from '../failures/index.ts';
import type { SendEngineParts } from '../http/index.ts';

/** Stands in timelines; who it was stands in the audit, where the board writes every act. */
const BY = 'bull-board';

/** What the buttons Retry and Promote of the board do to a message: the same as the API and the command line. */
export function boardActs(
  failures: Pick<WaxwingFailures, 'deadLetters' | 'retryNow'>,
): Required<Pick<SendEngineParts, 'redrive' | 'hasten'>> {
  return {
    async redrive(id) {
      const report = await failures.deadLetters.redrive({ ids: [id] }, BY, false);
      const [item] = report.items;
      if (item?.result !== 'done') throw new AppError('CONFLICT', { detail: item?.sentence ?? report.sentence });
    },
    async hasten(id) {
      if (await failures.retryNow(id)) return;
      throw new AppError('CONFLICT', {
        detail:
          'Only a message that waits for its slow retry can be promoted: this one waits for none, or for a pause that the provider asks for.',
      });
    },
  };
}
