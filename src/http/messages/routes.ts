import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { AppError } from '../../errors/app-error.ts';
import type { BatchResult, Messages } from '../../messages/index.ts';
import { messageRequestSchema } from '../../messages/request.ts';
import { principalOf } from '../plugins/auth.ts';
import { tenantFromQuery, tenantQuery } from '../tenant-query.ts';
import { waitSecondsOf } from './prefer.ts';
import {
  acceptHeaders,
  batchAnswer,
  batchBody,
  explanationSchema,
  forecastQuery,
  forecastSchema,
  idParams,
  listQuery,
  messagePage,
  messageSchema,
  scopeQuery,
  timelineSchema,
} from './schemas.ts';

/** One message is never larger; a template with all its parameters stays far below. */
const MESSAGE_BYTES_MAX = 256 * 1024;
/** 1,000 messages of 4 KiB each. */
const BATCH_BYTES_MAX = 4 * 1024 * 1024;

const tags = ['messages'];
const config = { access: 'key' } as const;

/** `/v1/messages`. */
export function messageRoutes(app: FastifyInstance, { messages }: { readonly messages: Messages }): void {
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
        querystring: tenantQuery,
        body: batchBody,
        response: { 200: batchAnswer },
      },
    },
    async (request) => {
      const results = await messages.acceptBatch(request.body.messages, principalOf(request));
      refuseWhenNothingWorked(results);
      return {
        results: results.map((result) =>
          result instanceof AppError
            ? {
                code: result.code,
                detail: result.detail,
                ...(result.field === undefined ? {} : { field: result.field }),
              }
            : { ...result.message },
        ),
      };
    },
  );

  routes.get(
    '/v1/messages/:id',
    {
      config,
      schema: {
        tags,
        summary: 'Read a message',
        params: idParams,
        querystring: scopeQuery,
        response: { 200: messageSchema },
      },
    },
    async (request) => ({ ...(await messages.get(request.params.id, principalOf(request), request.query.tenant)) }),
  );

  routes.get(
    '/v1/messages/:id/timeline',
    {
      config,
      schema: {
        tags,
        summary: 'Every event of a message',
        params: idParams,
        querystring: scopeQuery,
        response: { 200: timelineSchema },
      },
    },
    async (request) => {
      const { items } = await messages.timeline(request.params.id, principalOf(request), request.query.tenant);
      return { items: items.map((item) => ({ ...item })) };
    },
  );

  routes.get(
    '/v1/messages/:id/explain',
    {
      config,
      schema: {
        tags,
        summary: 'Why a message is where it is, and when it will probably go',
        params: idParams,
        querystring: scopeQuery,
        response: { 200: explanationSchema },
      },
    },
    (request) => messages.explain(request.params.id, principalOf(request), request.query.tenant),
  );

  routes.get(
    '/v1/senders/:id/forecast',
    {
      config,
      schema: {
        tags,
        summary: 'When a broadcast would be done',
        description:
          "By the sender's rate and places, the time that attempts take, what waits already, and the tenant's share by weight.",
        params: idParams,
        querystring: forecastQuery,
        response: { 200: forecastSchema },
      },
    },
    (request) =>
      messages.forecast(request.params.id, request.query.messages, principalOf(request), request.query.tenant),
  );

  routes.get(
    '/v1/messages',
    {
      config,
      schema: {
        tags,
        summary: 'List messages, newest first',
        description:
          'As recorded: a message appears within moments of its accept. A platform key sees every tenant unless it names one.',
        querystring: listQuery,
        response: { 200: messagePage },
      },
    },
    async (request) => {
      const { from, to, ...filter } = request.query;
      const page = await messages.list(
        { ...filter, fromMs: instantOf(from), toMs: instantOf(to) },
        principalOf(request),
      );
      return { items: page.items.map((item) => ({ ...item })), next: page.next };
    },
  );

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
  if (results.every((result) => result instanceof AppError && result.code === first.code)) throw first;
}

function instantOf(text: string | undefined): number | undefined {
  return text === undefined ? undefined : Date.parse(text);
}
