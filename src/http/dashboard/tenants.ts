import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { byLoad, type LiveTenant } from '../../observe/index.ts';
import type { TenantName } from '../../record/index.ts';
import { keptNames } from './names.ts';
import type { DashboardParts } from './parts.ts';

const query = z.object({
  search: z.string().trim().max(200).default(''),
  only: z.enum(['all', 'waiting', 'paused']).default('all'),
  page: z.coerce.number().int().min(0).max(10_000).default(0),
});
const PAGE = 50;
/** A list for people; beyond this many the search finds nobody, and the answer says so. */
const TENANTS_MAX = 100_000;

/** `/dashboard/api/tenants`: all tenants with what they have in the queue, those with the most waiting first. */
export function tenantReads(app: FastifyInstance, { live, record }: DashboardParts): void {
  const known = keptNames<TenantName>(app, '/admin/tenants', () => record.tenants.names(TENANTS_MAX));

  app
    .withTypeProvider<ZodTypeProvider>()
    .get(
      '/dashboard/api/tenants',
      { config: { access: 'viewer' }, schema: { hide: true, querystring: query } },
      async (request) => {
        const { search, only, page } = request.query;
        const [all, busy] = await Promise.all([known(), live.tenants()]);
        const wanted = search.toLowerCase();
        const rows = all
          .filter(({ id, name }) => wanted === '' || `${id}\n${name}`.toLowerCase().includes(wanted))
          .map((tenant) => ({ ...(busy.get(tenant.id) ?? nothing(tenant.id)), ...tenant }))
          .filter(
            (row) =>
              only === 'all' ||
              (only === 'paused'
                ? row.pausedReason !== null || row.isPaused
                : row.waiting + row.inFlight + row.parked > 0),
          )
          .sort(byLoad);
        const shown = rows.slice(page * PAGE, (page + 1) * PAGE);
        const waiting = shown.filter((row) => row.waiting > 0).map(({ id }) => id);
        const oldest = waiting.length === 0 ? [] : await record.totals.oldestWaiting({ tenants: waiting, limit: PAGE });
        const since = new Map(oldest.map(({ tenant, createdAtMs }) => [tenant, createdAtMs]));
        return {
          items: shown.map((row) => ({ ...row, oldestAtMs: since.get(row.id) ?? null })),
          total: rows.length,
          page,
          pageSize: PAGE,
          isCut: all.length >= TENANTS_MAX,
        };
      },
    );
}

function nothing(id: string): LiveTenant {
  return { id, waiting: 0, parked: 0, inFlight: 0, concurrency: 0, isPaused: false };
}
