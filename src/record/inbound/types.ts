import type { AliasKind } from '../types.ts';

/** A name under which a person is known. */
export interface Alias {
  readonly kind: AliasKind;
  readonly value: string;
}

/** A message that came in, before it has an id and a contact. */
export interface NewInboundMessage {
  readonly tenant: string;
  readonly sender: string;
  /** The webhook that brought it: the same webhook processed again gets the same rows back. */
  readonly webhookId: string;
  /** With the sender it is unique: a repeat is the same message. */
  readonly providerMessageId: string;
  /** Written on the sender's own phone. */
  readonly isEcho: boolean;
  readonly type: string;
  readonly content: Readonly<Record<string, unknown>>;
  readonly replyTo: string | null;
  readonly referral: Readonly<Record<string, unknown>> | null;
  readonly providerAtMs: number;
  readonly receivedAtMs: number;
  /** Every name of the person that the webhook gives, the best one first; empty = nobody is named. */
  readonly aliases: readonly Alias[];
  readonly name: string | null;
  /** Id of the conversation when the person has none with this tenant and sender yet. */
  readonly conversation: string;
  /** Until when free-form messages may go because of it, epoch ms; null for an echo. */
  readonly windowUntilMs: number | null;
}

/** A message that is in the record now, or was already because of the same webhook. */
export interface RecordedInboundMessage {
  readonly id: string;
  readonly tenant: string;
  readonly sender: string;
  readonly conversation: string;
  readonly contactId: string | null;
  /** Number in its conversation, from 1, without gaps, in the order of recording. */
  readonly seq: number;
  /** False = an earlier attempt at the same webhook recorded it. */
  readonly isNew: boolean;
  /** Who is behind its names, or what is known of the person, may be another than before. */
  readonly isPersonChanged: boolean;
  readonly message: NewInboundMessage;
}

/** Something a provider told that is neither a message nor a status. */
export interface NewProviderEvent {
  readonly webhookId: string;
  /** Place in the webhook: with it the key of the row. */
  readonly item: number;
  readonly provider: string;
  readonly sender: string | null;
  readonly accountId: string | null;
  readonly kind: string;
  readonly event: string;
  readonly detail: Readonly<Record<string, unknown>>;
}

/** The webhook itself, byte by byte. */
export interface WebhookBytes {
  /** UUIDv7; keeping it twice is keeping it once. */
  readonly id: string;
  readonly provider: string;
  readonly sender: string | null;
  readonly receivedAtMs: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
  /** The provider's id of the only sender that its signature speaks for; null = all. */
  readonly covers: string | null;
}

export interface InboundBatch {
  readonly messages: readonly NewInboundMessage[];
  readonly webhooks: readonly WebhookBytes[];
  readonly events: readonly NewProviderEvent[];
}

export interface InboundOutcome {
  /** New ones and those of an earlier attempt at the same webhook, in the order of the conversation. */
  readonly recorded: readonly RecordedInboundMessage[];
  /** Messages that can never be stored, with the kind of refusal; all others of the batch are stored. */
  readonly refused: readonly { readonly message: NewInboundMessage; readonly reason: string }[];
}
