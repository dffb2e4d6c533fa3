import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { AppError } from '../../errors/app-error.ts';
import type { Senders } from '../../messages/index.ts';
import { DEFAULT_TENANT, scopeOf } from '../../messages/principal.ts';
import type { TemplateRegistry } from '../../templates/index.ts';
import { pageOf } from '../paging.ts';
import { principalOf } from '../plugins/auth.ts';
import { tenantFromQuery, tenantQuery } from '../tenant-query.ts';
import { draftOf } from './draft.ts';
import {
  previewAnswer,
  previewBody,
  syncAnswer,
  syncBody,
  templateBody,
  templateList,
  templateParams,
  templateSchema,
  templateScope,
  templateView,
} from './schemas.ts';

export interface TemplateRouteOptions {
  readonly templates: TemplateRegistry;
  readonly admin: { readonly senders: Pick<Senders, 'choose'> };
}

const tags = ['templates'];
const config = { access: 'key' } as const;

/** `/v1/templates`. A tenant sees its own and the platform's; it makes them in accounts of its own senders only. */
export function templateRoutes(app: FastifyInstance, { templates, admin }: TemplateRouteOptions): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();

  /** The sender whose account is meant. What all tenants share, only the platform changes. */
  async function senderOf(request: FastifyRequest, tenant: string | null, named: string | undefined) {
    const sender = await admin.senders.choose(tenant ?? DEFAULT_TENANT, named);
    if (principalOf(request).kind === 'tenant' && sender.tenant !== tenant) {
      const detail = 'The account of this sender is shared: ask whoever runs this service to make the template.';
      throw new AppError('FORBIDDEN', { field: 'sender', detail });
    }
    return sender.id;
  }

  routes.get(
    '/v1/templates',
    {
      config,
      schema: {
        tags,
        summary: 'List templates',
        querystring: templateList,
        response: { 200: pageOf(templateSchema) },
      },
    },
    async (request) => {
      const { tenant, ...query } = request.query;
      const page = await templates.list({ ...query, tenant: scopeOf(principalOf(request), tenant) });
      return { items: page.items.map(templateView), next: page.next };
    },
  );

  routes.post(
    '/v1/templates',
    {
      config,
      preValidation: tenantFromQuery,
      schema: {
        tags,
        summary: 'Make a template and hand it in for approval',
        description: 'One whose answer was lost stays `DRAFT`; the same request tries again.',
        querystring: tenantQuery,
        body: templateBody,
        response: { 201: templateSchema },
      },
    },
    async (request, reply) => {
      const tenant = scopeOf(principalOf(request), request.body.tenant ?? undefined);
      const id = await senderOf(request, tenant, request.body.sender);
      return reply.code(201).send(templateView(await templates.create(tenant, id, draftOf(request.body))));
    },
  );

  routes.post(
    '/v1/templates/sync',
    {
      config,
      preValidation: tenantFromQuery,
      schema: {
        tags,
        summary: 'Take over what the provider has',
        description: 'Adds what is not known yet, and holds or frees messages by the status that the provider tells.',
        querystring: tenantQuery,
        body: syncBody,
        response: { 200: syncAnswer },
      },
    },
    async (request) => {
      const tenant = scopeOf(principalOf(request), request.body.tenant);
      return { ...(await templates.sync(await senderOf(request, tenant, request.body.sender))) };
    },
  );

  routes.get(
    '/v1/templates/:id',
    {
      config,
      schema: {
        tags,
        summary: 'Read a template',
        params: templateParams,
        querystring: templateScope,
        response: { 200: templateSchema },
      },
    },
    async (request) => {
      const tenant = scopeOf(principalOf(request), request.query.tenant);
      return templateView(await templates.get(tenant, request.params.id));
    },
  );

  routes.post(
    '/v1/templates/:id/preview',
    {
      config,
      preValidation: tenantFromQuery,
      schema: {
        tags,
        summary: 'Show a template with its variables filled in',
        params: templateParams,
        querystring: tenantQuery,
        body: previewBody,
        response: { 200: previewAnswer },
      },
    },
    async (request) => {
      const tenant = scopeOf(principalOf(request), request.body.tenant);
      const shown = await templates.preview(tenant, request.params.id, request.body.variables);
      return { ...shown, buttons: [...shown.buttons], template: { ...shown.template } };
    },
  );
}
