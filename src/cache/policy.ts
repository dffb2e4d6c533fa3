/** How the values of one kind are kept. */
export interface CachePolicy {
  /** How long a value is used as it is, s; up to a tenth less, so that values of one moment do not end together. */
  readonly ttlSeconds: number;
  /** How long after that it may serve while its source is down, s. Default 0. */
  readonly staleSeconds?: number;
  /** How long "there is none" (null) is believed, s. Default 0: not kept. */
  readonly nullTtlSeconds?: number;
  /** Of the value's shape: change it with the shape, and no process reads yesterday's. Default `1`. No `|`. */
  readonly version?: string;
  /** Is this error "the source is down", for which an old value may serve. Default: any error that says `retryable`. */
  readonly isSourceDown?: (error: unknown) => boolean;
}

/** Redis takes more, but a cache that holds for longer than this is a store. */
const TTL_SECONDS_MAX = 30 * 86_400;
const JITTER = 0.1;

/** @throws RangeError for a time that is none */
export function assertTtl(seconds: number): void {
  if (!(Number.isFinite(seconds) && seconds > 0 && seconds <= TTL_SECONDS_MAX)) {
    throw new RangeError(`A TTL is more than 0 and at most ${TTL_SECONDS_MAX} seconds; got ${seconds}.`);
  }
}

/** @param random 0 … 1 */
export function jittered(seconds: number, random: number): number {
  return Math.max(1, Math.round(seconds * 1000 * (1 - JITTER * random)));
}

export function isRetryable(error: unknown): boolean {
  return error instanceof Error && 'retryable' in error && error.retryable === true;
}
