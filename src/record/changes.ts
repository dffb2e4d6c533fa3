import type { ApiKeys } from './api-keys.ts';
import type { Senders } from './senders.ts';
import type { Tenants } from './tenants.ts';

/**
 * Hears of what changed in the record, after it was committed and before the writer's caller goes on. The one place
 * where caches learn that they are old. None of these may reject: the change has happened.
 */
export interface RecordChanges {
  tenant(id: string): Promise<void>;
  sender(change: { readonly id: string; readonly tenant: string | null }): Promise<void>;
  apiKey(id: string): Promise<void>;
}

/** The writers of tenants, senders and keys, with every change told. */
export function announced(
  stores: { readonly tenants: Tenants; readonly senders: Senders; readonly apiKeys: ApiKeys },
  changes: RecordChanges,
): { readonly tenants: Tenants; readonly senders: Senders; readonly apiKeys: ApiKeys } {
  const { tenants, senders, apiKeys } = stores;
  const told = async <T extends { readonly id: string; readonly tenant: string | null }>(sender: T | null) => {
    if (sender !== null) await changes.sender(sender);
    return sender;
  };
  return {
    tenants: {
      ...tenants,
      // Not `ensure`: what it makes was in no cache, and what is there it does not change.
      async create(tenant) {
        const made = await tenants.create(tenant);
        await changes.tenant(made.id);
        return made;
      },
      async patch(id, fields) {
        const changed = await tenants.patch(id, fields);
        if (changed !== null) await changes.tenant(id);
        return changed;
      },
    },
    senders: {
      ...senders,
      async create(sender) {
        const made = await senders.create(sender);
        await changes.sender(made);
        return made;
      },
      async ensure(sender) {
        const made = await senders.ensure(sender);
        await changes.sender(made);
        return made;
      },
      patch: async (id, fields) => told(await senders.patch(id, fields)),
    },
    apiKeys: {
      ...apiKeys,
      async create(key) {
        const made = await apiKeys.create(key);
        await changes.apiKey(made.id);
        return made;
      },
      async revoke(id) {
        const revoked = await apiKeys.revoke(id);
        if (revoked !== null) await changes.apiKey(id);
        return revoked;
      },
    },
  };
}
