import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { DEFAULT_TENANT } from '../../messages/principal.ts';
import { TEMPLATE_CATEGORIES } from '../../providers/template-provider.ts';
import { audit } from '../admin-options.ts';
import { pageQuery } from '../paging.ts';
import { draftOf } from '../templates/draft.ts';
import { previewBody, templateBody, templateParams, templateView } from '../templates/schemas.ts';
import type { DashboardParts } from './parts.ts';

const listQuery = pageQuery.extend({
  tenant: z.string().max(200).optional(),
  status: z.string().max(64).optional(),
  category: z.enum(TEMPLATE_CATEGORIES).optional(),
  search: z.string().trim().max(200).optional(),
});
const syncBody = z.strictObject({ sender: z.string().min(1).max(200) });

/**
 * Templates for people. Their texts are the product's own and go to many: nothing of them is masked. Everybody who is
 * signed in reads, operators take over what the provider has, admins make new ones.
 */
export function templatePages(app: FastifyInstance, { templates, admin }: DashboardParts): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();
  const read = { access: 'viewer' } as const;

  routes.get(
    '/dashboard/api/templates',
    { config: read, schema: { hide: true, querystring: listQuery } },
    async (request) => {
      const { tenant = null, ...query } = request.query;
      const page = await templates.list({ ...query, tenant });
      return { items: page.items.map(templateView), next: page.next };
    },
  );

  routes.get(
    '/dashboard/api/templates/:id',
    { config: read, schema: { hide: true, params: templateParams } },
    async (request) => templateView(await templates.get(null, request.params.id)),
  );

  routes.post(
    '/dashboard/api/templates/:id/preview',
    { config: read, schema: { hide: true, params: templateParams, body: previewBody } },
    async (request) => await templates.preview(null, request.params.id, request.body.variables),
  );

  routes.post(
    '/dashboard/api/templates/sync',
    { config: { access: 'operator' }, schema: { hide: true, body: syncBody } },
    async (request) => {
      const { sender } = request.body;
      const result = await templates.sync(sender);
      await audit(admin, request, { action: 'templates.sync', target: sender, detail: { ...result } });
      return result;
    },
  );

  routes.post(
    '/dashboard/api/templates',
    { config: { access: 'admin' }, schema: { hide: true, body: templateBody } },
    async (request, reply) => {
      const { tenant = null, sender: named } = request.body;
      const { id: sender } = await admin.senders.choose(tenant ?? DEFAULT_TENANT, named);
      const made = await templates.create(tenant, sender, draftOf(request.body));
      await audit(admin, request, { action: 'templates.create', target: made.id, tenant, detail: { key: made.key } });
      return reply.code(201).send(templateView(made));
    },
  );
}
