import type { CacheService } from '../cache/index.ts';
import type { ChangedThread, WaxwingRecord } from '../record/index.ts';
import { createStats, type Statistics } from '../stats/index.ts';

export function openStatistics(record: WaxwingRecord, cache: CacheService): Statistics {
  return createStats({ store: record.stats, cache });
}

/**
 * Evicts what shows conversations that changed. Dashboards of a busy tenant are read anew once a second at most. Never
 * rejects, and when it resolves nothing is lost with this process: whoever acknowledges the change does so after it.
 */
export async function evictThreads(service: CacheService, threads: readonly ChangedThread[]): Promise<void> {
  if (threads.length === 0) return;
  const { named, caches } = service;
  const tenants = new Set(threads.map(({ tenant }) => tenant));
  const conversations = new Set(threads.map(({ conversation }) => conversation));
  const keys = [...conversations].flatMap((id) => [named.conversation.key(id), named.conversationHistory.key(id)]);
  await Promise.all([service.dashboardsChangedOften([...tenants]), caches.tiers.evict(keys)]);
}
