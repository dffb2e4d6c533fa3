/** What the dashboard shows, as it goes over the wire. No imports: the page's own code takes its types from here. */

export interface Percentiles {
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
}

/** What happened within one second. */
export interface LivePoint {
  /** End of the second, epoch ms. */
  readonly atMs: number;
  readonly accepted: number;
  /** Taken by the provider. */
  readonly sent: number;
  readonly delivered: number;
  /** Ended as dead letters, or reported as failed by the provider later. */
  readonly failed: number;
}

export interface LiveSender {
  readonly id: string;
  /** Null = shared. */
  readonly tenant: string | null;
  readonly provider: string | null;
  readonly state: 'sending' | 'idle' | 'paused' | 'circuit' | 'slowed';
  /** Why it is paused; null = it is not. */
  readonly pausedReason: string | null;
  /** When its open circuit lets a probe through, epoch ms; null = closed. */
  readonly circuitUntilMs: number | null;
  /** Mean of the last five seconds. */
  readonly sentPerSecond: number;
  /** Allowed now; less than `ratePerSecond` while the provider slows it down. 0 = no limit. */
  readonly allowedPerSecond: number;
  readonly ratePerSecond: number;
  readonly inFlight: number;
  readonly concurrency: number;
  /** Messages that wait in conversations, and outside of them (scheduled, deferred, held). */
  readonly waiting: number;
  readonly parked: number;
  /** Tenants with messages on it. */
  readonly tenants: number;
  /** Last word of the provider on its quality; null = none yet. */
  readonly quality: string | null;
}

export interface LiveTenant {
  readonly id: string;
  readonly waiting: number;
  readonly parked: number;
  readonly inFlight: number;
  /** Sum of its caps on the senders where it has messages. */
  readonly concurrency: number;
  readonly isPaused: boolean;
}

/** One of those with the most waiting. */
export interface TopTenant extends LiveTenant {
  /** When its longest waiting message was accepted, epoch ms, as far as the record knows; null = none waits. */
  readonly oldestAtMs: number | null;
}

export interface LiveAlert {
  readonly alert: string;
  readonly severity: 'warning' | 'critical';
  readonly sentence: string;
  readonly advice: string;
  readonly instance: string | null;
  readonly sinceMs: number;
}

/** The answer to "is it flowing, and if not, why and since when". */
export interface Verdict {
  readonly state: 'flowing' | 'quiet' | 'held' | 'stuck' | 'blind';
  readonly sentence: string;
  /** What is behind it and what to do; null = nothing to add. */
  readonly reason: string | null;
  /** Since when it is so, as far as this process saw it, epoch ms. */
  readonly sinceMs: number;
}

export interface LiveSnapshot {
  readonly atMs: number;
  readonly verdict: Verdict;
  /** Since the queue exists. */
  readonly totals: {
    readonly accepted: number;
    readonly sent: number;
    readonly failed: number;
    readonly cancelled: number;
    readonly expired: number;
  };
  /** Means of the last five seconds. */
  readonly perSecond: {
    readonly accepted: number;
    readonly sent: number;
    readonly delivered: number;
    readonly failed: number;
  };
  readonly backlog: {
    /** Accepted and not ended, in flight left out. */
    readonly waiting: number;
    readonly inFlight: number;
    /** By what holds them; `ready` = nothing does, a worker has to take them. Empty holds are left out. */
    readonly holds: Readonly<Record<string, number>>;
  };
  readonly oldest: {
    readonly id: string;
    readonly tenant: string;
    readonly sender: string;
    readonly createdAtMs: number;
  } | null;
  /** Of the newest 1,000 attempts, ms; null = none yet, or the record is away. */
  readonly latency: { readonly attempts: number; readonly waiting: Percentiles; readonly call: Percentiles } | null;
  readonly workers: number;
  /** Messages in flight and those that could be. */
  readonly workDue: number;
  /** Busiest first, at most 100. */
  readonly senders: readonly LiveSender[];
  readonly sendersTotal: number;
  /** Those with the most waiting first, at most 12. */
  readonly tenants: readonly TopTenant[];
  /** Tenants that have messages on a sender. */
  readonly tenantsActive: number;
  /** Null for a moment after somebody began to watch: not asked yet. */
  readonly failures: { readonly deadLetters: number; readonly retrying: number } | null;
  readonly queues: readonly {
    readonly queue: string;
    readonly waiting: number;
    readonly active: number;
    readonly delayed: number;
    readonly failed: number;
    readonly isPaused: boolean;
  }[];
  readonly caches: readonly {
    readonly cache: string;
    readonly reads: number;
    /** 0 … 1; null = no reads yet. */
    readonly hitShare: number | null;
    readonly isSpike: boolean;
  }[];
  /** Firing ones. */
  readonly alerts: readonly LiveAlert[];
  /** What could not be read just now: `queue`, `record`, …; empty = all is known. */
  readonly unknown: readonly string[];
}

/** First event of the stream. */
export interface LiveHistory {
  /** Oldest first, one per second, at most ten minutes. */
  readonly points: readonly LivePoint[];
}

/** Every later event of the stream. */
export interface LiveUpdate {
  readonly snapshot: LiveSnapshot;
  /** Seconds that ended since the event before. */
  readonly points: readonly LivePoint[];
}
