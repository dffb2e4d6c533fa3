import type { SendQueue } from '../engine/contract.ts';
import { AppError } from '../errors/app-error.ts';
import type { SenderAccount } from '../providers/contract.ts';
import type { Direct, DirectKey } from '../record/index.ts';
import type { DirectSender } from '../worker/direct-sender.ts';
import type { Accepted } from './conclude.ts';
import { directError, pausedError, repetitionOf } from './direct-answers.ts';
import { DirectKeys } from './direct-keys.ts';
import type { Draft } from './draft.ts';
import type { Principal } from './principal.ts';
import type { QueueSwitch } from './queue-switch.ts';
import type { MessageRequest } from './request.ts';
import type { AcceptOptions, Messages } from './service.ts';
import { acceptedView } from './view.ts';

export interface ShortSendOptions {
  readonly messages: Pick<Messages, 'accept' | 'draft' | 'get'>;
  readonly queue: Pick<SendQueue, 'isReachable' | 'lookAtLane'>;
  readonly isOnQueue: QueueSwitch;
  /** WHATSAPP_SEND_FALLBACK: what happens while the queue cannot be reached. */
  readonly fallback: 'direct' | 'reject';
  readonly directSender: Pick<DirectSender, 'send'>;
  /** Why nothing of the sender may go now, besides what the record says; null = it may. */
  readonly pauseReason: (sender: string) => Promise<string | null>;
  readonly readAccount: (sender: string) => Promise<SenderAccount | null>;
  readonly keys: Pick<Direct, 'claim' | 'release'>;
  /** How long from the call on a direct send waits for what the queue still holds of its conversation, ms. */
  readonly queueDrainMs?: number;
  /** Hears of content that was skipped; as in `MessagesOptions`. */
  readonly onDuplicateContent?: (first: { readonly id: string; readonly tenant: string }) => void;
  /** Hears that the queue was bypassed because it could not be reached. */
  readonly onFallback?: (tenant: string) => void;
}

export interface ShortSent extends Pick<Accepted, 'message' | 'result'> {
  /** The queue was bypassed: the provider has taken the message already. */
  readonly direct: boolean;
}

/** The short way to send: through the queue, or past it when that is switched off or away. */
export interface ShortSend {
  /**
   * @returns on the queue: as `Messages.accept()`. Direct: when the provider has taken it; a repetition waits for the
   *   first call of its key and is answered as that one was
   * @throws AppError as `Messages.accept()`; direct: `DIRECT_NOT_SENT` (retryable), `DIRECT_REFUSED`, `DIRECT_UNKNOWN`
   */
  send(request: MessageRequest, principal: Principal, options?: Omit<AcceptOptions, 'waitMs'>): Promise<ShortSent>;
}

const DRAIN_LOOK_MS = 50;

