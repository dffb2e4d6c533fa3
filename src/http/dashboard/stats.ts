import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { periodOf } from '../period.ts';
import type { DashboardParts } from './parts.ts';

const instant = z.iso.datetime({ offset: true });
const query = z.object({
  tenant: z.string().min(1).max(200).optional(),
  from: instant.optional(),
  to: instant.optional(),
  timeZone: z.string().max(64).optional(),
});

/** `/dashboard/api/stats`: the figures of `GET /v1/stats` for people, of one tenant or of all. */
export function statsPage(app: FastifyInstance, { stats }: DashboardParts): void {
  app
    .withTypeProvider<ZodTypeProvider>()
    .get(
      '/dashboard/api/stats',
      { config: { access: 'viewer' }, schema: { hide: true, querystring: query } },
      async (request) => {
        const { tenant = null, from, to, timeZone } = request.query;
        return await stats.get({ tenant, ...periodOf({ from, to }), timeZone });
      },
    );
}
