import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { AppError } from '../../errors/app-error.ts';
import { renamingFields } from '../../errors/renaming-fields.ts';
import type { ShortSend } from '../../messages/index.ts';
import {
  conversationIdSchema,
  idempotencyKeySchema,
  messageRequestSchema,
  parseRequest,
  phoneSchema,
  prioritySchema,
  tenantIdSchema,
} from '../../messages/request.ts';
import { principalOf } from '../plugins/auth.ts';
import { tenantFromQuery, tenantQuery } from '../tenant-query.ts';

/** Older callers keep their restaurants under numbers. */
const tenantLike = z.union([tenantIdSchema, z.int().min(0)], {
  error: 'It must be a text of letters and digits, or a whole number.',
});

const sendBody = z.strictObject({
  phoneNumber: phoneSchema,
  text: z.string().describe('1 to 4,096 characters.'),
  restaurantId: tenantLike.optional(),
  tenant: tenantLike.optional(),
  conversationId: conversationIdSchema.optional(),
  priority: prioritySchema.optional(),
  dedupe: z.boolean().optional(),
});

const sendAnswer = z.object({
  jobId: z.string().describe('Id of the message; GET /v1/messages/{id} follows it.'),
  queued: z.boolean(),
  immediate: z.boolean().describe('Handed to a worker at once; with `direct`: the provider has taken it.'),
  duplicate: z.boolean(),
  direct: z.boolean().describe('The queue was bypassed.'),
});

/** The short form's names of the fields at fault. */
const SHORT_NAMES: Readonly<Record<string, string>> = {
  to: 'phoneNumber',
  'text.body': 'text',
  conversation: 'conversationId',
};

/** `POST /api/whatsapp/send`: phone number and text in, exactly one of queued / immediate / duplicate out. */
export function sendRoutes(app: FastifyInstance, { shortSend }: { readonly shortSend: ShortSend }): void {
  app.withTypeProvider<ZodTypeProvider>().post(
    '/api/whatsapp/send',
    {
      config: { access: 'key' },
      bodyLimit: 64 * 1024,
      preValidation: tenantFromQuery,
      schema: {
        tags: ['messages'],
        summary: 'Send a text, short form',
        headers: z.looseObject({ 'idempotency-key': idempotencyKeySchema.optional() }),
        querystring: tenantQuery,
        body: sendBody,
        response: { 202: sendAnswer },
      },
    },
    async (request, reply) => {
      const { phoneNumber, text, conversationId, priority, dedupe } = request.body;
      const tenant = tenantNamed(request.body);
      const sent = await renamingFields({ ...SHORT_NAMES, tenant: tenant.field }, async () => {
        const message = parseRequest(messageRequestSchema, {
          tenant: tenant.id,
          to: phoneNumber,
          conversation: conversationId,
          type: 'text',
          text: { body: text },
          priority,
          dedupe,
        });
        return shortSend.send(message, principalOf(request), { idempotencyKey: request.headers['idempotency-key'] });
      });
      const { result, message, direct } = sent;
      return reply.code(202).send({
        jobId: message.id,
        queued: result === 'queued',
        immediate: result === 'immediate',
        duplicate: result === 'duplicate',
        direct,
      });
    },
  );
}

function tenantNamed({ restaurantId, tenant }: z.infer<typeof sendBody>): { id: string | undefined; field: string } {
  if (restaurantId !== undefined && tenant !== undefined && String(restaurantId) !== String(tenant)) {
    throw new AppError('REQUEST_INVALID', {
      field: 'tenant',
      detail: 'restaurantId and tenant mean the same: give one of them.',
    });
  }
  const id = tenant ?? restaurantId;
  return { id: id === undefined ? undefined : String(id), field: tenant === undefined ? 'restaurantId' : 'tenant' };
}
