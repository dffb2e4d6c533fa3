import { UnknownSenderError, type AcceptResult, type SendQueue } from '../engine/contract.ts';
import type { Draft } from './draft.ts';
import type { Senders } from './senders.ts';

export interface SubmitPorts {
  readonly queue: Pick<SendQueue, 'accept'>;
  readonly senders: Pick<Senders, 'prepare' | 'forgotten'>;
}

/**
 * Hands a draft to the engine, which knows its sender. When it has lost its memory, for instance with an emptied Redis,
 * it is told of the sender again and asked once more.
 * @throws AppError of the catalogue
 */
export async function submit(
  { queue, senders }: SubmitPorts,
  { sender, tenant, message }: Draft,
): Promise<AcceptResult> {
  try {
    return await queue.accept(message);
  } catch (error) {
    if (!(error instanceof UnknownSenderError)) throw error;
    senders.forgotten(sender.id);
    await senders.prepare(sender, tenant);
    return queue.accept(message);
  }
}
