import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { AppError } from '../../errors/app-error.ts';
import { limitsOf, usableSenders } from '../../messages/index.ts';
import type { TenantRecord } from '../../record/types.ts';
import { audit, type AdminOptions } from '../admin-options.ts';
import { idParams } from '../messages/schemas.ts';
import { pageOf, pageQuery } from '../paging.ts';
import { createdTenantSchema, pauseBody, tenantBody, tenantPatch, tenantSchema, tenantView } from './schemas.ts';

const tags = ['administration'];

/** `/admin/tenants`. */
export function tenantRoutes(app: FastifyInstance, options: AdminOptions): void {
  const { record, queue, tenants } = options;
  const routes = app.withTypeProvider<ZodTypeProvider>();
  const view = (tenant: TenantRecord) => tenantView(tenant, options.isOnQueue);

  /** Told now, to whoever sets it, and not by events that die later. Each call checks again where its name leads. */
  function checkEventsUrl(url: string | null | undefined): void {
    const fault = url == null ? null : options.eventsUrlFault(url);
    if (fault !== null) throw new AppError('REQUEST_INVALID', { field: 'eventsUrl', detail: fault });
  }

  routes.get(
    '/admin/tenants',
    {
      config: { access: 'viewer' },
      schema: { tags, summary: 'List tenants', querystring: pageQuery, response: { 200: pageOf(tenantSchema) } },
    },
    async (request) => {
      const page = await record.tenants.list(request.query);
      return { items: page.items.map(view), next: page.next };
    },
  );

  routes.get(
    '/admin/tenants/:id',
    {
      config: { access: 'viewer' },
      schema: { tags, summary: 'Read a tenant', params: idParams, response: { 200: tenantSchema } },
    },
    async (request) => view(existing(await record.tenants.get(request.params.id))),
  );

  routes.post(
    '/admin/tenants',
    {
      config: { access: 'admin' },
      schema: {
        tags,
        summary: 'Create a tenant',
        description: 'The answer holds its key, once.',
        body: tenantBody,
        response: { 201: createdTenantSchema },
      },
    },
    async (request, reply) => {
      checkEventsUrl(request.body.eventsUrl);
      const tenant = await record.tenants.create(request.body);
      const { key } = await record.apiKeys.create({ tenant: tenant.id, name: 'first key' });
      tenants.changed(tenant);
      await audit(options, request, { action: 'tenant.create', target: tenant.id, tenant: tenant.id });
      return reply.code(201).send({ ...view(tenant), key });
    },
  );

  routes.patch(
    '/admin/tenants/:id',
    {
      config: { access: 'admin' },
      schema: {
        tags,
        summary: 'Change a tenant',
        params: idParams,
        body: tenantPatch,
        response: { 200: tenantSchema },
      },
    },
    async (request) => {
      checkEventsUrl(request.body.eventsUrl);
      const tenant = existing(await record.tenants.patch(request.params.id, request.body));
      tenants.changed(tenant);
      await onEverySender(tenant, (sender) => queue.configureTenant(sender, tenant.id, limitsOf(tenant)));
      const detail = { fields: Object.keys(request.body) };
      await audit(options, request, { action: 'tenant.change', target: tenant.id, tenant: tenant.id, detail });
      return view(tenant);
    },
  );

  routes.post(
    '/admin/tenants/:id/pause',
    {
      config: { access: 'operator' },
      schema: {
        tags,
        summary: 'Hold what a tenant sends',
        description: 'Messages are still accepted, and wait.',
        params: idParams,
        body: pauseBody,
        response: { 200: tenantSchema },
      },
    },
    async (request) => {
      const reason = request.body?.reason ?? 'paused by an operator';
      const tenant = existing(await record.tenants.patch(request.params.id, { pausedReason: reason }));
      tenants.changed(tenant);
      await onEverySender(tenant, (sender) => queue.pauseTenant(sender, tenant.id));
      await audit(options, request, {
        action: 'tenant.pause',
        target: tenant.id,
        tenant: tenant.id,
        detail: { reason },
      });
      return view(tenant);
    },
  );

  routes.post(
    '/admin/tenants/:id/resume',
    {
      config: { access: 'operator' },
      schema: { tags, summary: 'Let a tenant send again', params: idParams, response: { 200: tenantSchema } },
    },
    async (request) => {
      const tenant = existing(await record.tenants.patch(request.params.id, { pausedReason: null }));
      tenants.changed(tenant);
      await onEverySender(tenant, (sender) => queue.resumeTenant(sender, tenant.id));
      await audit(options, request, { action: 'tenant.resume', target: tenant.id, tenant: tenant.id });
      return view(tenant);
    },
  );

  async function onEverySender(tenant: TenantRecord, act: (sender: string) => Promise<void>): Promise<void> {
    for await (const sender of usableSenders(record.senders, tenant.id)) {
      await options.senders.knowing(() => act(sender.id));
    }
  }
}

function existing(tenant: TenantRecord | null): TenantRecord {
  if (tenant === null) throw new AppError('NOT_FOUND', { detail: 'There is no such tenant.' });
  return tenant;
}
