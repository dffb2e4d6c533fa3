import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import type { Bookings } from '../../bookings/index.ts';
import { AppError } from '../../errors/app-error.ts';
import type { Tenants } from '../../messages/index.ts';
import { tenantOf } from '../../messages/principal.ts';
import { principalOf } from '../plugins/auth.ts';
import { tenantFromQuery, tenantQuery } from '../tenant-query.ts';
import { pageOf } from '../paging.ts';
import { assertUsable, changeOf, fieldsOf } from './fields.ts';
import {
  bookingBody,
  bookingList,
  bookingParams,
  bookingPatch,
  bookingSchema,
  bookingScope,
  bookingView,
} from './schemas.ts';

export interface BookingRouteOptions {
  readonly bookings: Bookings;
  readonly admin: { readonly tenants: Tenants };
}

const tags = ['bookings'];
const config = { access: 'key' } as const;

/** `/v1/bookings`. A platform key means the tenant that the request names, else `default`. */
export function bookingRoutes(app: FastifyInstance, { bookings, admin }: BookingRouteOptions): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();

  routes.post(
    '/v1/bookings',
    {
      config,
      preValidation: tenantFromQuery,
      schema: {
        tags,
        summary: 'Book, with reminders',
        description:
          "Reminders go out on the customer's clock and outside QUIET_HOURS. One whose time has passed is `skipped`.",
        querystring: tenantQuery,
        body: bookingBody,
        response: { 201: bookingSchema },
      },
    },
    async (request, reply) => {
      const { tenant: named, id, reminders } = request.body;
      const tenant = (await admin.tenants.resolve(tenantOf(principalOf(request), named))).id;
      const fields = fieldsOf(request.body);
      assertUsable(tenant, fields);
      if (fields.startsAtMs <= Date.now()) {
        throw new AppError('REQUEST_INVALID', { field: 'serviceDate', detail: 'It must be in the future.' });
      }
      return reply.code(201).send(bookingView(await bookings.create(tenant, id, fields, reminders)));
    },
  );

  routes.get(
    '/v1/bookings',
    {
      config,
      schema: {
        tags,
        summary: 'List bookings by their time',
        querystring: bookingList,
        response: { 200: pageOf(bookingSchema) },
      },
    },
    async (request) => {
      const { tenant: named, from, to, ...query } = request.query;
      const page = await bookings.list(tenantOf(principalOf(request), named), {
        ...query,
        ...(from === undefined ? {} : { fromMs: Date.parse(from) }),
        ...(to === undefined ? {} : { toMs: Date.parse(to) }),
      });
      return { items: page.items.map(bookingView), next: page.next };
    },
  );

  routes.get(
    '/v1/bookings/:id',
    {
      config,
      schema: {
        tags,
        summary: 'Read a booking',
        params: bookingParams,
        querystring: bookingScope,
        response: { 200: bookingSchema },
      },
    },
    async (request) => {
      const tenant = tenantOf(principalOf(request), request.query.tenant);
      return bookingView(await bookings.get(tenant, request.params.id));
    },
  );

  routes.patch(
    '/v1/bookings/:id',
    {
      config,
      schema: {
        tags,
        summary: 'Change a booking',
        description:
          'Reminders move along. Who was reminded of the old time is reminded of the new one too; who has a new number ' +
          'gets there what was last sent to the old one.',
        params: bookingParams,
        querystring: bookingScope,
        body: bookingPatch,
        response: { 200: bookingSchema },
      },
    },
    async (request) => {
      const tenant = tenantOf(principalOf(request), request.body.tenant ?? request.query.tenant);
      const { id } = request.params;
      const before = await bookings.get(tenant, id);
      const change = changeOf(request.body);
      assertUsable(tenant, { ...before, ...change });
      return bookingView(await bookings.change(tenant, id, change, request.body.reminders));
    },
  );

  routes.delete(
    '/v1/bookings/:id',
    {
      config,
      schema: {
        tags,
        summary: 'Cancel a booking',
        description: 'Removes its reminders. Safe to repeat.',
        params: bookingParams,
        querystring: bookingScope,
        response: { 200: bookingSchema },
      },
    },
    async (request) => {
      const tenant = tenantOf(principalOf(request), request.query.tenant);
      return bookingView(await bookings.cancel(tenant, request.params.id));
    },
  );
}
