import type { SendQueue } from '../engine/contract.ts';
import type { DeadLetter, RecordedMessage } from '../record/index.ts';
import { knowingSender, returningMessage, type ReturnPorts, targetOf } from './returning.ts';
import type { SkipReason } from './skip-reason.ts';

export interface RedrivePorts extends ReturnPorts {
  readonly queue: Pick<SendQueue, 'place'>;
  /** Wall clock, epoch ms. */
  readonly now: () => number;
}

/**
 * Brings a letter back into the queue; one whose outcome is unknown is resent.
 * @param dryRun only looks whether it could
 * @returns why it stays where it is; null = it went, or would
 */
export async function redriveLetter(
  ports: RedrivePorts,
  letter: DeadLetter,
  by: string,
  dryRun: boolean,
): Promise<SkipReason | null> {
  const { record, retries } = ports;
  const message = await record.messages.find(null, letter.messageId);
  if (message === null) return 'held';
  const reason = await obstacle(ports, letter, message);
  if (reason !== null || dryRun) return reason;
  const result = await knowingSender(ports, message.sender, async () => {
    if (letter.held) return await retries.resend(targetOf(message), by);
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

/** What speaks against sending it again; null = nothing. */
async function obstacle(
  { record, queue, now }: RedrivePorts,
  letter: DeadLetter,
  message: RecordedMessage,
): Promise<SkipReason | null> {
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