export function createShortSend(options: ShortSendOptions): ShortSend {
  const { messages, queue, directSender } = options;
  const keys = new DirectKeys(options.keys);
  /** Direct sends of a conversation look at the queue one after the other, so that they keep the order of the calls. */
  const lines = new Map<string, Promise<unknown>>();

  async function onQueue(request: MessageRequest, principal: Principal, how: AcceptOptions): Promise<ShortSent> {
    const { message, result } = await messages.accept(request, principal, how);
    return { message, result, direct: false };
  }

  async function send(
    request: MessageRequest,
    principal: Principal,
    how: Omit<AcceptOptions, 'waitMs'> = {},
  ): Promise<ShortSent> {
    const askedAtMs = performance.now();
    const draft = await messages.draft(request, principal, how);
    const isReachable = queue.isReachable();
    if (options.isOnQueue(draft.tenant)) {
      // A queue that was asked may have stored the message although no answer came: then there is no safe way past it.
      if (isReachable || options.fallback === 'reject') return await onQueue(request, principal, how);
      options.onFallback?.(draft.tenant.id);
    }
    return await inLine(draft, async () => {
      const looked = isReachable ? await untilDrained(draft, askedAtMs) : { pairFreeInMs: 0 };
      // What the queue holds of this conversation goes first; behind it is the only place that keeps the order.
      if (looked === 'still-waiting') return await onQueue(request, principal, how);
      return await direct(draft, { askedAtMs, pairFreeInMs: looked.pairFreeInMs }, principal);
    });
  }

  /** Runs the looking of one conversation in turn; the sending itself has its own line. */
  async function inLine(draft: Draft, look: () => Promise<ShortSent | (() => Promise<ShortSent>)>): Promise<ShortSent> {
    const { sender, tenant, conversation } = draft.message.lane;
    const lane = `${sender}|${tenant}|${conversation}`;
    let going: Promise<ShortSent> | undefined;
    const before = lines.get(lane) ?? Promise.resolve();
    const turn = before
      .catch(() => undefined)
      .then(async () => {
        const found = await look();
        // Joins the direct line within this turn, so that who comes next stands behind it there.
        going = typeof found === 'function' ? found() : Promise.resolve(found);
        going.catch(() => undefined);
      });
    lines.set(lane, turn);
    try {
      await turn;
    } finally {
      if (lines.get(lane) === turn) lines.delete(lane);
    }
    if (going === undefined) throw new AppError('INTERNAL');
    return await going;
  }

  async function untilDrained(
    { message }: Draft,
    askedAtMs: number,
  ): Promise<'still-waiting' | { readonly pairFreeInMs: number }> {
    // From the call on: those that wait behind others of their conversation do not wait once more after them.
    const giveUpAt = askedAtMs + (options.queueDrainMs ?? 10_000);
    for (;;) {
      let looked;
      try {
        looked = await queue.lookAtLane(message.lane, message.contact);
      } catch {
        // The engine does not know the sender, or went away: it holds nothing that this process could wait for.
        return { pairFreeInMs: 0 };
      }
      if (looked.waiting === 0) return looked;
      if (performance.now() > giveUpAt) return 'still-waiting';
      await new Promise((resolve) => setTimeout(resolve, DRAIN_LOOK_MS));
    }
  }

  /** Looks everything up that takes time; what it returns stands in the direct line as soon as it is called. */
  async function direct(
    draft: Draft,
    turn: { readonly askedAtMs: number; readonly pairFreeInMs: number },
    principal: Principal,
  ): Promise<() => Promise<ShortSent>> {
    const { message, tenant, sender, prepared } = draft;
    const key: DirectKey | null =
      prepared.idempotency === null ? null : { ...message.lane, ...prepared.idempotency, messageId: message.id };
    const claim = key === null ? null : await keys.claim(key);
    if (claim?.kind === 'other-body') throw new AppError('IDEMPOTENCY_KEY_REUSED');
    const accepted = acceptedView({ ...message.lane, ...prepared, id: message.id, body: prepared.body }, false);
    if (claim?.kind === 'repeated') {
      return async () => {
        const end = await claim.first;
        const first = await repetitionOf(end, accepted, (id) => messages.get(id, principal, tenant.id));
        if (prepared.isContentKey) options.onDuplicateContent?.({ id: first.id, tenant: tenant.id });
        return { message: first, result: 'duplicate', direct: true };
      };
    }
    const refuse = async (error: unknown, isUnsent: boolean): Promise<never> => {
      await claim?.end({ kind: 'told', messageId: message.id, error }, !isUnsent);
      throw error;
    };
    const account = await accountOf(draft).catch((error: unknown) => refuse(error, true));
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
      return { message: view, result: 'immediate', direct: true };
    };
  }

  /** @throws AppError when nothing may be sent for the sender, or its account is not known */
  async function accountOf({ tenant, sender }: Draft): Promise<SenderAccount> {
    const [account, held] = await Promise.all([options.readAccount(sender.id), options.pauseReason(sender.id)]);
    const paused = tenant.pausedReason ?? sender.pausedReason ?? held;
    if (paused !== null) throw pausedError(paused);
    if (account === null) throw new AppError('SENDER_MISSING');
    return account;
  }

  return { send };
}
