import { setTimeout as delay } from 'node:timers/promises';

/** Somebody who asks less often than this is not taken for a load balancer; most ask every 1 to 30 s. */
const WATCHED_MS = 35_000;

export interface LeavingOptions {
  /** SHUTDOWN_DRAIN_MS. */
  readonly drainMs: number;
  /** SHUTDOWN_GRACE_MS: the end of everything; draining takes at most half of it. */
  readonly graceMs: number;
  /** Monotonic ms. */
  readonly now?: () => number;
}

/**
 * How a process that serves requests takes its leave. First it only says so: `/ready` answers 503 while everything else
 * is served as before, so that a load balancer sends nobody here any more before nobody is served. Only then it closes.
 * Where nobody asks for `/ready` again and again, nobody would be told, and it closes at once.
 */
export class Leaving {
  readonly #options: LeavingOptions;
  readonly #now: () => number;
  #leftAtMs: number | undefined;
  #isClosing = false;
  #toldReady = 0;
  #lastToldAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: LeavingOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
  }

  /** `/ready` was answered with yes. One who waits for the start stops asking then; a load balancer goes on. */
  noteReady(): void {
    this.#toldReady += 1;
    this.#lastToldAtMs = this.#now();
  }

  /** From the signal on: wants no new callers. */
  get isStopping(): boolean {
    return this.#leftAtMs !== undefined;
  }

  /** Refuses what still comes. */
  get isClosing(): boolean {
    return this.#isClosing;
  }

  /** What is left of the grace period for a part to end in, ms; all of it before `leave`. */
  leftMs(leastMs = 1000): number {
    const { graceMs } = this.#options;
    if (this.#leftAtMs === undefined) return graceMs;
    return Math.min(graceMs, Math.max(leastMs, this.#leftAtMs + graceMs - this.#now()));
  }

  /**
   * Resolves when it is time to close.
   * @param serves false for a process without callers
   */
  async leave(serves: boolean): Promise<void> {
    this.#leftAtMs ??= this.#now();
    const isWatched = this.#toldReady >= 2 && this.#now() - this.#lastToldAtMs < WATCHED_MS;
    if (serves && isWatched) await delay(Math.min(this.#options.drainMs, this.#options.graceMs / 2));
    this.#isClosing = true;
  }
}
