import { AppError, hasCode } from '../errors/app-error.ts';
import type { DirectResult } from '../worker/direct-message.ts';
import type { FirstEnd } from './direct-keys.ts';
import type { MessageView } from './view.ts';

/** What the caller of a direct send hears when the provider has not taken the message. */
export function directError(result: Exclude<DirectResult, { kind: 'sent' }>, id: string): AppError {
  const said = result.error === null ? '' : ` ${result.error.title}: ${result.error.detail}`;
  switch (result.kind) {
    case 'refused':
      return new AppError('DIRECT_REFUSED', { detail: `Message ${id} was refused.${said}` });
    case 'unknown':
      return new AppError('DIRECT_UNKNOWN', {
        detail: `Message ${id} may have been sent: the provider's answer was lost. Do not send it again blindly.`,
      });
    case 'not-sent':
      if (result.pausedReason !== undefined) return pausedError(result.pausedReason, result.retryAfterMs);
      return new AppError('DIRECT_NOT_SENT', {
        detail: `Nothing was sent.${said === '' ? " The message's turn would come too late." : said}`,
        retryAfterSeconds: Math.max(1, Math.ceil(result.retryAfterMs / 1000)),
      });
  }
}

export function pausedError(reason: string, retryAfterMs = 60_000): AppError {
  return new AppError('DIRECT_NOT_SENT', {
    detail: `Nothing was sent: sending is paused (${reason}).`,
    retryAfterSeconds: Math.ceil(retryAfterMs / 1000),
  });
}

/** No direct call takes longer: one whose key is older and whose message is not recorded ended with its process. */
const CALL_MS_MAX = 60_000;

/**
 * What a repetition is answered, once the first call has ended: as that one was, or the message that it sent.
 * @param accepted the message as it looked when it came in
 * @param read the message as it is recorded. @throws AppError
 * @throws AppError the first caller's, or `DIRECT_NOT_SENT` while another process may still be sending
 */
export async function repetitionOf(
  end: FirstEnd,
  accepted: MessageView,
  read: (id: string) => Promise<MessageView>,
): Promise<MessageView> {
  const { messageId: id } = end;
  if (end.kind === 'told' && !hasCode(end.error, 'DIRECT_UNKNOWN')) throw end.error;
  const recorded = await read(id).catch((error: unknown) => {
    if (error instanceof AppError && (error.code === 'NOT_FOUND' || error.retryable)) return error;
    throw error;
  });
  if (!(recorded instanceof AppError) && recorded.status !== 'unknown') return { ...recorded, duplicate: true };
  if (end.kind === 'told') throw end.error;
  if (end.kind === 'sent') {
    const { providerMessageId, attempts, sentAt } = end;
    return { ...accepted, id, status: 'sent', providerMessageId, attempts, sentAt, duplicate: true };
  }
  const isLost =
    recorded instanceof AppError
      ? recorded.code === 'NOT_FOUND' && performance.now() - end.claimedAtMs > CALL_MS_MAX
      : recorded.status === 'unknown';
  if (isLost) {
    throw new AppError('DIRECT_UNKNOWN', {
      detail: `An earlier call with this key may have sent message ${id}: its answer was lost. Do not send it again blindly.`,
    });
  }
  throw new AppError('DIRECT_NOT_SENT', {
    detail: 'This call sent nothing: an earlier one with its key has not ended. Repeat it with the same key.',
  });
}
