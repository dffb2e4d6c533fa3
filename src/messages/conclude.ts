import type { AcceptResult } from '../engine/contract.ts';
import { AppError } from '../errors/app-error.ts';
import type { Draft } from './draft.ts';
import type { Principal } from './principal.ts';
import type { Reading } from './reading.ts';
import { acceptedView, type MessageView } from './view.ts';

export interface Accepted {
  readonly message: MessageView;
  /** Exactly one of the three: stored and waiting, handed to a worker at once, or the first one of its key. */
  readonly result: 'queued' | 'immediate' | 'duplicate';
  /** The provider took it within `waitMs`. */
  readonly sentInTime: boolean;
}

export interface ConcludePorts {
  readonly reading: Pick<Reading, 'get'>;
  /** Hears of a message that was skipped because its content went to the same recipient within 24 h. */
  readonly onDuplicateContent?: ((first: { readonly id: string; readonly tenant: string }) => void) | undefined;
}

/**
 * What the caller hears of the engine's answer.
 * @throws AppError `IDEMPOTENCY_KEY_REUSED`, `BACKLOG_FULL`
 */
export async function conclude(
  { reading, onDuplicateContent }: ConcludePorts,
  { prepared, message }: Draft,
  result: AcceptResult,
  principal: Principal,
): Promise<Accepted> {
  const viewOf = (id: string, isDuplicate: boolean) => acceptedView({ ...message.lane, ...prepared, id }, isDuplicate);
  switch (result.kind) {
    case 'accepted': {
      const view = viewOf(result.id, false);
      return { message: view, result: result.immediate ? 'immediate' : 'queued', sentInTime: false };
    }
    case 'duplicate': {
      const { tenant } = message.lane;
      const view = (await readable(reading, result.id, principal, tenant)) ?? viewOf(result.id, true);
      if (prepared.isContentKey) onDuplicateContent?.({ id: result.id, tenant });
      return { message: { ...view, duplicate: true }, result: 'duplicate', sentInTime: false };
    }
    case 'key-reused':
      throw new AppError('IDEMPOTENCY_KEY_REUSED');
    case 'backlog-full':
      throw new AppError('BACKLOG_FULL');
  }
}

/**
 * What was accepted, as it stands after a wait for its outcome.
 * @param outcome null = it did not come in time
 */
export async function awaitSent(
  reading: Pick<Reading, 'get'>,
  accepted: Accepted,
  outcome: Promise<unknown>,
  principal: Principal,
): Promise<Accepted> {
  // When the waiting breaks, the message is accepted all the same.
  if ((await outcome.catch(() => null)) === null) return accepted;
  const { id, tenant } = accepted.message;
  const message = (await readable(reading, id, principal, tenant)) ?? accepted.message;
  return { ...accepted, message, sentInTime: ['sent', 'delivered', 'read'].includes(message.status) };
}

/** The message as it stands, or null when it cannot be read now: the answer to an accept must not fail for it. */
async function readable(
  reading: Pick<Reading, 'get'>,
  id: string,
  principal: Principal,
  tenant: string,
): Promise<MessageView | null> {
  try {
    return await reading.get(id, principal, tenant);
  } catch (error) {
    if (error instanceof AppError && (error.code === 'NOT_FOUND' || error.retryable)) return null;
    throw error;
  }
}
