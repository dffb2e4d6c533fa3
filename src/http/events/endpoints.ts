import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { AppError } from '../../errors/app-error.ts';
import { DEFAULT_ENDPOINT, type WaxwingRecord } from '../../record/index.ts';
import { audit, type AdminOptions } from '../admin-options.ts';
import { endpointParams, endpointSchema, endpointView } from './schemas.ts';

interface EndpointRouteOptions {
  readonly admin: AdminOptions;
  readonly eventsOut: WaxwingRecord['eventsOut'];
  /** What signs for a receiver, the newest first. */
  readonly secretsOf: (endpoint: string) => readonly string[];
}

const tags = ['events'];

/** `/admin/events/endpoints`: who receives events, what signs for them, and to begin again after a pause. */
export function endpointRoutes(app: FastifyInstance, { admin, eventsOut, secretsOf }: EndpointRouteOptions): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();
  const refuseUnknown = async (id: string): Promise<void> => {
    if ((await admin.record.tenants.get(id)) !== null) return;
    throw new AppError('NOT_FOUND', { detail: 'There is no tenant with this id.' });
  };

  routes.get(
    '/admin/events/endpoints',
    {
      config: { access: 'viewer' },
      schema: {
        tags,
        summary: 'List receivers of events',
        response: { 200: z.object({ items: z.array(endpointSchema) }) },
      },
    },
    async () => ({ items: (await eventsOut.endpoints()).map(endpointView) }),
  );

  routes.get(
    '/admin/events/endpoints/:id/secret',
    {
      config: { access: 'admin' },
      schema: {
        tags,
        summary: "Read the secrets that sign a receiver's events",
        description: 'The first one is the newest. Each tenant with an address of its own has its own.',
        params: endpointParams,
        response: { 200: z.object({ secrets: z.array(z.string()) }) },
      },
    },
    async (request) => {
      const { id } = request.params;
      if (id === DEFAULT_ENDPOINT) {
        throw new AppError('FORBIDDEN', {
          detail: 'Events to EVENTS_URL are signed with EVENTS_SECRET, which is not shown.',
        });
      }
      await refuseUnknown(id);
      await audit(admin, request, { action: 'events.secret.read', target: id, tenant: id, detail: {} });
      return { secrets: [...secretsOf(id)] };
    },
  );

  routes.post(
    '/admin/events/endpoints/:id/enable',
    {
      config: { access: 'operator' },
      schema: {
        tags,
        summary: 'Send events to a receiver again that was disabled',
        description: 'What became a dead letter meanwhile is sent again by a replay.',
        params: endpointParams,
        response: { 200: z.object({ id: z.string(), enabled: z.boolean() }) },
      },
    },
    async (request) => {
      const { id } = request.params;
      const enabled = await eventsOut.enable(id);
      if (!enabled && id !== DEFAULT_ENDPOINT) await refuseUnknown(id);
      if (!enabled) throw new AppError('CONFLICT', { detail: 'This receiver is not disabled.' });
      await audit(admin, request, { action: 'events.enable', target: id, detail: {} });
      return { id, enabled };
    },
  );
}
