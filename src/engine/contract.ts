import type { AttemptReport } from '../model/events.ts';
import type { LaterRetry } from '../model/later-retry.ts';
import type { Hold, Lane, MessageError } from '../model/message.ts';
import type { LaneLook } from './lane-look.ts';
import type { Line, SenderLook } from './line.ts';

/** Limits of one sender. All of them live in its shard, so they hold over all processes. */
export interface SenderLimits {
  readonly sender: string;
  /** Shard that holds everything about this sender; set when it is created, never changed. 0 … SHARDS-1. */
  readonly shard: number;
  /** Messages per second; 0 = no limit. */
  readonly ratePerSecond: number;
  /** Messages that may start at once after a quiet time, ≥ 1. */
  readonly burst: number;
  /** Attempts in flight at once, ≥ 1. */
  readonly concurrency: number;
  /** Least time between the end of one attempt to a contact and the start of the next, ms; 0 = none. */
  readonly pairGapMs: number;
  /** Tokens of the pair bucket; 0 = no bucket. */
  readonly pairBucketCapacity: number;
  readonly pairBucketRefillPerSecond: number;
}

/** The engine has no limits for this sender: call `configureSender()` and repeat. Nothing was stored. */
export class UnknownSenderError extends Error {
  override readonly name = 'UnknownSenderError';
  readonly sender: string;

  constructor(sender: string) {
    super(`The engine does not know the sender ${sender}; configure it first.`);
    this.sender = sender;
  }
}

/** What a tenant may do on a sender. Travels with every accept; the latest one counts. */
export interface TenantLimits {
  /** Attempts in flight at once on one sender, ≥ 1. */
  readonly concurrency: number;
  /** Turns in a row when tenants share a sender, 1 … 100. */
  readonly weight: number;
  /** Messages that may wait on one sender; more are refused. */
  readonly backlogMax: number;
}

export interface NewMessage {
  /** UUIDv7 text. */
  readonly id: string;
  readonly lane: Lane;
  /** Canonical recipient: with the sender it is the pair that WhatsApp paces. */
  readonly contact: string;
  /** 1 … 10, 10 first. */
  readonly priority: number;
  /** Wall clock, epoch ms; the message takes its place in the conversation at this time. */
  readonly sendAtMs?: number;
  /** Wall clock, epoch ms; never sent later than this. */
  readonly expiresAtMs?: number;
  readonly idempotency?: {
    /** The caller's key; scoped by tenant and sender. */
    readonly key: string;
    /** Digest of what the caller asked for: another digest under the same key is refused. At least 6 bytes: so many are compared. */
    readonly bodyDigest: Buffer;
  };
  /** `MessageBody` as JSON; opaque to the engine. */
  readonly body: string;
  readonly tenantLimits: TenantLimits;
}

export type AcceptResult =
  /** Stored on disk. `immediate`: handed to a worker in the same step. */
  | { readonly kind: 'accepted'; readonly id: string; readonly immediate: boolean }
  /** The key was used with the same body within 24 h; `id` is the first message. */
  | { readonly kind: 'duplicate'; readonly id: string }
  /** The key was used with another body within 24 h; `id` is that message. */
  | { readonly kind: 'key-reused'; readonly id: string }
  /** Nothing stored: as many messages as allowed are waiting. */
  | { readonly kind: 'backlog-full' };

/** Where the engine holds a message right now. */
export interface Place {
  readonly status: 'queued' | 'scheduled' | 'sending' | 'deferred' | 'unknown' | 'failed';
  readonly hold: Hold | null;
  /** Attempts begun. */
  readonly attempts: number;
  /** Messages before it in its conversation. */
  readonly position: number;
}

/** A message that the recorder has not yet written: enough to answer a read straight after the accept. */
export interface UnrecordedMessage {
  readonly id: string;
  readonly lane: Lane;
  readonly seq: number;
  readonly contact: string;
  readonly priority: number;
  readonly sendAtMs: number | null;
  readonly expiresAtMs: number | null;
  readonly body: string;
  /** Calls to the provider that have been reported. */
  readonly attempts: number;
  readonly place: Place | null;
  /** What ended it, when that too is not recorded yet. */
  readonly ended: {
    readonly status: 'sent' | 'failed' | 'cancelled' | 'expired';
    readonly atMs: number;
    readonly providerMessageId: string | null;
    readonly error: MessageError | null;
  } | null;
}

