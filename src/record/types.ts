import type { AttemptReport } from '../model/events.ts';
import type { MessageError, MessageStatus, MessageType } from '../model/message.ts';
import type { SenderProvider } from '../model/provider.ts';

export type { SenderProvider };

/** What the engine did last with a message, as far as it is recorded. */
export type EngineStatus =
  'queued' | 'scheduled' | 'deferred' | 'unknown' | 'sent' | 'failed' | 'cancelled' | 'expired';

/** The most that the provider's status webhooks prove. */
export type DeliveryStatus = 'sent' | 'delivered' | 'read' | 'failed';

/** A message as the record has it. Times are epoch ms; null = it did not happen (yet) or was not asked for. */
export interface RecordedMessage {
  readonly id: string;
  readonly tenant: string;
  readonly sender: string;
  readonly conversation: string;
  readonly contactId: string | null;
  /** Canonical recipient as the engine knows it (`NewMessage.contact`). */
  readonly contact: string;
  readonly to: string | null;
  readonly recipient: string | null;
  readonly type: MessageType;
  readonly content: unknown;
  readonly context: { readonly message_id: string } | null;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly priority: number;
  /** Derived from the next two; what callers see. */
  readonly status: MessageStatus;
  readonly engineStatus: EngineStatus;
  readonly deliveryStatus: DeliveryStatus | null;
  readonly shard: number;
  readonly seq: number;
  readonly attempts: number;
  readonly providerMessageId: string | null;
  /** Of the last attempt, or of the delivery when that is what failed. */
  readonly error: MessageError | null;
  readonly idempotencyKey: string | null;
  readonly sendAtMs: number | null;
  readonly expiresAtMs: number | null;
  readonly createdAtMs: number;
  readonly sentAtMs: number | null;
  readonly deliveredAtMs: number | null;
  readonly readAtMs: number | null;
  readonly failedAtMs: number | null;
  readonly updatedAtMs: number;
}

/** One line of a message's timeline. */
export interface TimelineItem {
  readonly atMs: number;
  /** Type of the lifecycle event, or the provider's status word. */
  readonly event: string;
  /** Never holds the message's text. `source` tells the engine's `sent` from the provider's. */
  readonly detail: Readonly<Record<string, unknown>> & { readonly source: 'engine' | 'provider' };
}

export interface RecordedAttempt extends AttemptReport {
  readonly messageId: string;
}

/** A page of a list, and where the next one starts. */
export interface Page<T> {
  readonly items: readonly T[];
  /** Opaque; null = this was the last page. */
  readonly next: string | null;
}

export interface TenantRecord {
  readonly id: string;
  readonly name: string;
  readonly concurrency: number;
  readonly weight: number;
  readonly backlogMax: number;
  /** On the queue, off it, or (null) as WHATSAPP_SEND_QUEUE_PERCENT says. */
  readonly queueEnabled: boolean | null;
  readonly eventsUrl: string | null;
  /** Why the tenant is paused; null = it is not. */
  readonly pausedReason: string | null;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
}

/** Limits of a tenant that has none of its own. */
export interface TenantDefaults {
  readonly concurrency: number;
  readonly weight: number;
  readonly backlogMax: number;
}

export interface SenderRecord {
  readonly id: string;
  /** Null = shared by all tenants. */
  readonly tenant: string | null;
  readonly provider: SenderProvider;
  readonly externalId: string;
  readonly apiUrl: string;
  /** Evolution only: what the instance speaks to WhatsApp with; null = baileys. */
  readonly channel: 'baileys' | 'cloud' | null;
  readonly ratePerSecond: number;
  readonly burst: number;
  readonly concurrency: number;
  readonly pairGapMs: number;
  readonly pairBucketCapacity: number;
  readonly pairBucketRefillPerSecond: number;
  readonly portfolio: string | null;
  readonly shard: number;
  readonly pausedReason: string | null;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
}

/** A sender with its opened credentials: for the worker and the webhook's signature check only. */
export interface SenderWithCredentials extends SenderRecord {
  readonly credentials: Readonly<Record<string, string>>;
}

export interface ApiKeyRecord {
  readonly id: string;
  /** Null = acts for every tenant. */
  readonly tenant: string | null;
  readonly name: string;
  /** First characters of the key. */
  readonly prefix: string;
  readonly createdAtMs: number;
  readonly lastUsedAtMs: number | null;
  /** When it ends because it has a successor; null = it has none. */
  readonly expiresAtMs: number | null;
  readonly revokedAtMs: number | null;
}

export type AliasKind = 'e164' | 'wa_id' | 'user_id';

export interface ContactRecord {
  readonly id: string;
  readonly tenant: string;
  readonly name: string | null;
  readonly aliases: readonly { readonly kind: AliasKind; readonly value: string }[];
  /** Since when the person wants no marketing; null = nothing said against it. */
  readonly marketingOptOutAtMs: number | null;
  readonly createdAtMs: number;
}

export interface ConversationRecord {
  readonly tenant: string;
  readonly sender: string;
  readonly id: string;
  readonly contactId: string | null;
  readonly messagesOut: number;
  readonly messagesIn: number;
  readonly createdAtMs: number;
  readonly lastMessageAtMs: number;
  readonly lastInboundAtMs: number | null;
  /** False = the sender's provider knows no such window: free-form messages may always go. */
  readonly hasWindow: boolean;
  /** Until when free-form messages may go to the person; null = the person never wrote to this sender. */
  readonly windowExpiresAtMs: number | null;
  /** Messages from the person since it was last marked as read. */
  readonly unread: number;
  /** The last thing that happened in it, statuses included. */
  readonly updatedAtMs: number;
  readonly contactName: string | null;
  readonly aliases: ContactRecord['aliases'];
}

export interface AuditRecord {
  readonly id: string;
  readonly atMs: number;
  readonly actor: string;
  readonly action: string;
  readonly target: string;
  readonly tenant: string | null;
  readonly detail: Readonly<Record<string, unknown>>;
}

/** How many messages of a shard are recorded in a state. */
export interface RecordTotal {
  readonly shard: number;
  readonly engineStatus: EngineStatus;
  readonly status: MessageStatus;
  readonly count: number;
}

/** What a person may do: viewers read, operators also pause, resume and redrive, admins do everything. */
export type PersonRole = 'viewer' | 'operator' | 'admin';

export interface PersonRecord {
  readonly id: string;
  /** Lower case. */
  readonly name: string;
  readonly role: PersonRole;
  readonly createdAtMs: number;
  readonly lastSignedInAtMs: number | null;
  /** Null = may sign in. */
  readonly disabledAtMs: number | null;
}

/** An open session of the pages. */
export interface SessionRecord {
  readonly id: string;
  readonly name: string;
  readonly role: PersonRole;
  readonly expiresAtMs: number;
}
