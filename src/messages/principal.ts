import { AppError } from '../errors/app-error.ts';

/** Who asks: the product's own backend, which acts for every tenant, or one tenant. */
export type Principal = { readonly kind: 'platform' } | { readonly kind: 'tenant'; readonly tenant: string };

/** The tenant that a request of the platform key means when it names none. */
export const DEFAULT_TENANT = 'default';

/**
 * The tenant that a new message belongs to.
 * @throws AppError `FORBIDDEN` when a tenant key names another tenant
 */
export function tenantOf(principal: Principal, named: string | undefined): string {
  if (principal.kind === 'platform') return named ?? DEFAULT_TENANT;
  assertOwn(principal, named);
  return principal.tenant;
}

/**
 * The tenant that a read is limited to; null = all of them.
 * @throws AppError `FORBIDDEN` when a tenant key names another tenant
 */
export function scopeOf(principal: Principal, named: string | undefined): string | null {
  if (principal.kind === 'platform') return named ?? null;
  assertOwn(principal, named);
  return principal.tenant;
}

function assertOwn(principal: { readonly tenant: string }, named: string | undefined): void {
  if (named === undefined || named === principal.tenant) return;
  throw new AppError('FORBIDDEN', {
    detail: 'This key belongs to one tenant: leave out the field tenant, or name that tenant.',
    field: 'tenant',
  });
}
