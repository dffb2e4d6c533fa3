import type { TenantLimits } from '../engine/contract.ts';
import { AppError } from '../errors/app-error.ts';
import type { TenantRecord } from '../record/types.ts';
import { EVICTED, type Evictions, followEvictions } from './evictions.ts';
import { createMemory } from './memory.ts';
import type { TenantStore } from './ports.ts';

export interface TenantsOptions {
  readonly store: TenantStore;
  /** TENANT_AUTO_CREATE: create a tenant when it is named for the first time. */
  readonly autoCreate: boolean;
  /** Changes of other processes count at once; without, within seconds. */
  readonly evictions?: Evictions | undefined;
  /** Hears of each tenant that memory knew. */
  readonly onRemembered?: (id: string) => void;
}

/** Tenants as the accept path sees them: from memory, also while the record is away. */
export interface Tenants {
  /**
   * @throws AppError `NOT_FOUND` for an unknown tenant when none is created by itself; `RECORD_UNAVAILABLE` when the
   *   record is away and this process has never seen the tenant, because its limits are then unknown
   */
  resolve(id: string): Promise<TenantRecord>;
  /** The tenant, never created; null when there is none. @throws AppError `RECORD_UNAVAILABLE` as `resolve()` */
  known(id: string): Promise<TenantRecord | null>;
  /** Makes a change of this process count at once. */
  changed(tenant: TenantRecord): void;
}

export function createTenants({ store, autoCreate, evictions, onRemembered }: TenantsOptions): Tenants {
  const memory = createMemory<TenantRecord>({ ...(onRemembered && { onHit: onRemembered }) });
  followEvictions(memory, evictions, EVICTED.tenant);
  return {
    async resolve(id) {
      const found = await memory.get(id, () => (autoCreate ? store.ensure(id) : store.get(id)));
      // None although it would have been created: `known()` has asked just before, or asks at this moment.
      const tenant = found ?? (autoCreate ? await store.ensure(id) : null);
      if (tenant !== null) {
        if (found === null) memory.set(id, tenant);
        return tenant;
      }
      throw new AppError('NOT_FOUND', {
        detail: 'There is no such tenant; create it through POST /admin/tenants, or set TENANT_AUTO_CREATE=true.',
        field: 'tenant',
      });
    },
    known: (id) => memory.get(id, () => store.get(id)),
    changed(tenant) {
      memory.set(tenant.id, tenant);
      // Somebody may have changed it again meanwhile: it serves while the record is away.
      memory.expire(tenant.id);
    },
  };
}

export function limitsOf({ concurrency, weight, backlogMax }: TenantRecord): TenantLimits {
  return { concurrency, weight, backlogMax };
}
