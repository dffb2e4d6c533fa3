import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { AppError } from '../../errors/app-error.ts';
import { recordedView, scopeOf } from '../../messages/index.ts';
import type { ConversationRecord, WaxwingRecord } from '../../record/index.ts';
import { principalOf } from '../plugins/auth.ts';
import {
  chatPage,
  contactSchema,
  contactView,
  conversationPage,
  conversationParams,
  conversationQuery,
  conversationSchema,
  conversationView,
  inboundView,
  listQuery,
  readAnswer,
  readBody,
  scopeQuery,
} from './schemas.ts';

export interface ConversationRouteOptions {
  readonly record: Pick<WaxwingRecord, 'conversations' | 'contacts' | 'chat'>;
  /** Tells the person that the message was read; `none` where the provider has no receipts. */
  readonly sendReceipt: (receipt: {
    readonly sender: string;
    readonly providerMessageId: string;
    readonly typing: boolean;
  }) => Promise<'sent' | 'none' | 'failed'>;
}

const tags = ['conversations'];
const config = { access: 'key' } as const;

/** `/v1/conversations` and `/v1/contacts`. */
export function conversationRoutes(app: FastifyInstance, { record, sendReceipt }: ConversationRouteOptions): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();

  async function find(
    request: FastifyRequest,
    id: string,
    query: { tenant?: string | undefined; sender?: string | undefined },
  ): Promise<ConversationRecord> {
    const tenant = scopeOf(principalOf(request), query.tenant);
    const found = await record.conversations.find({ tenant, id, sender: query.sender });
    if (found === null) throw new AppError('NOT_FOUND', { detail: 'There is no conversation with this id.' });
    return found;
  }

  routes.get(
    '/v1/conversations',
    {
      config,
      schema: {
        tags,
        summary: 'List conversations, the last active first',
        description: 'A platform key sees every tenant unless it names one.',
        querystring: listQuery,
        response: { 200: conversationPage },
      },
    },
    async (request) => {
      const { tenant, ...options } = request.query;
      const page = await record.conversations.list(scopeOf(principalOf(request), tenant), options);
      const nowMs = Date.now();
      return { items: page.items.map((item) => conversationView(item, nowMs)), next: page.next };
    },
  );

  routes.get(
    '/v1/conversations/:id',
    {
      config,
      schema: {
        tags,
        summary: 'Read a conversation',
        description: 'An id belongs to one tenant and one sender; without `sender` it is the one that was active last.',
        params: conversationParams,
        querystring: conversationQuery,
        response: { 200: conversationSchema },
      },
    },
    async (request) => conversationView(await find(request, request.params.id, request.query), Date.now()),
  );

  routes.get(
    '/v1/conversations/:id/messages',
    {
      config,
      schema: {
        tags,
        summary: 'Messages of a conversation in both directions, newest first',
        params: conversationParams,
        querystring: listQuery,
        response: { 200: chatPage },
      },
    },
    async (request) => {
      const { cursor, limit } = request.query;
      const { tenant, sender, id } = await find(request, request.params.id, request.query);
      const page = await record.chat.list({ tenant, sender, id }, { cursor, limit });
      const items = page.items.map((item) =>
        item.direction === 'inbound'
          ? inboundView(item.message)
          : { direction: 'outbound' as const, ...recordedView(item.message) },
      );
      return { items, next: page.next };
    },
  );

  routes.post(
    '/v1/conversations/:id/read',
    {
      config,
      schema: {
        tags,
        summary: 'Mark a conversation as read',
        description: 'Also sends the receipt to the person where the provider has receipts, and can show typing.',
        params: conversationParams,
        querystring: conversationQuery,
        body: readBody,
        response: { 200: readAnswer },
      },
    },
    async (request) => {
      const { tenant, sender, id } = await find(request, request.params.id, request.query);
      const providerMessageId = await record.chat.markRead({ tenant, sender, id });
      const typing = request.body?.typing ?? false;
      const receipt =
        providerMessageId === null ? ('none' as const) : await sendReceipt({ sender, providerMessageId, typing });
      return { conversation: id, unread: 0 as const, receipt };
    },
  );

  routes.get(
    '/v1/contacts/:id',
    {
      config,
      schema: {
        tags,
        summary: 'Read a contact',
        params: conversationParams,
        querystring: scopeQuery,
        response: { 200: contactSchema },
      },
    },
    async (request) => {
      const tenant = scopeOf(principalOf(request), request.query.tenant);
      const contact = await record.contacts.get(tenant, request.params.id);
      if (contact === null) throw new AppError('NOT_FOUND', { detail: 'There is no contact with this id.' });
      return contactView(contact);
    },
  );
}
