import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { bookingView } from '../bookings/schemas.ts';
import { failureQuery, failureView } from '../failures/schemas.ts';
import { pageQuery } from '../paging.ts';
import { periodOf } from '../period.ts';
import { maskFailure } from '../failures/mask.ts';
import { maskPerson, orNull } from '../mask.ts';
import { seesAll } from './reveal.ts';
import type { DashboardParts } from './parts.ts';

const config = { access: 'viewer' } as const;
const bookingQuery = pageQuery.extend({
  tenant: z.string().min(1).max(200).optional(),
  status: z.enum(['active', 'cancelled']).optional(),
  reminder: z.enum(['scheduled', 'sent', 'cancelled', 'skipped', 'failed']).optional(),
  when: z.enum(['coming', 'past', 'all']).default('coming'),
});

/** The failure record and bookings, masked unless an admin asked to see them. */
export function otherReads(app: FastifyInstance, { record, secret }: DashboardParts): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();

  routes.get(
    '/dashboard/api/failures',
    { config, schema: { hide: true, querystring: failureQuery } },
    async (request) => {
      const { from, to, ...filter } = request.query;
      const page = await record.failures.list({ ...filter, ...periodOf({ from, to }) });
      const isClear = seesAll(request, secret);
      return {
        items: page.items.map((failure) => {
          const view = failureView(failure);
          return { ...(isClear ? view : maskFailure(view)), tenant: view.metadata['tenant'] ?? null };
        }),
        next: page.next,
      };
    },
  );

  routes.get(
    '/dashboard/api/bookings',
    { config, schema: { hide: true, querystring: bookingQuery } },
    async (request) => {
      const { when, ...query } = request.query;
      const nowMs = Date.now();
      const range = {
        coming: { fromMs: nowMs },
        past: { toMs: nowMs, isNewestFirst: true },
        all: { isNewestFirst: true },
      };
      const page = await record.bookings.search({ ...query, ...range[when] });
      const isClear = seesAll(request, secret);
      return {
        items: page.items.map((booking) => {
          const { id, tenant, customerPhone, customerName, serviceName, serviceDate, status, reminders } =
            bookingView(booking);
          return {
            ...{ id, tenant, serviceName, serviceDate, status, reminders },
            customerPhone: isClear ? customerPhone : maskPerson(customerPhone),
            customerName: isClear ? customerName : orNull(customerName, maskPerson),
          };
        }),
        next: page.next,
      };
    },
  );
}
