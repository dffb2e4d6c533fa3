import { AppError } from '../errors/app-error.ts';
import type { SenderAccount } from '../providers/contract.ts';
import type { DirectKey } from '../record/index.ts';
import type { DirectSender } from '../worker/direct-sender.ts';
import type { Accepted } from './conclude.ts';
import { directError, pausedError, repetitionOf } from './direct-answers.ts';
import type { DirectKeys } from './direct-keys.ts';
import type { Draft } from './draft.ts';
import type { Principal } from './principal.ts';
import type { Reading } from './reading.ts';
import { acceptedView } from './view.ts';

export interface DirectSendPorts {
  readonly messages: Pick<Reading, 'get'>;
  readonly directSender: Pick<DirectSender, 'send'>;
  readonly keys: Pick<DirectKeys, 'claim'>;
  /** Why nothing of the sender may go now, besides what the record says; null = it may. */
  readonly pauseReason: (sender: string) => Promise<string | null>;
  readonly readAccount: (sender: string) => Promise<SenderAccount | null>;
  /** Hears of content that was skipped; as in `MessagesOptions`. */
  readonly onDuplicateContent?: (first: { readonly id: string; readonly tenant: string }) => void;
}

/** Since when a caller waits, monotonic ms, and when the pair is free as the engine knows it. */
export interface DirectTurn {
  readonly askedAtMs: number;
  readonly pairFreeInMs: number;
}

type DirectAnswer = Pick<Accepted, 'message' | 'result'>;

/**
 * Looks everything up that takes time.
 * @returns sends, or answers a repetition; stands in the direct line as soon as it is called
 * @throws AppError `IDEMPOTENCY_KEY_REUSED`, and when nothing may be sent for the sender
 */
export async function prepareDirect(
  ports: DirectSendPorts,
  draft: Draft,
  turn: DirectTurn,
  principal: Principal,
): Promise<() => Promise<DirectAnswer>> {
  const { messages, directSender, keys } = ports;
  const { message, tenant, sender, prepared } = draft;
  const key: DirectKey | null =
    prepared.idempotency === null ? null : { ...message.lane, ...prepared.idempotency, messageId: message.id };
  const claim = key === null ? null : await keys.claim(key);
  if (claim?.kind === 'other-body') throw new AppError('IDEMPOTENCY_KEY_REUSED');
  const accepted = acceptedView({ ...message.lane, ...prepared, id: message.id }, false);
  if (claim?.kind === 'repeated') {
    return async () => {
      const end = await claim.first;
      const first = await repetitionOf(end, accepted, (id) => messages.get(id, principal, tenant.id));
      if (prepared.isContentKey) ports.onDuplicateContent?.({ id: first.id, tenant: tenant.id });
      return { message: first, result: 'duplicate' };
    };
  }
  const refuse = async (error: unknown, isUnsent: boolean): Promise<never> => {
    await claim?.end({ kind: 'told', messageId: message.id, error }, !isUnsent);
    throw error;
  };
  const account = await accountOf(ports, draft).catch((error: unknown) => refuse(error, true));
  return async () => {
    const result = await directSender
      .send({
        ...message,
        ...turn,
        expiresAtMs: prepared.expiresAtMs,
        account,
        limits: sender,
        tenantConcurrency: tenant.concurrency,
      })
      .catch((error: unknown) => refuse(error, false));
    if (result.kind !== 'sent') return await refuse(directError(result, message.id), result.kind !== 'unknown');
    const { providerMessageId, attempts } = result;
    const sentAt = new Date().toISOString();
    await claim?.end({ kind: 'sent', messageId: message.id, providerMessageId, attempts, sentAt }, true);
    const view = { ...accepted, status: 'sent' as const, attempts, providerMessageId, sentAt };
    return { message: view, result: 'immediate' };
  };
}

/** @throws AppError when nothing may be sent for the sender, or its account is not known */
async function accountOf(
  { readAccount, pauseReason }: DirectSendPorts,
  { tenant, sender }: Draft,
): Promise<SenderAccount> {
  const [account, held] = await Promise.all([readAccount(sender.id), pauseReason(sender.id)]);
  const paused = tenant.pausedReason ?? sender.pausedReason ?? held;
  if (paused !== null) throw pausedError(paused);
  if (account === null) throw new AppError('SENDER_MISSING');
  return account;
}