/** Counters of a shard. `accepted` equals the sum of all others, after every step. */
export interface Counters {
  readonly accepted: number;
  readonly queued: number;
  readonly scheduled: number;
  readonly deferred: number;
  /** Handed to a worker, not settled. */
  readonly inFlight: number;
  /** Ambiguous, waiting for evidence. */
  readonly unknown: number;
  /** Ambiguous twice or by policy: waits for a person. */
  readonly held: number;
  readonly sent: number;
  readonly failed: number;
  readonly cancelled: number;
  readonly expired: number;
}

export type CancelResult = 'cancelled' | 'in-flight' | 'gone';

/** One message handed to a worker. */
export interface Grant {
  readonly shard: number;
  /** Stream entry of the hand-over: with the message id it fences every later step. */
  readonly entry: string;
  readonly lane: Lane;
  readonly messageId: string;
  /** Number of this attempt, from 1. */
  readonly attempt: number;
  /** Attempts that count against the policy's limits, before this one, slow retries included. A redrive begins anew. */
  readonly counted: number;
  /** Slow retries already made. */
  readonly deferrals: number;
  readonly contact: string;
  readonly expiresAtMs: number | null;
  /** `MessageBody` as JSON, or null when it fails its checksum: such a message must never be sent. */
  readonly body: string | null;
}

/** What the worker decided about an attempt; see `worker/policy.ts`. */
export type Settlement =
  | { readonly kind: 'sent'; readonly providerMessageId: string }
  | { readonly kind: 'failed'; readonly error: MessageError }
  /** Back to the head of its conversation after `delayMs`. */
  | { readonly kind: 'retry'; readonly delayMs: number; readonly counted: boolean; readonly brake?: Brake }
  /**
   * Out of the fast attempts: waits `delayMs`, then joins its conversation again. `asked`: the provider asks for a pause
   * longer than the schedule's, which nobody may cut short.
   */
  | { readonly kind: 'deferred'; readonly delayMs: number; readonly block: boolean; readonly asked?: boolean }
  /** Nobody knows: waits for evidence. */
  | { readonly kind: 'unknown' }
  /** No byte was sent: back to the head at once, no attempt counted. */
  | { readonly kind: 'unstarted' };

/** What a failed attempt tells about its pair or its sender. */
export type Brake =
  /** How long, ms, when it is limited for the first time in a row, for the second, for the third and all that follow. */
  | { readonly on: 'pair'; readonly waitsMs: readonly number[] }
  | { readonly on: 'sender-rate'; readonly waitMs: number }
  | { readonly on: 'sender'; readonly reason: string }
  /** The provider stopped this template (`MessageBody.template`): what is made from it waits. */
  | { readonly on: 'template'; readonly template: string };

/** An outcome that spoke ill of the sender's health at its provider; see `worker/provider-health.ts`. */
export interface BadHealth {
  /** Enough of them came in a row: nothing of the sender goes for `openMs`, over all workers; then a single probe. */
  readonly opens: boolean;
  readonly openMs: number;
}

export interface SettleRequest {
  readonly grant: Grant;
  readonly settlement: Settlement;
  readonly report: AttemptReport | null;
  /** Absent: the outcome spoke well of the sender's health, or not at all. */
  readonly badHealth?: BadHealth | undefined;
}

/** A sender whose circuit is not closed. */
export interface OpenCircuit {
  readonly sender: string;
  /** `half-open`: its time has come, or the probe is on its way. */
  readonly state: 'open' | 'half-open';
  /** When a probe may go, epoch ms. */
  readonly untilMs: number;
}

/** Circuits of all senders, as all processes share them. */
export interface Circuits {
  readonly open: readonly OpenCircuit[];
  /** How often circuits opened (a failed probe included) and closed since the queue exists. */
  readonly opened: number;
  readonly closed: number;
}

