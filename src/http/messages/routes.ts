import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { AppError, hasCode } from '../../errors/app-error.ts';
import type { BatchResult, Messages } from '../../messages/index.ts';
import { messageRequestSchema } from '../../messages/request.ts';
import { principalOf } from '../plugins/auth.ts';
import { tenantFromQuery, tenantQuery } from '../tenant-query.ts';
import { waitSecondsOf } from './prefer.ts';
import { readingRoutes } from './reading.ts';
import { acceptHeaders, batchAnswer, batchBody, batchHeaders, idParams, messageSchema, scopeQuery } from './schemas.ts';

/** One message is never larger; a template with all its parameters stays far below. */
const MESSAGE_BYTES_MAX = 256 * 1024;
/** 1,000 messages of 4 KiB each. */
const BATCH_BYTES_MAX = 4 * 1024 * 1024;

const tags = ['messages'];
const config = { access: 'key' } as const;

/** `/v1/messages`: to send, to read and to cancel. */
export function messageRoutes(app: FastifyInstance, options: { readonly messages: Messages }): void {
  const { messages } = options;
  const routes = app.withTypeProvider<ZodTypeProvider>();

  routes.post(
    '/v1/messages',
    {
      config,
      bodyLimit: MESSAGE_BYTES_MAX,
      preValidation: tenantFromQuery,
      schema: {
        tags,
        summary: 'Send a message',
        description: 'Answered when the message is on disk. The message objects are those of the Cloud API.',
        headers: acceptHeaders,
        querystring: tenantQuery,
        body: messageRequestSchema,
        response: { 200: messageSchema, 202: messageSchema },
      },
    },
    async (request, reply) => {
      const waitSeconds = waitSecondsOf(request.headers.prefer);
      if (waitSeconds > 0) reply.header('preference-applied', `wait=${waitSeconds}`);
      const accepted = await messages.accept(request.body, principalOf(request), {
        idempotencyKey: request.headers['idempotency-key'],
        waitMs: waitSeconds * 1000,
      });
      const isDone = accepted.result === 'duplicate' || accepted.sentInTime;
      return reply.code(isDone ? 200 : 202).send({ ...accepted.message });
    },
  );

  routes.post(
    '/v1/messages/batch',
    {
      config,
      bodyLimit: BATCH_BYTES_MAX,
      preValidation: tenantFromQuery,
      schema: {
        tags,
        summary: 'Send up to 1,000 messages',
        description:
          'Each item is accepted or refused by itself; items of one conversation keep their order. 503 only when the queue took none of them.',
        headers: batchHeaders,
        querystring: tenantQuery,
        body: batchBody,
        response: { 200: batchAnswer },
      },
    },
    async (request) => {
      const results = await messages.acceptBatch(request.body.messages, principalOf(request), {
        idempotencyKey: request.headers['idempotency-key'],
      });
      refuseWhenNothingWorked(results);
      return { results: results.map(itemView) };
    },
  );

  readingRoutes(app, options);

  routes.delete(
    '/v1/messages/:id',
    {
      config,
      schema: {
        tags,
        summary: 'Cancel a message that waits',
        params: idParams,
        querystring: scopeQuery,
        response: { 200: messageSchema },
      },
    },
    async (request) => ({ ...(await messages.cancel(request.params.id, principalOf(request), request.query.tenant)) }),
  );
}

/** A queue that took none of them is an outage of the whole request: 503 is what clients and proxies act upon. */
function refuseWhenNothingWorked(results: readonly BatchResult[]): void {
  const [first] = results;
  if (!(first instanceof AppError) || first.status !== 503) return;
  if (results.every((result) => hasCode(result, first.code))) throw first;
}

/** One item of a batch's answer: the message, or why it was refused. */
function itemView(result: BatchResult) {
  if (!(result instanceof AppError)) return { ...result.message };
  const { code, detail, field } = result;
  return { code, detail, ...(field === undefined ? {} : { field }) };
}
