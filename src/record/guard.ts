import { AppError, hasCode } from '../errors/app-error.ts';
import { type Breaker, BreakerOpenError, type Breakers } from '../util/breakers.ts';
import { isServerAway } from './sql-errors.ts';

/** The breaker before PostgreSQL. */
export interface Guard {
  /**
   * Makes the call while the breaker is closed. When its time is over, one caller asks the server first; all others
   * are refused at once meanwhile, because the server may be asked in vain for seconds.
   * @throws AppError `RECORD_UNAVAILABLE` when the call was not made; else whatever the call throws
   */
  run<T>(call: () => Promise<T>): Promise<T>;
  /** Asks the server now: of an open breaker it is the probe. @throws AppError `RECORD_UNAVAILABLE` */
  ask(): Promise<void>;
  /** Somebody has just reached the server past the breaker: it is probed soon. */
  reached(): void;
  /** Probes no more by itself. */
  stop(): void;
}

/** Who records a lot reaches the server many times a second; an open breaker is probed once in this time at most, ms. */
const PROBE_GAP_MS = 1000;

/**
 * @param breakers where the breaker `postgres` is made; undefined = every call is made
 * @param ask a statement that any healthy server answers at once, past the breaker
 */
export function createGuard(breakers: Pick<Breakers, 'of'> | undefined, ask: () => Promise<void>): Guard {
  if (breakers === undefined) return { run: (call) => call(), ask, reached: () => undefined, stop: () => undefined };
  return new BreakerGuard(breakers.of('postgres', isFailure), ask);
}

class BreakerGuard implements Guard {
  readonly #breaker: Breaker;
  readonly #ask: () => Promise<void>;
  #probing: Promise<void> | undefined;
  #looking: NodeJS.Timeout | undefined;
  #isStopped = false;
  #probedAtMs = Number.NEGATIVE_INFINITY;
  #answeredAtMs = Number.NEGATIVE_INFINITY;

  constructor(breaker: Breaker, ask: () => Promise<void>) {
    this.#breaker = breaker;
    this.#ask = ask;
  }

  async run<T>(call: () => Promise<T>): Promise<T> {
    if (this.#breaker.state !== 'closed') {
      if (this.#probing !== undefined || !this.#breaker.isDue) throw asRecordError(this.#breaker.refuse());
      await this.#probe();
    }
    const beganAtMs = performance.now();
    try {
      return await this.#breaker.run(() => this.#noting(beganAtMs, call));
    } catch (error) {
      // What failed may have waited for seconds: whether the server is still away is asked once more.
      this.#lookAgain();
      throw asRecordError(error instanceof Overtaken ? error.cause : error);
    }
  }

  async ask(): Promise<void> {
    if (this.#breaker.state === 'closed') await this.run(this.#ask);
    else await this.#probe();
  }

  reached(): void {
    this.#answeredAtMs = performance.now();
    this.#lookAgain();
  }

  stop(): void {
    clearTimeout(this.#looking);
    this.#isStopped = true;
  }

  /** Calls that were stuck from before the server was last reached fail late, and say nothing of it now. */
  async #noting<T>(beganAtMs: number, call: () => Promise<T>): Promise<T> {
    try {
      const result = await call();
      this.#answeredAtMs = performance.now();
      return result;
    } catch (error) {
      if (this.#answeredAtMs > beganAtMs) throw new Overtaken(error);
      throw error;
    }
  }

  #lookAgain(): void {
    if (this.#breaker.state === 'closed' || this.#looking !== undefined || this.#isStopped) return;
    const waitMs = Math.max(0, this.#probedAtMs + PROBE_GAP_MS - performance.now());
    this.#looking = setTimeout(() => {
      this.#looking = undefined;
      // A server that is not well opens it again.
      if (this.#breaker.state !== 'closed') this.#probe().catch(() => undefined);
    }, waitMs);
    this.#looking.unref();
  }

  /** The probe is never a caller's own statement: that may be long, and all would wait for its end. */
  #probe(): Promise<void> {
    this.#probedAtMs = performance.now();
    this.#probing ??= this.#breaker
      .probe(() => this.#noting(Number.POSITIVE_INFINITY, this.#ask))
      .catch((error: unknown) => {
        throw asRecordError(error);
      })
      .finally(() => {
        this.#probing = undefined;
      });
    return this.#probing;
  }
}

/** A failure that somebody else's success has overtaken. */
class Overtaken extends Error {
  override readonly name = 'Overtaken';

  constructor(cause: unknown) {
    super('The server has answered since.', { cause });
  }
}

function isFailure(error: Error): boolean {
  return hasCode(error, 'RECORD_UNAVAILABLE') && isServerAway(error.cause);
}

function asRecordError(error: unknown): unknown {
  return error instanceof BreakerOpenError ? new AppError('RECORD_UNAVAILABLE', { cause: error }) : error;
}
