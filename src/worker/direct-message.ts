import type { Grant } from '../engine/contract.ts';
import type { MessageEvent } from '../model/events.ts';
import type { Lane, MessageError } from '../model/message.ts';
import type { SenderAccount } from '../providers/contract.ts';
import type { Paced } from './direct-pace.ts';

/** A message that goes to its provider past the queue. */
export interface DirectMessage extends Omit<Paced, 'sender' | 'tenant'> {
  readonly id: string;
  readonly lane: Lane;
  readonly priority: number;
  readonly expiresAtMs: number | null;
  /** `MessageBody` as JSON. */
  readonly body: string;
  readonly account: SenderAccount;
  /** The queue paced this pair before: not earlier than in this time, ms. */
  readonly pairFreeInMs?: number;
  /** When the caller asked, monotonic ms: his patience counts from then. Default: now. */
  readonly askedAtMs?: number;
}

export type DirectResult =
  | { readonly kind: 'sent'; readonly providerMessageId: string; readonly attempts: number }
  /** Final: the provider refuses it. */
  | { readonly kind: 'refused'; readonly error: MessageError }
  /** Certainly not sent; it may be tried again. `error` is null when its turn never came. */
  | {
      readonly kind: 'not-sent';
      readonly error: MessageError | null;
      readonly retryAfterMs: number;
      /** Its sender must stop: why. */
      readonly pausedReason?: string;
    }
  /** Nobody knows: it must not be sent again blindly. */
  | { readonly kind: 'unknown'; readonly error: MessageError | null };

/** A message in the line of this process. */
export interface Waiting {
  readonly message: DirectMessage;
  readonly paced: Paced;
  readonly deadlineMs: number;
  /** The wall clock as it was when the caller asked, gone on from there: a step of it in between ends nothing early. */
  readonly wallMs: () => number;
  readonly resolve: (result: DirectResult) => void;
  readonly events: MessageEvent[];
  attempt: number;
  counted: number;
  notBeforeMs: number;
  inFlight: boolean;
  lastError: MessageError | null;
}

/** No hand-over of the queue has this id, and the tag's form allows it. */
const NO_ENTRY = '0-0';

export function grantOf({ message, attempt: made, counted }: Waiting): Grant {
  const { id, lane, contact, expiresAtMs, body } = message;
  return {
    ...{ shard: -1, entry: NO_ENTRY, lane, messageId: id, attempt: made + 1, counted, deferrals: 0 },
    contact,
    expiresAtMs,
    body,
  };
}

export function acceptedEvent(message: DirectMessage): MessageEvent {
  const { id, lane, contact, priority, expiresAtMs, body } = message;
  const base = { messageId: id, atMs: Date.now(), lane, seq: 0, contact, priority, expiresAtMs, body };
  return { ...base, type: 'accepted', sendAtMs: null };
}

export function noProvider({ provider }: SenderAccount): MessageError {
  return {
    code: 'SENDER_MISCONFIGURED',
    providerCode: null,
    title: 'The sender is not set up',
    detail: `This program has no provider ${provider}.`,
    retryable: true,
  };
}

export function noAttempt(): MessageError {
  return {
    code: 'SEND_NOT_STARTED',
    providerCode: null,
    title: 'The attempt was not started',
    detail: 'Nothing was sent.',
    retryable: true,
  };
}
