import { LRUCache } from 'lru-cache';
import { AppError } from '../errors/app-error.ts';
import { nullWhileAway } from '../errors/while-away.ts';
import type { Claim, Direct, DirectKey } from '../record/index.ts';

const DAY_MS = 24 * 3_600_000;
const KEPT_MAX = 100_000;

/** What became of the first call under a key. */
export type FirstEnd =
  | {
      readonly kind: 'sent';
      readonly messageId: string;
      readonly providerMessageId: string;
      readonly attempts: number;
      readonly sentAt: string;
    }
  /** What the first caller was told. */
  | { readonly kind: 'told'; readonly messageId: string; readonly error: unknown }
  /** Another process claimed the key, at this monotonic time; the record knows the message once it has ended there. */
  | { readonly kind: 'elsewhere'; readonly messageId: string; readonly claimedAtMs: number };

export type KeyClaim =
  | {
      readonly kind: 'first';
      /**
       * Must be called once: repetitions wait for it.
       * @param keeps false = certainly not sent, so that the key is free again
       */
      end(end: FirstEnd, keeps: boolean): Promise<void>;
    }
  /** Resolves when the first call has ended. Never rejects. */
  | { readonly kind: 'repeated'; readonly first: Promise<FirstEnd> }
  | { readonly kind: 'other-body' };

interface Known {
  readonly bodyDigest: Buffer;
  readonly first: Promise<FirstEnd>;
  /** Another process has the key: it is asked for again each time, as long as PostgreSQL answers. */
  readonly isElsewhere: boolean;
}

/**
 * Idempotency keys of direct sends: in PostgreSQL for all processes, and in this process for when PostgreSQL is away
 * too. The newest 100,000 are kept here, each with what became of its first call or with the call that is under way.
 */
export class DirectKeys {
  readonly #stored: Pick<Direct, 'claim' | 'release'>;
  readonly #own = new LRUCache<string, Known>({ max: KEPT_MAX, ttl: DAY_MS });
  /** Keys that PostgreSQL could not take back, with the message that was certainly not sent. */
  readonly #unreleased = new LRUCache<string, DirectKey>({ max: KEPT_MAX, ttl: DAY_MS });

  constructor(stored: Pick<Direct, 'claim' | 'release'>) {
    this.#stored = stored;
  }

  async claim(key: DirectKey): Promise<KeyClaim> {
    const name = nameOf(key);
    const before = this.#own.get(name);
    if (before?.isElsewhere === false) {
      if (!before.bodyDigest.equals(key.bodyDigest)) return { kind: 'other-body' };
      return { kind: 'repeated', first: before.first };
    }
    const { promise: first, resolve } = withResolve<FirstEnd>();
    const known: Known = { bodyDigest: key.bodyDigest, first, isElsewhere: false };
    // Before anything is awaited: two calls at once must not both be the first.
    this.#own.set(name, known);
    const forget = () => {
      if (this.#own.get(name) === known) this.#own.delete(name);
    };
    let claim: Claim | null;
    try {
      claim = await this.#claimStored(name, key);
    } catch (error) {
      forget();
      resolve({ kind: 'told', messageId: key.messageId, error });
      throw error;
    }
    if (claim === null && before !== undefined) {
      this.#own.set(name, before);
      resolve(await before.first);
      return before.bodyDigest.equals(key.bodyDigest) ? { kind: 'repeated', first } : { kind: 'other-body' };
    }
    if (claim?.isOtherBody === true) {
      forget();
      const error = new AppError('IDEMPOTENCY_KEY_REUSED');
      resolve({ kind: 'told', messageId: key.messageId, error });
      return { kind: 'other-body' };
    }
    if (claim?.isFirst === false) {
      this.#own.set(name, { ...known, isElsewhere: true });
      resolve({ kind: 'elsewhere', messageId: claim.messageId, claimedAtMs: performance.now() - claim.ageMs });
      return { kind: 'repeated', first };
    }
    return {
      kind: 'first',
      end: async (end, keeps) => {
        try {
          // Repetitions hear of it afterwards, so that one who tries again at once finds the key free.
          if (!keeps) await this.#free(name, key, known);
        } finally {
          resolve(end);
        }
      },
    };
  }

  /** Null while PostgreSQL is away. */
  async #claimStored(name: string, key: DirectKey): Promise<Claim | null> {
    const claim = await nullWhileAway(this.#stored.claim(key));
    const unreleased = this.#unreleased.get(name);
    if (claim === null || unreleased === undefined) return claim;
    const isOurs = claim.messageId === unreleased.messageId;
    // Away once more: it is still known here that the key is free.
    if (isOurs && !(await this.#release(unreleased))) return null;
    this.#unreleased.delete(name);
    return isOurs ? await nullWhileAway(this.#stored.claim(key)) : claim;
  }

  async #free(name: string, key: DirectKey, known: Known): Promise<void> {
    if (this.#own.get(name) === known) this.#own.delete(name);
    // One that stands there already is what the record has; this one was never written.
    if (!(await this.#release(key)) && !this.#unreleased.has(name)) this.#unreleased.set(name, key);
  }

  async #release(key: DirectKey): Promise<boolean> {
    return (await nullWhileAway(this.#stored.release(key).then(() => true))) ?? false;
  }
}

function nameOf({ tenant, sender, key }: DirectKey): string {
  return JSON.stringify([tenant, sender, key]);
}

function withResolve<T>(): { readonly promise: Promise<T>; readonly resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => undefined;
  const promise = new Promise<T>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}