/** The accepting and asking side of the engine: what http/, messages/ and observe/ use. */
export interface SendQueue {
  readonly shards: number;
  /**
   * Stores one message, its place and its idempotency record in one atomic step, on disk before it returns
   * (ACCEPT_DURABILITY=disk). Calls of one tick share one script call.
   * @throws AppError `QUEUE_UNAVAILABLE` (retryable; may have been stored), `QUEUE_FULL` (retryable, not stored)
   * @throws UnknownSenderError when the lane's sender was never configured (not stored)
   */
  accept(message: NewMessage): Promise<AcceptResult>;
  /** Creates or updates a sender's limits; waiting messages feel them at once. */
  configureSender(limits: SenderLimits): Promise<void>;
  /** Updates a tenant's limits on one sender while it has messages there. */
  configureTenant(sender: string, tenant: string, limits: TenantLimits): Promise<void>;
  /** @param onlyIf does nothing when the sender is held for another reason by now; null = when it is held at all */
  pauseSender(sender: string, reason: string, onlyIf?: { readonly heldFor: string | null }): Promise<void>;
  /** @param onlyIf does nothing when the sender is held for another reason by now */
  resumeSender(sender: string, onlyIf?: { readonly heldFor: string }): Promise<void>;
  /** Why the engine holds a sender: a person's pause, or a credential or policy error of the provider; null = it goes. */
  pauseReason(sender: string): Promise<string | null>;
  /** Senders that a circuit breaker holds, and how often that happened. */
  circuits(): Promise<Circuits>;
  /** Can the queue be asked right now, as far as the connection knows. A false one has certainly stored nothing. */
  isReachable(): boolean;
  /** What waits in a conversation, for a send past the queue. */
  lookAtLane(lane: Lane, contact: string): Promise<LaneLook>;
  /** Pairs whose gap runs, whose bucket is not full, or with an attempt under way; counted by a scan, kept for a second. */
  limitedPairs(): Promise<number>;
  /**
   * Messages of this sender that are made from the template (`MessageBody.template`) wait from now on, with the hold
   * `template-paused`; others go. Safe to repeat.
   */
  holdTemplate(sender: string, template: string): Promise<void>;
  /** What waited for the template goes on, in its order. Safe to repeat. */
  releaseTemplate(sender: string, template: string): Promise<void>;
  /** Held templates of a sender. */
  heldTemplates(sender: string): Promise<readonly string[]>;
  pauseTenant(sender: string, tenant: string): Promise<void>;
  resumeTenant(sender: string, tenant: string): Promise<void>;
  /** Stops hand-overs on every shard; accepting goes on. */
  pauseAll(): Promise<void>;
  resumeAll(): Promise<void>;
  /** Are hand-overs stopped on any shard. */
  isPaused(): Promise<boolean>;
  /** Cancels what is not in flight. `seq` as in the accepted event. */
  cancel(target: { id: string; lane: Lane; seq: number }): Promise<CancelResult>;
  /** Where the message is, or null when the engine no longer holds it. */
  place(target: { id: string; lane: Lane; seq: number }): Promise<Place | null>;
  /** Where the message is and what stands before it, or null when the engine no longer holds it. */
  line(target: { id: string; lane: Lane; seq: number }): Promise<Line | null>;
  /** What shapes the pace of a sender, seen from one of its tenants; null when the engine does not know it. */
  lookAtSender(sender: string, tenant: string): Promise<SenderLook | null>;
  /** Looks the id up among what the recorder has not written yet; null when it is recorded or unknown. */
  unrecorded(id: string): Promise<UnrecordedMessage | null>;
  /**
   * Adds provider statuses to the event log, on disk before it returns, and settles ambiguous attempts they prove,
   * also when the attempt turns out to be ambiguous only later.
   */
  statuses(statuses: readonly StatusEvidence[]): Promise<void>;
  /**
   * Resolves with the message's final-or-sent event, or null after `timeoutMs`. Event-driven.
   * Call it before `accept()` so that no event is missed.
   */
  waitForOutcome(id: string, timeoutMs: number): Promise<'sent' | 'failed' | 'cancelled' | 'expired' | null>;
  counters(): Promise<Counters>;
}

export interface StatusEvidence {
  /** From the tag; empty when the status carried none of ours. */
  readonly messageId: string;
  readonly attempt: number | null;
  /** Hand-over from the tag: finds an attempt that is still in flight. */
  readonly entry?: string;
  readonly providerMessageId: string;
  readonly status: string;
  readonly providerAtMs: number;
  readonly error: MessageError | null;
  /** What the error table says to do by itself about a `failed`; absent = nothing. */
  readonly laterRetry?: LaterRetry;
  /** The provider told no time; `providerAtMs` is that of arrival. */
  readonly isTimeOurs?: true;
  /** What the provider told besides, a few kilobytes at most; kept for the record. */
  readonly more?: Readonly<Record<string, unknown>>;
}
