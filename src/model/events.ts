import type { LaterRetry } from './later-retry.ts';
import type { Lane, MessageError } from './message.ts';

/**
 * Lifecycle events: what the engine writes in the same atomic step in which it changes a message's state, and
 * what the recorder turns into rows. Kept until the recorder has committed them, never trimmed before.
 */
interface EventBase {
  readonly messageId: string;
  /** Engine clock of the script call, epoch ms. */
  readonly atMs: number;
}

/** One call to the provider, as its worker saw it. */
export interface AttemptReport {
  /** 1 for the first call of a message. Attempts that no limit counts still have a number of their own. */
  readonly attempt: number;
  readonly worker: string;
  readonly startedAtMs: number;
  readonly endedAtMs: number;
  readonly outcome: 'sent' | 'rejected' | 'not-sent' | 'ambiguous';
  readonly httpStatus?: number;
  readonly error?: MessageError;
}

export interface AcceptedEvent extends EventBase {
  readonly type: 'accepted';
  readonly lane: Lane;
  /** Order of acceptance within the shard; grows along every conversation. */
  readonly seq: number;
  readonly contact: string;
  readonly priority: number;
  readonly sendAtMs: number | null;
  readonly expiresAtMs: number | null;
  /** `MessageBody` as JSON. */
  readonly body: string;
}
/** A scheduled or deferred message took its place in the conversation. */
export interface QueuedEvent extends EventBase {
  readonly type: 'queued';
  readonly seq: number;
}
export interface SentEvent extends EventBase {
  readonly type: 'sent';
  readonly providerMessageId: string;
  /** Slow retries begun, this one included; absent where nobody knows. */
  readonly slowRetries?: number;
  /** Absent when a status webhook settled an ambiguous attempt. */
  readonly report: AttemptReport | null;
}
/** The attempt did not succeed; the message stays at the head of its conversation. */
export interface RetryEvent extends EventBase {
  readonly type: 'retry';
  readonly delayMs: number;
  readonly report: AttemptReport | null;
}
export interface DeferredEvent extends EventBase {
  readonly type: 'deferred';
  readonly delayMs: number;
  /** Slow retries made before this wait. */
  readonly slowRetries?: number;
  /** The provider asked for this pause, which is longer than the schedule's: nobody cuts it short. */
  readonly asked?: boolean;
  /** Why, where there is no report to tell it. */
  readonly error?: MessageError;
  readonly report: AttemptReport | null;
}
/** The attempt's outcome was lost; waits for evidence, then the policy decides. */
export interface UnknownEvent extends EventBase {
  readonly type: 'unknown';
  /** How long evidence is awaited; null when a person must decide. */
  readonly waitMs: number | null;
  readonly report: AttemptReport | null;
}
export interface FailedEvent extends EventBase {
  readonly type: 'failed';
  readonly error: MessageError;
  readonly slowRetries?: number;
  /** The person who closed a message whose outcome nobody knows. */
  readonly closedBy?: string;
  readonly report: AttemptReport | null;
}
/** A message came back into the queue: a new attempt of one that had ended, or that waited for a person. */
export interface RedrivenEvent extends EventBase {
  readonly type: 'redriven';
  /**
   * `person`: somebody redrove it · `report`: a status had reported a failure that the error table retries ·
   * `repair`: it waited for a slow retry and Redis had lost it.
   */
  readonly cause: 'person' | 'report' | 'repair';
  /** Who asked for it; the program's own name for a report. */
  readonly by: string;
  readonly delayMs: number;
}
export interface CancelledEvent extends EventBase {
  readonly type: 'cancelled';
  /** The person who skipped it with others; absent when it was cancelled by its id. */
  readonly by?: string;
}
export interface ExpiredEvent extends EventBase {
  readonly type: 'expired';
}
/** A provider status webhook (sent, delivered, read, failed, …), kept append-only. */
export interface StatusEvent extends EventBase {
  readonly type: 'status';
  /** Empty when only the provider's id is known. */
  readonly messageId: string;
  readonly providerMessageId: string;
  readonly status: string;
  /** The provider's own time of the status, epoch ms. */
  readonly providerAtMs: number;
  readonly error: MessageError | null;
  /** What the error table says to do by itself about a `failed`; absent = nothing. */
  readonly laterRetry?: LaterRetry;
  /** The provider told no time; `providerAtMs` is that of arrival. */
  readonly isTimeOurs?: true;
  /** What the provider told besides. */
  readonly more?: Readonly<Record<string, unknown>>;
}

/** A circuit breaker stopped a sender, or let it go again. Belongs to no message: `messageId` is the sender's id. */
export interface CircuitEvent extends EventBase {
  readonly type: 'circuit';
  readonly state: 'open' | 'closed';
  /** When a probe may go, epoch ms; null when it closed. */
  readonly untilMs: number | null;
  /** Why: `failures` in a row, a failed or successful `probe`, or the `credential` failed on other senders. */
  readonly reason: 'failures' | 'probe' | 'credential';
}

/** The events that belong to a message and that the engine writes about it. */
export type MessageEvent = Exclude<LifecycleEvent, StatusEvent | CircuitEvent>;

export type LifecycleEvent =
  | AcceptedEvent
  | QueuedEvent
  | SentEvent
  | RetryEvent
  | DeferredEvent
  | UnknownEvent
  | FailedEvent
  | RedrivenEvent
  | CancelledEvent
  | ExpiredEvent
  | StatusEvent
  | CircuitEvent;

/** One stored entry: all events of one engine call. */
export interface EventEntry {
  /** Stream id, `<ms>-<n>`: grows strictly within the shard. */
  readonly id: string;
  readonly events: readonly LifecycleEvent[];
  /** What could not be decoded, one sentence each; such events are counted, never a reason to stop. */
  readonly damaged?: readonly string[];
}

/** The events of one shard, oldest first; implemented by the engine, consumed by the recorder. */
export interface EventLog {
  readonly shard: number;
  /**
   * Reads the oldest entries that were not yet recorded, waiting up to `blockMs` when there are none.
   * @param after read entries with a greater id; `0-0` = from the oldest
   * @returns up to `count` entries; empty when the wait ended or `close()` was called
   */
  read(after: string, count: number, blockMs: number): Promise<EventEntry[]>;
  /** Forgets entries whose rows are committed. Safe to repeat. */
  recorded(entries: readonly EventEntry[]): Promise<void>;
  /** Ends a waiting `read()`. */
  close(): Promise<void>;
}
