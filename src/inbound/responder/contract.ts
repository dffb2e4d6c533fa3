import { z } from 'zod';
import { envelopeFields } from '../../messages/request.ts';
import { withContent } from '../../messages/content/index.ts';

/** One line of what was said before, the oldest first. */
export interface HistoryItem {
  readonly id: string;
  /** `inbound` = the person wrote it. */
  readonly direction: 'inbound' | 'outbound';
  readonly type: string;
  /** ISO 8601 UTC. */
  readonly at: string;
  /** The object named after `type`. */
  readonly [content: string]: unknown;
}

/** What a responder is asked: the body of the call to RESPONDER_URL, and the argument of the function. */
export interface ResponderRequest {
  readonly tenant: { readonly id: string; readonly name: string };
  readonly conversation: string;
  readonly sender: string;
  readonly contact: {
    readonly id: string | null;
    readonly name: string | null;
    readonly phone: string | null;
    readonly waId: string | null;
    readonly userId: string | null;
  };
  /** The message to answer; the object named after `type` holds what was said. */
  readonly message: {
    readonly id: string;
    readonly sequence: number;
    readonly providerMessageId: string;
    readonly type: string;
    readonly context: { readonly message_id: string } | null;
    readonly referral: Readonly<Record<string, unknown>> | null;
    /** ISO 8601 UTC. */
    readonly providerAt: string;
    readonly receivedAt: string;
    readonly [content: string]: unknown;
  };
  /** What was said before it, both ways, at most 20, the oldest first. */
  readonly history: readonly HistoryItem[];
}

/** What a job must know of a message to have it answered; the rest is looked up when it is asked. */
export type RespondRequest = Omit<ResponderRequest, 'tenant' | 'history'>;

/** A reply: a message as `POST /v1/messages` takes it, without whom it goes to. */
export const replySchema = withContent({
  priority: envelopeFields.priority,
  sendAt: envelopeFields.sendAt,
  expiresAt: envelopeFields.expiresAt,
  metadata: envelopeFields.metadata,
});
export type Reply = z.infer<typeof replySchema>;

/** More in one answer is a fault of the responder, not a conversation. */
export const REPLIES_MAX = 10;

export const answerSchema = z.object({ messages: z.array(replySchema).max(REPLIES_MAX) });

/**
 * Answers an incoming message. What it returns is sent in this order; nothing (or an empty list) = no reply.
 * @throws anything: the person gets RESPONDER_FALLBACK_TEXT
 */
export type Responder = (
  request: ResponderRequest,
  signal: AbortSignal,
) => Promise<readonly Reply[] | { readonly messages: readonly Reply[] } | null | undefined>;

/** The responder did not answer, or its answer is not one. Holds neither texts nor addresses. */
export class ResponderError extends Error {
  override readonly name = 'ResponderError';
}
