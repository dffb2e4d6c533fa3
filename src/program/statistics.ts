import type { CacheService } from '../cache/index.ts';
import type { ChangedThread, WaxwingRecord } from '../record/index.ts';
import { createStats, type Statistics } from '../stats/index.ts';

export function openStatistics(record: WaxwingRecord, cache: CacheService): Statistics {
  return createStats({ store: record.stats, cache });
}

/** A dashboard of a busy tenant is read anew this often at most. */
const EVERY_MS = 1_000;

/**
 * Gathers conversations that changed, and evicts what shows them with one call for all: at once after a quiet time,
 * else once a second. So a recorder that writes thousands of messages a second costs the cache one call.
 */
export class ThreadEvictions {
  readonly #service: CacheService;
  readonly #everyMs: number;
  #tenants = new Set<string>();
  #conversations = new Set<string>();
  #lastMs = Number.NEGATIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;

  constructor(service: CacheService, everyMs = EVERY_MS) {
    this.#service = service;
    this.#everyMs = everyMs;
  }

  add(threads: readonly ChangedThread[]): void {
    for (const { tenant, conversation } of threads) {
      this.#tenants.add(tenant);
      this.#conversations.add(conversation);
    }
    if (this.#tenants.size === 0 || this.#timer !== undefined) return;
    const waitMs = Math.max(0, this.#lastMs + this.#everyMs - performance.now());
    this.#timer = setTimeout(() => void this.flush(), waitMs);
    this.#timer.unref();
  }

  /** Evicts what was gathered. Never rejects: the cache makes up for what it cannot do now. */
  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#tenants.size === 0) return;
    this.#lastMs = performance.now();
    const [tenants, conversations] = [[...this.#tenants], [...this.#conversations]];
    this.#tenants = new Set();
    this.#conversations = new Set();
    const { named, caches } = this.#service;
    await Promise.all([
      this.#service.dashboardsChanged(tenants),
      caches.tiers.evict(
        conversations.flatMap((id) => [named.conversation.key(id), named.conversationHistory.key(id)]),
      ),
    ]);
  }
}
