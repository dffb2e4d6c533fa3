import { ErrorCode } from 'bullmq';
import { AppError } from '../../errors/app-error.ts';

/** What BullMQ refuses because of the state that the job has by now; any other error as it is. */
export function jobStateError(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const { code } = error as { readonly code?: ErrorCode | string };
  if (code === ErrorCode.JobNotExist) {
    return new AppError('NOT_FOUND', { detail: 'There is no such job any more.', cause: error });
  }
  if (typeof code !== 'number' || !(code in ErrorCode)) return error;
  const detail = 'The state of the job does not allow this. Refresh the page.';
  return new AppError('CONFLICT', { detail, cause: error });
}
