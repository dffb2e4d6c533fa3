import type { ProviderEvent } from '../providers/events.ts';
import type { Alias } from '../record/index.ts';

/** An incoming message that is in the record. Times are epoch ms. */
export interface HandedMessage {
  /** Ours; the same at every repeat. */
  readonly id: string;
  readonly tenant: string;
  readonly sender: string;
  readonly conversation: string;
  readonly contactId: string | null;
  /** Number in its conversation, from 1, without gaps, in the order of recording. */
  readonly seq: number;
  readonly providerMessageId: string;
  /** The Cloud API's word, `text`, `image`, … */
  readonly type: string;
  readonly content: Readonly<Record<string, unknown>>;
  /** The provider's id of the message that it answers. */
  readonly replyTo: string | null;
  readonly referral: Readonly<Record<string, unknown>> | null;
  readonly contact: { readonly name: string | null; readonly aliases: readonly Alias[] };
  /** The provider's clock. A provider repeats for up to seven days: look at the age before you answer. */
  readonly providerAtMs: number;
  readonly receivedAtMs: number;
  /** The person is above INBOUND_USER_LIMIT_PER_MINUTE: tell of it, but do not answer it. */
  readonly isLimited: boolean;
}

/** What others do about what comes in. */
export interface InboundHooks {
  /**
   * Called after the record has the messages and before their jobs end: when it throws, or the process dies, the jobs
   * run again and it is called again with the same ids. So hand over what must not be lost (a job whose id is the
   * message's id, a row) before it returns, be quick, and treat an id that you know as done. Messages of one
   * conversation come in the order of `seq`. Echoes and messages of replays that were recorded before are not among them.
   */
  readonly onInbound?: (batch: readonly HandedMessage[]) => Promise<void>;
  /**
   * Called for templates, senders, preferences and changed contacts after the record has the event. May be called again
   * with the same event; the row's key is `webhookId` and `item`.
   */
  readonly onProviderEvent?: (event: {
    readonly webhookId: string;
    readonly item: number;
    readonly provider: string;
    /** Our ids of the senders that it is about; empty = none of ours. */
    readonly senders: readonly string[];
    readonly event: Exclude<ProviderEvent, { kind: 'message' | 'status' | 'other' }>;
  }) => Promise<void>;
}
