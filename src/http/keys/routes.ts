import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { AppError } from '../../errors/app-error.ts';
import { isoOrNull } from '../../messages/view.ts';
import { tenantIdSchema } from '../../messages/request.ts';
import type { ApiKeyRecord } from '../../record/types.ts';
import { audit, type AdminOptions } from '../admin-options.ts';
import { idParams } from '../messages/schemas.ts';
import { pageOf, pageQuery } from '../paging.ts';

const keySchema = z
  .object({
    id: z.string(),
    tenant: z.string().nullable().describe('Null = acts for every tenant.'),
    name: z.string(),
    prefix: z.string().describe('First characters, to tell keys apart.'),
    createdAt: z.string(),
    lastUsedAt: z.string().nullable(),
    expiresAt: z.string().nullable().describe('When it ends because it has a successor.'),
    revokedAt: z.string().nullable(),
  })
  .meta({ id: 'ApiKey' });
const createdKeySchema = keySchema.extend({ key: z.string().describe('The key itself: shown only here.') });
const keyBody = z.strictObject({
  tenant: tenantIdSchema.nullable().describe('Null = a platform key, which acts for every tenant.'),
  name: z.string().min(1).max(200),
});
const rotateBody = z.strictObject({
  overlapHours: z.number().min(0).max(720).default(24).describe('How long the old key goes on.'),
});
const listQuery = pageQuery.extend({ tenant: tenantIdSchema.optional() });

const tags = ['administration'];

/** `/admin/keys`. */
export function keyRoutes(app: FastifyInstance, options: AdminOptions): void {
  const { record } = options;
  const routes = app.withTypeProvider<ZodTypeProvider>();

  routes.get(
    '/admin/keys',
    {
      config: { access: 'viewer' },
      schema: { tags, summary: 'List keys', querystring: listQuery, response: { 200: pageOf(keySchema) } },
    },
    async (request) => {
      const page = await record.apiKeys.list(request.query);
      return { items: page.items.map(keyView), next: page.next };
    },
  );

  routes.post(
    '/admin/keys',
    {
      config: { access: 'admin' },
      schema: {
        tags,
        summary: 'Create a key',
        description: 'The answer holds the key, once; only its hash is stored.',
        body: keyBody,
        response: { 201: createdKeySchema },
      },
    },
    async (request, reply) => {
      const { key, ...made } = await record.apiKeys.create(request.body);
      await audit(options, request, { action: 'key.create', target: made.id, tenant: made.tenant });
      return reply.code(201).send({ ...keyView(made), key });
    },
  );

  routes.post(
    '/admin/keys/:id/rotate',
    {
      config: { access: 'admin' },
      schema: {
        tags,
        summary: 'Give a key a successor',
        description: 'The answer holds the new key, once. The old one ends by itself after the overlap.',
        params: idParams,
        body: rotateBody,
        response: { 201: createdKeySchema },
      },
    },
    async (request, reply) => {
      const { overlapHours } = request.body;
      const rotated = await record.apiKeys.rotate(request.params.id, overlapHours * 3600_000);
      if (rotated === null) throw new AppError('NOT_FOUND', { detail: 'There is no such key, or it has ended.' });
      const { key, ...made } = rotated.made;
      const detail = { successor: made.id, overlapHours };
      await audit(options, request, { action: 'key.rotate', target: rotated.old.id, tenant: made.tenant, detail });
      return reply.code(201).send({ ...keyView(made), key });
    },
  );

  routes.delete(
    '/admin/keys/:id',
    {
      config: { access: 'admin' },
      schema: {
        tags,
        summary: 'Revoke a key',
        description: 'It ends within five seconds in every process.',
        params: idParams,
        response: { 200: keySchema },
      },
    },
    async (request) => {
      const revoked = await record.apiKeys.revoke(request.params.id);
      if (revoked === null) throw new AppError('NOT_FOUND', { detail: 'There is no such key.' });
      await audit(options, request, { action: 'key.revoke', target: revoked.id, tenant: revoked.tenant });
      return keyView(revoked);
    },
  );
}

function keyView({
  createdAtMs,
  lastUsedAtMs,
  expiresAtMs,
  revokedAtMs,
  ...key
}: ApiKeyRecord): z.infer<typeof keySchema> {
  return {
    ...key,
    createdAt: new Date(createdAtMs).toISOString(),
    lastUsedAt: isoOrNull(lastUsedAtMs),
    expiresAt: isoOrNull(expiresAtMs),
    revokedAt: isoOrNull(revokedAtMs),
  };
}
