import type { RedisTarget } from '../../../src/engine/connection.ts';

/* What the supervisor and the processes of a fault test say to each other: JSON, over Node's IPC channel. */

/** What the fake provider does with one request. Those that begin with `take-` have taken the message. */
export type ProviderAction =
  | 'take'
  | 'take-reset'
  | 'take-stall'
  | 'take-slow'
  | 'take-bare-502'
  | 'take-no-id'
  | 'take-html'
  | 'take-huge'
  /** Answers a byte a second. */
  | 'take-trickle'
  /** Takes it and kills the sender's process before it answers. */
  | 'take-kill'
  /** Answers with the Cloud API's error envelope. */
  | 'refuse'
  /** A 503 of a load balancer: not taken, but the sender cannot know. */
  | 'bare-503'
  /** Cuts the connection without having taken it. */
  | 'reset';

export interface ProviderRule {
  readonly action: ProviderAction;
  /** Share of the attempts that it meets, 0 … 1. Default 1. */
  readonly share?: number;
  /** Only attempts on this number. */
  readonly phoneNumberId?: string;
  /** Only this operation, `<conversation>#<n>`. */
  readonly op?: string;
  /** Only attempts to these recipients. */
  readonly recipients?: readonly string[];
  /** Only the first request that names an operation. */
  readonly firstOnly?: boolean;
  /** At most so many times. */
  readonly times?: number;
  /** Error code of `refuse`. */
  readonly code?: number;
  /** HTTP status of `refuse`. Default 400. */
  readonly httpStatus?: number;
  readonly retryAfterSeconds?: number;
  /**
   * From then on refuses everything of the same pair (131056) or number (130429) for so long, as a limit does: ms.
   * Without it a refusal says nothing of the next attempt.
   */
  readonly closesMs?: number;
}

export interface ProviderPlan {
  readonly seed: number;
  /** Time from the ledger to the answer, ms. */
  readonly latencyMs: readonly [min: number, max: number];
  /** The first that meets an attempt decides; without one the message is taken. */
  readonly rules: readonly ProviderRule[];
  /** When and how often the status of a taken message is told; null = never. */
  readonly statuses: { readonly delayMs: number; readonly copies: number } | null;
}

export type ToProvider =
  | { readonly type: 'plan'; readonly plan: ProviderPlan }
  /** The only processes that it may end. */
  | { readonly type: 'killable'; readonly pids: readonly number[] }
  | { readonly type: 'listen'; readonly on: boolean; readonly id: number }
  | { readonly type: 'count'; readonly id: number };

export type FromProvider =
  | { readonly type: 'ready'; readonly port: number }
  | { readonly type: 'done'; readonly id: number; readonly sends: number; readonly taken: number }
  | { readonly type: 'killed'; readonly pid: number; readonly atMs: number }
  | { readonly type: 'status'; readonly tag: string; readonly wamid: string; readonly atMs: number };

/** A line of the ledger: on disk before the provider answers. */
export interface LedgerSend {
  readonly kind: 'send';
  readonly n: number;
  /** `<conversation>#<n>`, from the message's text. */
  readonly op: string;
  readonly tag: string;
  readonly worker: string;
  readonly phoneNumberId: string;
  readonly to: string;
  readonly atMs: number;
  readonly action: ProviderAction;
  readonly code: number | null;
  readonly taken: boolean;
  readonly wamid: string | null;
  /** The line whose refusal had closed the pair or the number that this one came to; null = it was open. */
  readonly closedBy: number | null;
}
/** Its request is over, at the provider's end. */
export interface LedgerEnd {
  readonly kind: 'end';
  readonly n: number;
  readonly atMs: number;
  /** A whole answer was written. */
  readonly answered: boolean;
}

export interface WorkerProgram {
  readonly worker: string;
  /** Workers in this process, each with connections of its own. */
  readonly count: number;
  readonly redis: RedisTarget;
  readonly shards: number;
  readonly slots: number;
  readonly senders: readonly { readonly id: string; readonly phoneNumberId: string; readonly apiUrl: string }[];
  readonly tagKeyHex: string;
  readonly engine: {
    readonly startByMs?: number;
    readonly claimIdleMs?: number;
    readonly sendTimeoutMs: number;
    readonly ambiguousWaitMs: number;
    readonly onAmbiguous: 'reconcile' | 'hold' | 'resend';
  };
  readonly policy: {
    readonly attemptsMax: number;
    readonly backoffMs: number;
    readonly scheduleSeconds: readonly number[];
    readonly deferBlocks: boolean;
    /** Bad outcomes in a row that open a circuit. */
    readonly breakerThreshold: number;
    /** How long an open circuit holds before it lets a probe go, ms. */
    readonly breakerOpenMs: number;
  };
  readonly graceMs: number;
  /** A message over which the process comes to grief, and how. */
  readonly poison?: { readonly op: string; readonly kind: PoisonKind };
}

export type PoisonKind = 'throw' | 'exit' | 'loop' | 'memory';

export type ToWorker =
  /** Stops its own process (SIGSTOP) when the next first byte is about to be written. */
  | { readonly type: 'stop-before-write' }
  /** Blocks its event loop. */
  | { readonly type: 'block'; readonly ms: number }
  /** Takes memory until it dies of it. */
  | { readonly type: 'exhaust' };

export type FromWorker =
  | { readonly type: 'ready' }
  /** `stop-before-write` is heard. */
  | { readonly type: 'armed' }
  /** The poisoned message is here; what it does comes next. */
  | { readonly type: 'poisoned' }
  /** The provider said yes, and the message was no longer this worker's: `evidence` settled it, `stale` did not. */
  | { readonly type: 'late-sent'; readonly messageId: string; readonly result: 'evidence' | 'stale' };

export interface AcceptorProgram {
  readonly redisUrl: string;
  readonly seed: number;
  readonly ratePerSecond: number;
  readonly shape: LoadShape;
}

/** Which conversations a load has, and whose. */
export interface LoadShape {
  /** Prefix of its conversations, so that two loads of a test never share one. */
  readonly name: string;
  readonly senders: readonly string[];
  readonly tenants: number;
  /** Of their ids; default `t`. Two loads with the same one share their tenants. */
  readonly tenantPrefix?: string;
  readonly conversations: number;
  readonly tenantConcurrency: number;
  /** Several conversations share a contact when this is smaller. Default: one each. */
  readonly contacts?: number;
}

export type FromAcceptor =
  | { readonly type: 'ready' }
  | { readonly type: 'try'; readonly op: string }
  | { readonly type: 'ok'; readonly op: string; readonly id: string };
