import type { ScriptName } from '../../src/engine/generated/scripts.ts';

/* The words in which commands, driver and reference speak to each other. */

/** One run's times and policy, as the scripts are told them. */
export interface Timing {
  readonly startByMs: number;
  readonly sendTimeoutMs: number;
  readonly ambiguousWaitMs: number;
  readonly afterWait: 'hold' | 'resend';
}

export interface SenderSetup {
  readonly rate: number;
  readonly burst: number;
  readonly cap: number;
  readonly gapMs: number;
  readonly pairCapacity: number;
  readonly pairMsPerToken: number;
}

export interface TenantSetup {
  cap: number;
  weight: number;
  backlogMax: number;
}

export interface CandidateMessage {
  readonly id: string;
  readonly sender: string;
  readonly tenant: string;
  readonly lane: string;
  readonly contact: string;
  readonly priority: number;
  /** Wall clock of the accepting process: the time within the id. */
  readonly atMs: number;
  readonly sendAtMs: number | null;
  readonly expiresAtMs: number | null;
  readonly idempotency: { readonly key: string; readonly digest: string } | null;
  /** What it is made from; the provider may stop it. */
  readonly template?: string | null;
}

/** One settlement as the exchange script takes it. */
export interface SettleArgs {
  readonly lane: string;
  readonly id: string;
  readonly entry: string;
  readonly kind: 'S' | 'F' | 'R' | 'D' | 'U' | 'B';
  /** delayMs of R and D */
  readonly number: number;
  /** R: counted · D: stays at its place */
  readonly flag: boolean;
  readonly brake: '' | 'P' | 'N' | 'S' | 'T';
  readonly brakeValue: string;
  /** What the outcome says of the sender's health: '' nothing bad, '-<ms>' bad, '!<ms>' so bad that its circuit opens. */
  readonly verdict?: string;
}

export type ReviveVerb = 'redrive' | 'log' | 'hasten' | 'resend' | 'close' | 'settled';
export interface Revival {
  readonly verb: ReviveVerb;
  readonly id: string;
  /** redrive, log: as the record has it. */
  readonly from: 'failed' | 'sent' | 'lost';
  /** As the caller knows them; hasten: 0 = none. */
  readonly attempts: number;
  /** -1 = it has failed for good (log only). */
  readonly delayMs: number;
  readonly limits: TenantSetup;
}

/** The scripts that change something, but for the sweep, which only looks. */
export type Script = Exclude<ScriptName, 'inspect' | 'look' | 'sweep'>;

/** What a call asked for and what it was answered: all that the reference needs to judge what the engine did. */
export interface Call {
  readonly script: Script;
  readonly settles?: readonly SettleArgs[];
  readonly settled?: readonly number[];
  /** The worker that called: what it takes is marked as sending. */
  readonly takes?: string;
  readonly begins?: readonly { readonly entry: string; readonly worker: string; readonly begun: number }[];
  readonly evidence?: readonly string[];
  readonly cancel?: string;
  /** The sender whose circuit another's credential opens. */
  readonly opens?: string;
  /** The worker that was taken for dead. */
  readonly reclaim?: string;
  /** Entries that a living worker gives up: no reply with them reached it, or it knows nothing of them any more. */
  readonly givenUp?: { readonly as: 'unheard' | 'disowned'; readonly entries: ReadonlySet<string> };
  /** The stream was built anew: what nobody had begun is given back. */
  readonly regroups?: true;
  /** What a person wants ended, if it waits. */
  readonly skips?: ReadonlySet<string>;
  /** What a person wants tried at once, if it waits after an attempt. */
  readonly restarts?: ReadonlySet<string>;
  /** What came back, or was decided by a person. */
  readonly revived?: Revival;
}
