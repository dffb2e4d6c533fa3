import { createMemory, EVICTED, type Evictions, type Principal } from '../../messages/index.ts';
import { equalSecrets, sha256 } from './secrets.ts';

/** Keys as the record knows them: by their SHA-256. */
export interface ApiKeyStore {
  /**
   * Null for a key that does not exist or was revoked; `tenant` null = acts for every tenant. One that has a successor
   * ends at `expiresAtMs`.
   */
  verify(hash: Buffer): Promise<{ readonly tenant: string | null; readonly expiresAtMs?: number | null } | null>;
}

export interface ApiKeyCheck {
  /** @returns who the key belongs to, or null. @throws AppError `RECORD_UNAVAILABLE` when that cannot be known now */
  (key: string): Promise<Principal | null>;
}

interface Known {
  readonly principal: Principal;
  /** Epoch ms; null = it does not end by itself. */
  readonly expiresAtMs: number | null;
}

/** A revoked key ends within this time in every process. */
const FRESH_MS = 5000;

/**
 * Checks platform and tenant keys. The platform key of the settings needs no record. A tenant key that was seen
 * before goes on working while the record is away, until its own end: nobody can have revoked it meanwhile.
 */
export function createApiKeyCheck(options: {
  readonly platformKey: string;
  readonly store: ApiKeyStore;
  /** A key that is revoked elsewhere ends at once; without, within five seconds. */
  readonly evictions?: Evictions | undefined;
  /** Monotonic clock, ms. */
  readonly now?: () => number;
  /** Wall clock, epoch ms. */
  readonly wallNow?: () => number;
}): ApiKeyCheck {
  const { wallNow = Date.now } = options;
  // Usable no longer than fresh: an old entry is never served before the record was asked.
  const memory = createMemory<Known>({
    freshMs: FRESH_MS,
    usableMs: FRESH_MS,
    ...(options.now === undefined ? {} : { now: options.now }),
  });
  // Forgotten and not only asked again: a revoked key must not serve while the record is away.
  options.evictions?.((evicted) => {
    if (evicted.kind === 'all') memory.expire();
    if (evicted.kind === 'keys' && evicted.names.includes(EVICTED.apiKeys)) memory.clear();
  });
  return async (key) => {
    if (equalSecrets(key, options.platformKey)) return { kind: 'platform' };
    const hash = sha256(key);
    const known = await memory.get(hash.toString('base64'), async () => {
      const found = await options.store.verify(hash);
      if (found === null) return null;
      const { tenant, expiresAtMs = null } = found;
      return { principal: tenant === null ? { kind: 'platform' } : { kind: 'tenant', tenant }, expiresAtMs };
    });
    const hasEnded = (known?.expiresAtMs ?? Infinity) <= wallNow();
    return known === null || hasEnded ? null : known.principal;
  };
}
