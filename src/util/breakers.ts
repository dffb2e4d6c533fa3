import {
  BrokenCircuitError,
  CircuitBreakerPolicy,
  CircuitState,
  ConsecutiveBreaker,
  circuitBreaker,
  handleWhen,
  type IBackoff,
} from 'cockatiel';

export type BreakerState = 'closed' | 'open' | 'half-open';

/** A breaker as reports and metrics show it. Counts are since the start of the process. */
export interface BreakerSnapshot {
  /** `responder`, `postgres`, `sender:default`, … Never holds a secret. */
  readonly name: string;
  readonly state: BreakerState;
  /** When a probe may go, epoch ms; null while it is closed. */
  readonly untilMs: number | null;
  /** How often it opened, a failed probe included. */
  readonly opened: number;
  readonly closed: number;
  /** Calls that were not made because it was open. */
  readonly refused: number;
}

export interface BreakerChange {
  readonly name: string;
  readonly state: BreakerState;
  readonly atMs: number;
  readonly untilMs: number | null;
}

/** The call was not made: the service behind it failed too often. Try again at `untilMs`, or do without it. */
export class BreakerOpenError extends Error {
  override readonly name = 'BreakerOpenError';
  readonly breaker: string;
  /** Epoch ms. */
  readonly untilMs: number;

  constructor(breaker: string, untilMs: number, options?: ErrorOptions) {
    super(`${breaker} failed too often; it is tried again at ${new Date(untilMs).toISOString()}.`, options);
    this.breaker = breaker;
    this.untilMs = untilMs;
  }
}

export interface BreakersOptions {
  /** CIRCUIT_BREAKER_THRESHOLD: failures in a row that open a breaker, ≥ 1. */
  readonly threshold: number;
  /** CIRCUIT_BREAKER_TIMEOUT: how long it stays open before one probe goes in, ms. */
  readonly timeoutMs: number;
  /** Wall clock, epoch ms; for what is shown, never for the timing itself. */
  readonly now?: () => number;
}

export interface Breaker {
  readonly name: string;
  readonly state: BreakerState;
  /**
   * Runs the call, unless the breaker is open. In half-open one call goes in as the probe, the others wait for it.
   * @throws BreakerOpenError when the call was not made; else whatever the call throws
   */
  run<T>(call: () => Promise<T>): Promise<T>;
  /**
   * Like `run()`, but an open breaker takes the call as its probe at once, whatever is left of its time: for a caller
   * who has reason to believe that the service is back, or who must know.
   */
  probe<T>(call: () => Promise<T>): Promise<T>;
  /** It is open and its time is over: the next call would be the probe. */
  readonly isDue: boolean;
  /** Counts a call that is not made; gives the error for it. */
  refuse(): BreakerOpenError;
  snapshot(): BreakerSnapshot;
}

/** The breakers of one process, by name. One threshold and one timeout for all, as the settings have it. */
export interface Breakers {
  /**
   * The breaker of this name, made at the first call.
   * @param isFailure does this error speak of the service's health; default: every error does
   */
  of(name: string, isFailure?: (error: Error) => boolean): Breaker;
  /** All of them, by name. */
  list(): readonly BreakerSnapshot[];
  /** Hears of every opening, probe and closing. Returns how to stop hearing. A listener must not throw. */
  onChange(listener: (change: BreakerChange) => void): () => void;
}

const STATES: Readonly<Record<CircuitState, BreakerState>> = {
  [CircuitState.Closed]: 'closed',
  [CircuitState.Open]: 'open',
  [CircuitState.HalfOpen]: 'half-open',
  [CircuitState.Isolated]: 'open',
};

export function createBreakers(options: BreakersOptions): Breakers {
  const now = options.now ?? Date.now;
  const breakers = new Map<string, Breaker>();
  const listeners = new Set<(change: BreakerChange) => void>();

  function make(name: string, isFailure: (error: Error) => boolean): Breaker {
    let isHastened = false;
    // Asked at each call while it is open.
    const wait: IBackoff<unknown> = {
      get duration() {
        return isHastened ? Number.NEGATIVE_INFINITY : options.timeoutMs;
      },
      next: () => wait,
    };
    const policy: CircuitBreakerPolicy = circuitBreaker(handleWhen(isFailure), {
      halfOpenAfter: wait,
      breaker: new ConsecutiveBreaker(options.threshold),
    });
    let opened = 0;
    let closed = 0;
    let refused = 0;
    let untilMs = 0;
    let openedAtMs = 0;
    const refuse = (cause?: Error) => {
      refused += 1;
      return new BreakerOpenError(name, untilMs, cause === undefined ? {} : { cause });
    };
    async function run<T>(call: () => Promise<T>): Promise<T> {
      try {
        return await policy.execute(() => call());
      } catch (error) {
        if (!(error instanceof BrokenCircuitError)) throw error;
        throw refuse(error);
      }
    }
    const until = () => (policy.state === CircuitState.Closed ? null : untilMs);
    policy.onStateChange((state) => {
      isHastened = false;
      const atMs = now();
      if (state === CircuitState.Open) {
        opened += 1;
        openedAtMs = performance.now();
        untilMs = atMs + options.timeoutMs;
      } else if (state === CircuitState.Closed) {
        closed += 1;
      }
      for (const listener of listeners) listener({ name, state: STATES[state], atMs, untilMs: until() });
    });
    return {
      name,
      get state() {
        return STATES[policy.state];
      },
      get isDue() {
        return policy.state === CircuitState.Open && performance.now() - openedAtMs >= options.timeoutMs;
      },
      run,
      async probe(call) {
        isHastened = policy.state === CircuitState.Open;
        return await run(call);
      },
      refuse: () => refuse(),
      snapshot: () => ({ name, state: STATES[policy.state], untilMs: until(), opened, closed, refused }),
    };
  }

  return {
    of(name, isFailure = () => true) {
      const known = breakers.get(name);
      if (known !== undefined) return known;
      const made = make(name, isFailure);
      breakers.set(name, made);
      return made;
    },
    list: () => [...breakers.values()].map((breaker) => breaker.snapshot()).sort((a, b) => (a.name < b.name ? -1 : 1)),
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}
