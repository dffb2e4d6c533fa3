import type { MessageError } from '../model/message.ts';
import { adviceFor, type Advice } from '../providers/advice.ts';
import type { DeadLetter, FailureRecord, RecordedAttempt, RecordedMessage, WaxwingRecord } from '../record/index.ts';

export interface DeadLetterDetail {
  readonly letter: DeadLetter;
  readonly message: RecordedMessage;
  readonly failure: FailureRecord | null;
  readonly attempts: readonly RecordedAttempt[];
  readonly advice: Advice;
}

/** All that is known of a letter, and what to do about it; null when its message is not there any more. */
export async function detailOf(
  record: Pick<WaxwingRecord, 'messages' | 'failures' | 'senders'>,
  letter: DeadLetter,
): Promise<DeadLetterDetail | null> {
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

function errorOf(letter: DeadLetter, message: RecordedMessage): MessageError {
  if (letter.held || message.error === null) {
    const code = letter.held ? 'PROVIDER_OUTCOME_UNKNOWN' : letter.code;
    return { code, providerCode: null, title: 'The outcome is not known', detail: '', retryable: false };
  }
  return message.error;
}
