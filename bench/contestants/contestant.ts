import type { LoadMessage } from '../load.ts';

/** How messages are given to a contestant. */
export type AcceptMode = 'single' | 'bulk' | 'keyed';

export interface AcceptPlan {
  readonly from: number;
  readonly count: number;
  /** Calls under way at once. */
  readonly places: number;
  readonly mode: AcceptMode;
  readonly message: (index: number) => LoadMessage;
}

export interface DrainPlan {
  readonly count: number;
  /** Messages in work at once. */
  readonly places: number;
  /** Plays the provider. */
  readonly handle: (message: Handled) => Promise<void>;
}

export interface Handled {
  readonly conversation: string;
  readonly index: number;
}

/** One of the queues that are measured side by side. */
export interface Contestant {
  readonly name: string;
  /** Connects; not measured. */
  open(url: string): Promise<void>;
  /** Resolves when every message is stored. */
  accept(plan: AcceptPlan): Promise<void>;
  /** Connects a worker (not measured), then works `count` messages off. @returns ms from the start to the last settled one */
  drain(plan: DrainPlan): Promise<number>;
  close(): Promise<void>;
}
