/** States of a message, as callers and the record see them. `docs/state-machine.md` holds the diagram. */
export const MESSAGE_STATUSES = [
  'queued',
  'scheduled',
  'sending',
  'deferred',
  'unknown',
  'sent',
  'delivered',
  'read',
  'failed',
  'cancelled',
  'expired',
] as const;
export type MessageStatus = (typeof MESSAGE_STATUSES)[number];

/** Why a message does not go yet. */
export const HOLD_KINDS = [
  'conversation',
  'pair',
  'tenant',
  'sender-rate',
  'sender-paused',
  'circuit',
  'scheduled',
  'retry',
  'window',
  'template-paused',
] as const;
export type HoldKind = (typeof HOLD_KINDS)[number];

export interface Hold {
  readonly kind: HoldKind;
  /** When the hold ends by itself (epoch ms), or null when an event must end it. */
  readonly untilMs: number | null;
}

/** Where a message stands: a sender's, a tenant's and a conversation's line. */
export interface Lane {
  readonly sender: string;
  readonly tenant: string;
  readonly conversation: string;
}

/** Outbound message types, as the Cloud API names them. */
export const MESSAGE_TYPES = [
  'text',
  'template',
  'image',
  'document',
  'audio',
  'video',
  'sticker',
  'location',
  'contacts',
  'reaction',
  'interactive',
] as const;
export type MessageType = (typeof MESSAGE_TYPES)[number];

/**
 * What is stored of a message in the queue and in the record, as JSON.
 * The engine treats it as opaque bytes; messages/ writes it, worker/ and record/ read it.
 */
export interface MessageBody {
  /**
   * Key of the template that the message is made from (`templateKey`). Always the first field: the engine reads it
   * there, and nothing else of the body.
   */
  readonly template?: string;
  /** E.164 with `+`, when the caller gave a phone number. */
  readonly to?: string;
  /** Business-scoped user id, when the caller gave one. */
  readonly recipient?: string;
  readonly type: MessageType;
  /** The object named after `type`, exactly as Meta's API takes it. */
  readonly content: unknown;
  /** Quoted reply. */
  readonly context?: { readonly message_id: string };
  /** The caller's own data; never sent to the provider. */
  readonly metadata?: Readonly<Record<string, unknown>>;
  /** Epoch ms of the creation, only where it is not the time in the message's id (see `timeOfId`). */
  readonly createdAtMs?: number;
  /** Epoch ms, only where it is scheduled: from then on counts how long it takes. */
  readonly sendAtMs?: number;
  /** The caller's Idempotency-Key, when there was one. */
  readonly idempotencyKey?: string;
  /** W3C trace context of the accept, only while traces are recorded: the attempts hang on it. */
  readonly traceparent?: string;
}

/**
 * How the engine calls a template: `language:name` at the Cloud API, the ContentSid at Twilio. Text without quotes and
 * bars. Undefined when the message is made from none.
 */
export function templateKey(type: MessageType, content: unknown): string | undefined {
  if (type !== 'template' || typeof content !== 'object' || content === null) return undefined;
  const { name, language } = content as { readonly name?: unknown; readonly language?: { readonly code?: unknown } };
  if (typeof name !== 'string') return undefined;
  return templateKeyOf(name, typeof language?.code === 'string' ? language.code : '');
}
export function templateKeyOf(name: string, language: string): string {
  if (/^HX[0-9a-f]{32}$/i.test(name)) return name;
  return `${encodeURIComponent(language)}:${encodeURIComponent(name)}`;
}

/** What became of one attempt or message, in the shape that the API's `error` field shows. */
export interface MessageError {
  /** Stable code of `errors/catalogue.ts` or the provider table, e.g. `PROVIDER_REJECTED`. */
  readonly code: string;
  /** The provider's own code as text, e.g. `131026`; null when it gave none. */
  readonly providerCode: string | null;
  readonly title: string;
  readonly detail: string;
  readonly retryable: boolean;
}
