import type { FailureRecord } from '../record/index.ts';
import { knowingSender, returningMessage, type ReturnPorts } from './returning.ts';

export interface BringBackPorts extends ReturnPorts {
  /** Hears of a message that had been sent, and whose reported failure is final because its retry cannot be made. */
  readonly onUndelivered?: (() => void) | undefined;
  /** Wall clock, epoch ms. */
  readonly now: () => number;
}

/** `sent`: a status reported its failure · `lost`: the queue should have it and has not */
type Origin = 'sent' | 'lost';

/**
 * Brings the message of a failure back into the queue, for its time; gives it up when it cannot be sent any more.
 * @returns whether the queue has taken it
 */
export async function bringBack(ports: BringBackPorts, failure: FailureRecord, from: Origin): Promise<boolean> {
  const { record, retries, now } = ports;
  const message = await record.messages.find(null, failure.id);
  if (message === null) return false;
  if (message.expiresAtMs !== null && message.expiresAtMs <= now()) {
    await giveUp(ports, failure.id, 'expired', from);
    return false;
  }
  const delayMs = Math.max(0, (failure.nextRetryAtMs ?? 0) - now());
  const back = await returningMessage(ports, message);
  const result = await knowingSender(ports, message.sender, () =>
    from === 'sent'
      ? retries.redrive(back, 'sent', { cause: 'report', by: 'waxwing', delayMs })
      : retries.redrive(back, 'lost', { cause: 'repair', by: 'waxwing', delayMs }, failure.attemptCount),
  );
  // Without an end these would be asked for again and again, and stand in the way of others.
  if (result === 'expired') await giveUp(ports, failure.id, 'expired', from);
  if (result === 'unknown-sender') await giveUp(ports, failure.id, 'sender-removed', from);
  return result === 'done';
}

async function giveUp(
  { record, onUndelivered }: BringBackPorts,
  id: string,
  resolution: string,
  from: Origin,
): Promise<void> {
  const isEnded = await record.failures.giveUp(id, resolution);
  // Of what a queue has lost, its counters are lost too.
  if (isEnded && from === 'sent') onUndelivered?.();
}
