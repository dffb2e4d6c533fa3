import type { CacheService } from '../cache/index.ts';
import { oldestOwned, type TenantStore } from '../messages/index.ts';
import type { SenderRecord, Senders, TenantRecord, Tenants } from '../record/index.ts';

/*
 * Reads of the accept path through the caches: a process that has just started knows tenants and senders also while
 * PostgreSQL is away. Pauses are not read from here: what hangs on the very moment asks the record. Credentials and
 * API keys never leave a process, so they are in no cache but its own memory.
 */

export function cachedTenants(tenants: Tenants, { named: { salon } }: CacheService): TenantStore {
  const get = (id: string) => salon.getOrLoad([id], () => tenants.get(id)) as Promise<TenantRecord | null>;
  // What is made here is not kept by the same call: making it evicts that there was none.
  return { get, ensure: async (id) => (await get(id)) ?? (await tenants.ensure(id)) };
}

export function cachedSenders(senders: Senders, { named: { whatsappConfig, userProjects } }: CacheService) {
  return {
    get: (id: string) => whatsappConfig.getOrLoad([id], () => senders.get(id)) as Promise<SenderRecord | null>,
    oldestOwned: (tenant: string) =>
      userProjects.getOrLoad([tenant], () => oldestOwned(senders, tenant)) as Promise<SenderRecord | null>,
  };
}
