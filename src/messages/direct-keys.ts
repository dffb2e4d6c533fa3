import { LRUCache } from 'lru-cache';
import { AppError } from '../errors/app-error.ts';
import type { Claim, Direct, DirectKey } from '../record/index.ts';

const DAY_MS = 24 * 3_600_000;

interface Known {
  readonly messageId: string;
  readonly bodyDigest: Buffer;
}

/**
 * Idempotency keys of direct sends: in PostgreSQL for all processes, and in this process for when PostgreSQL is away
 * too. The newest 100,000 are kept here.
 */
export class DirectKeys {
  readonly #stored: Pick<Direct, 'claim' | 'release'>;
  readonly #own = new LRUCache<string, Known>({ max: 100_000, ttl: DAY_MS });

  constructor(stored: Pick<Direct, 'claim' | 'release'>) {
    this.#stored = stored;
  }

  async claim(key: DirectKey): Promise<Claim> {
    const name = nameOf(key);
    const known = this.#own.get(name);
    if (known !== undefined) {
      return { messageId: known.messageId, isFirst: false, isOtherBody: !known.bodyDigest.equals(key.bodyDigest) };
    }
    // Before anything is awaited: two calls at once must not both be the first.
    this.#own.set(name, key);
    const claim = await orNull(this.#stored.claim(key));
    if (claim === null || claim.isFirst) return { messageId: key.messageId, isFirst: true, isOtherBody: false };
    if (claim.isOtherBody) this.#own.delete(name);
    else this.#own.set(name, { messageId: claim.messageId, bodyDigest: key.bodyDigest });
    return claim;
  }

  async release(key: DirectKey): Promise<void> {
    const name = nameOf(key);
    if (this.#own.get(name)?.messageId === key.messageId) this.#own.delete(name);
    await orNull(this.#stored.release(key));
  }
}

function nameOf({ tenant, sender, key }: DirectKey): string {
  return JSON.stringify([tenant, sender, key]);
}

async function orNull<T>(asked: Promise<T>): Promise<T | null> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof AppError && error.code === 'RECORD_UNAVAILABLE') return null;
    throw error;
  }
}
