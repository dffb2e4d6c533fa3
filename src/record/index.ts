import type { Breakers } from '../util/breakers.ts';
import type { SecretBox } from '../util/secret-box.ts';
import { apiKeysOf, type ApiKeys } from './api-keys.ts';
import { chatOf, type Chat } from './inbound/chat.ts';
import { providerChangesOf, type ProviderChanges } from './inbound/changes.ts';
import { inboundRecordOf, type InboundRecord, type KnownPeopleOptions } from './inbound/index.ts';
import { auditOf, type Audit } from './audit.ts';
import { cacheHistoryOf, type CacheHistory } from './cache-history.ts';
import { contentSidsOf, type ContentSids } from './content-sids.ts';
import { bookingsOf, type Bookings } from './bookings.ts';
import { contactsOf, type Contacts } from './contacts.ts';
import { conversationsOf, type Conversations } from './conversations.ts';
import { openDatabase, type PoolState } from './database.ts';
import { announced, type RecordChanges } from './changes.ts';
import { exclusiveOf, type Exclusive } from './exclusive.ts';
import { deadLettersOf, type DeadLetters } from './dead-letters.ts';
import { eventsOutOf, type EventsOut } from './events-out.ts';
import { failuresOf, type Failures } from './failures.ts';
import { directOf, type Direct } from './direct.ts';
import { messagesOf, type Messages } from './messages.ts';
import { peopleOf, type People } from './people.ts';
import { rawWebhooksOf, type RawWebhooks } from './raw-webhooks.ts';
import { sealedOf, type Sealed } from './sealed.ts';
import { sendersOf, type Senders } from './senders.ts';
import { sessionsOf, type Sessions } from './sessions.ts';
import { signInAttemptsOf, type SignInAttempts, type SignInAttemptsOptions } from './sign-in-attempts.ts';
import { statsOf, type Stats } from './stats.ts';
import { templatesOf, type Templates } from './templates.ts';
import { tenantsOf, type Tenants } from './tenants.ts';
import { timingsOf, type Timings } from './timings.ts';
import { totalsOf, type Totals } from './totals.ts';
import type { TenantDefaults } from './types.ts';

export { hashApiKey, type ApiKeys } from './api-keys.ts';
export type { Audit } from './audit.ts';
export type { RecordChanges } from './changes.ts';
export type { CacheCounts, CacheHistory, CacheHour } from './cache-history.ts';
export type { ContentSid, ContentSids } from './content-sids.ts';
export type { DueReminder, PlannedReminder, ReminderRecord, ReminderStatus } from './booking-reminders.ts';
export type { BookingFields, BookingRecord, BookingRevision, Bookings } from './bookings.ts';
export type { Contacts } from './contacts.ts';
export type { Exclusive } from './exclusive.ts';
export type { Conversations } from './conversations.ts';
export type * from './inbound/index.ts';
export type { Chat, ChatItem, ConversationKey, InboundMessageRecord, SaidItem } from './inbound/chat.ts';
export type { ProviderChanges, SenderNews, SenderStanding } from './inbound/changes.ts';
export type { WebhookPlace, WebhookRange } from './raw-webhooks.ts';
export type { DeadLetter, DeadLetterFilter, DeadLetters } from './dead-letters.ts';
export {
  FAILURE_STATUSES,
  type DueFailure,
  type FailureCounts,
  type FailureFilter,
  type FailureRecord,
  type Failures,
} from './failures.ts';
export { DEFAULT_ENDPOINT, type EndpointRecord } from './event-receivers.ts';
export {
  EVENT_STATES,
  type AttemptResult,
  type ClaimedEvent,
  type EventFilter,
  type EventsOut,
  type EventState,
  type OutgoingEvent,
} from './events-out.ts';
export type { Claim, Direct, DirectKey } from './direct.ts';
export type { MessageFilter, Messages } from './messages.ts';
export { migrate, MigrationError, schemaState } from './migrate.ts';
export type { People } from './people.ts';
export type { RawWebhooks } from './raw-webhooks.ts';
export { createRecorder, type Recorder, type RecorderOptions } from './recorder.ts';
export type { Resealed, Sealed } from './sealed.ts';
export type { NewSender, SenderName, SenderPatch, Senders } from './senders.ts';
export type { Sessions } from './sessions.ts';
export type { BackOff, SignInAttempts } from './sign-in-attempts.ts';
export type { ChangedThread } from './recording/write.ts';
export type { Stats, StatsCounts, StatsRange } from './stats.ts';
export type { NewTemplateRecord, TemplateFilter, TemplateRecord, Templates } from './templates.ts';
export type { TenantName, Tenants } from './tenants.ts';
export type { AttemptTimings, Timings } from './timings.ts';
export type { OpenTotals, Totals, WaitingMessage } from './totals.ts';
export type * from './types.ts';

