import type { MessageError } from '../model/message.ts';
import type { DeadLetter } from '../record/index.ts';
import { knowingSender, type ReturnPorts, targetOf } from './returning.ts';
import type { SkipReason } from './skip-reason.ts';

const CLOSED: MessageError = {
  code: 'OUTCOME_UNKNOWN_CLOSED',
  providerCode: null,
  title: 'Closed by a person',
  detail: 'Nobody knows whether the message was sent; a person decided not to send it again.',
  retryable: false,
};

/**
 * Gives a letter up for good; one whose outcome is unknown is closed in the queue.
 * @returns why it stays where it is; null = it is gone
 */
export async function discardLetter(ports: ReturnPorts, letter: DeadLetter, by: string): Promise<SkipReason | null> {
  const { record, retries } = ports;
  if (!letter.held) {
    const gone = await record.deadLetters.discard([letter.messageId], by);
    return gone.length === 1 ? null : 'in-flight';
  }
  const message = await record.messages.find(null, letter.messageId);
  if (message === null) return 'held';
  const result = await knowingSender(ports, message.sender, () => retries.close(targetOf(message), by, CLOSED));
  return result === 'done' ? null : 'held';
}
