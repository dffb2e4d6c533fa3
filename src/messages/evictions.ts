import type { Evicted } from '../cache/index.ts';
import type { Memory } from './memory.ts';

/** Evictions of all processes; gives back what ends it. `TieredCache.onEvicted` fits. */
export type Evictions = (listener: (evicted: Evicted) => void) => () => void;

/**
 * Lets a memory follow the evictions of a cache whose keys begin with `prefix`. What follows the prefix is the
 * memory's own key.
 */
export function followEvictions(
  memory: Pick<Memory<unknown>, 'expire'>,
  evictions: Evictions | undefined,
  prefix: string,
): void {
  evictions?.((evicted) => {
    if (evicted.kind === 'all') memory.expire();
    if (evicted.kind !== 'keys') return;
    for (const name of evicted.names) {
      if (name.startsWith(prefix)) memory.expire(decodeURIComponent(name.slice(prefix.length)));
    }
  });
}

/** The same for memories that know senders by another name than their id: which one a sender had before is not told. */
export function followSenders(
  memories: readonly Pick<Memory<unknown>, 'expire'>[],
  evictions: Evictions | undefined,
): void {
  evictions?.((evicted) => {
    const isSender = evicted.kind === 'keys' && evicted.names.some((name) => name.startsWith(EVICTED.sender));
    if (!isSender && evicted.kind !== 'all') return;
    for (const memory of memories) memory.expire();
  });
}

/** Beginnings of the cache keys that memories follow. */
export const EVICTED = {
  tenant: 'salon:',
  sender: 'whatsapp:config:',
  ownedByTenant: 'user:projects:',
  /** One name for all: who revokes a key does not know its hash. */
  apiKeys: 'api:keys',
} as const;
