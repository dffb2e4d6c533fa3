import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import type { Messages } from '../../messages/index.ts';
import { periodOf } from '../period.ts';
import { principalOf } from '../plugins/auth.ts';
import {
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

const tags = ['messages'];
const config = { access: 'key' } as const;

/** What became of messages and what will become of them; nothing here changes anything. */
export function readingRoutes(app: FastifyInstance, { messages }: { readonly messages: Messages }): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();

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
      const page = await messages.list({ ...filter, ...periodOf({ from, to }) }, principalOf(request));
      return { items: page.items.map((item) => ({ ...item })), next: page.next };
    },
  );
}
