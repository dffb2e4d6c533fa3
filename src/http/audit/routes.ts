import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { tenantIdSchema } from '../../messages/request.ts';
import type { AdminOptions } from '../admin-options.ts';
import { pageOf, pageQuery } from '../paging.ts';

const actSchema = z
  .object({
    id: z.string(),
    at: z.string(),
    actor: z.string().describe('Name of the person or token; `cli:…` for a command.'),
    action: z.string().describe('Area and verb: `sender.pause`.'),
    target: z.string().describe('Id of what it was done to.'),
    tenant: z.string().nullable(),
    detail: z.record(z.string(), z.unknown()),
  })
  .meta({ id: 'AuditEntry' });

// PostgreSQL has no NUL in texts.
const word = z
  .string()
  .min(1)
  .max(200)
  .regex(/^[^\0]*$/);
const listQuery = pageQuery.extend({
  tenant: tenantIdSchema.optional(),
  actor: word.optional(),
  action: word.optional().describe('A whole action (`sender.pause`) or an area (`sender`).'),
  target: word.optional(),
  from: z.iso.datetime({ offset: true }).optional().describe('Not before.'),
  to: z.iso.datetime({ offset: true }).optional().describe('Before.'),
});

/** `/admin/audit`: who did what, newest first. */
export function auditRoutes(app: FastifyInstance, { record }: Pick<AdminOptions, 'record'>): void {
  app.withTypeProvider<ZodTypeProvider>().get(
    '/admin/audit',
    {
      config: { access: 'viewer' },
      schema: {
        tags: ['administration'],
        summary: 'Who did what',
        description: 'Administrative acts and sign-ins, newest first.',
        querystring: listQuery,
        response: { 200: pageOf(actSchema) },
      },
    },
    async (request) => {
      const { from, to, ...filter } = request.query;
      const page = await record.audit.list({
        ...filter,
        ...(from === undefined ? {} : { fromMs: Date.parse(from) }),
        ...(to === undefined ? {} : { toMs: Date.parse(to) }),
      });
      const items = page.items.map(({ atMs, ...act }) => ({ ...act, at: new Date(atMs).toISOString() }));
      return { items, next: page.next };
    },
  );
}