export interface RecordOptions {
  /** DATABASE_URL; `?connection_limit=` (20) and `?pool_timeout=` (10 s) shape the pool. */
  readonly databaseUrl: string;
  readonly tenantDefaults: TenantDefaults;
  /** Seals and opens the senders' credentials. */
  readonly secretBox: SecretBox;
  /** Brakes on guessing passwords. Default: the waits of docs/security.md. */
  readonly signInAttempts?: SignInAttemptsOptions;
  /** Where the breaker `postgres` is made; absent: calls are never held back. */
  readonly breakers?: Pick<Breakers, 'of'>;
  /** Hears of connections that break while nobody uses them. The pool replaces them by itself. */
  readonly onConnectionError?: (error: Error) => void;
  /** Hears of every change that caches must know of. */
  readonly changes?: RecordChanges;
  /** How long it is remembered whom a number belongs to. */
  readonly knownPeople?: KnownPeopleOptions;
}

/**
 * What is remembered in PostgreSQL. Opening connects to nothing yet. While PostgreSQL is away every call rejects with
 * AppError `RECORD_UNAVAILABLE` (retryable) within about two seconds, and at once while the breaker `postgres` is open;
 * nothing else happens to the process.
 */
export interface WaxwingRecord {
  readonly messages: Messages;
  readonly tenants: Tenants;
  readonly senders: Senders;
  readonly apiKeys: ApiKeys;
  readonly rawWebhooks: RawWebhooks;
  readonly contacts: Contacts;
  readonly conversations: Conversations;
  /** Writes what came in. */
  readonly inbound: InboundRecord;
  readonly providerChanges: ProviderChanges;
  /** Conversations with their messages of both directions. */
  readonly chat: Chat;
  /** Events to the product. */
  readonly eventsOut: EventsOut;
  readonly bookings: Bookings;
  readonly audit: Audit;
  readonly sealed: Sealed;
  readonly failures: Failures;
  readonly deadLetters: DeadLetters;
  readonly people: People;
  readonly sessions: Sessions;
  readonly signInAttempts: SignInAttempts;
  readonly totals: Totals;
  readonly direct: Direct;
  readonly timings: Timings;
  readonly stats: Stats;
  readonly templates: Templates;
  /** The connections of this process. */
  connections(): PoolState;
  readonly cacheHistory: CacheHistory;
  readonly contentSids: ContentSids;
  readonly exclusive: Exclusive;
  /** Resolves when the database answers right now, whatever the breaker thinks: it is its probe. */
  ping(): Promise<void>;
  /** Somebody has just reached the database past this record: an open breaker probes instead of waiting. */
  reached(): void;
  /** Closes all connections. Safe to call twice. */
  close(): Promise<void>;
}

export function openRecord(options: RecordOptions): WaxwingRecord {
  const database = openDatabase(options);
  const messages = messagesOf(database);
  const stores = {
    tenants: tenantsOf(database, options.tenantDefaults),
    senders: sendersOf(database, options.secretBox),
    apiKeys: apiKeysOf(database),
    bookings: bookingsOf(database),
    inbound: inboundRecordOf(database, options.knownPeople),
    providerChanges: providerChangesOf(database),
    chat: chatOf(database, messages),
    templates: templatesOf(database),
    direct: directOf(database),
  };
  return {
    ...(options.changes === undefined ? stores : announced(stores, options.changes)),
    messages,
    rawWebhooks: rawWebhooksOf(database),
    contacts: contactsOf(database),
    conversations: conversationsOf(database),
    eventsOut: eventsOutOf(database),
    audit: auditOf(database),
    sealed: sealedOf(database, options.secretBox),
    failures: failuresOf(database),
    deadLetters: deadLettersOf(database),
    people: peopleOf(database),
    sessions: sessionsOf(database),
    signInAttempts: signInAttemptsOf(database, options.signInAttempts),
    totals: totalsOf(database),
    timings: timingsOf(database),
    stats: statsOf(database),
    connections: () => database.connections(),
    cacheHistory: cacheHistoryOf(database),
    contentSids: contentSidsOf(database),
    exclusive: exclusiveOf(options.databaseUrl),
    ping: () => database.ping(),
    reached: () => database.reached(),
    close: () => database.close(),
  };
}
