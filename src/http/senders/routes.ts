import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import type { z } from 'zod';
import { UnknownSenderError } from '../../engine/contract.ts';
import { AppError, hasCode } from '../../errors/app-error.ts';
import { chooseShard, DEFAULT_SENDER, usableSenders } from '../../messages/index.ts';
import { tenantIdSchema } from '../../messages/request.ts';
import { withoutPrefix } from '../../providers/twilio/addresses.ts';
import type { SenderProvider, SenderRecord } from '../../record/types.ts';
import { audit, type AdminOptions } from '../admin-options.ts';
import { idParams } from '../messages/schemas.ts';
import { pageOf, pageQuery } from '../paging.ts';
import { pauseBody } from '../tenants/schemas.ts';
import { CREDENTIALS, senderBody, senderPatch, senderSchema, senderView } from './schemas.ts';

const tags = ['administration'];
const listQuery = pageQuery.extend({
  tenant: tenantIdSchema.optional().describe('Only senders that this tenant may use: its own and the shared ones.'),
});

/** `/admin/senders`. */
export function senderRoutes(app: FastifyInstance, options: AdminOptions): void {
  const { record, queue, senders, senderDefaults } = options;
  const routes = app.withTypeProvider<ZodTypeProvider>();

  /** The engine pauses a sender by itself when its credentials or a policy stop it: only it knows of that. */
  async function currentView(sender: SenderRecord) {
    if (sender.pausedReason !== null) return senderView(sender);
    const pausedReason = await queue.pauseReason(sender.id).catch((error: unknown) => {
      if (!(error instanceof UnknownSenderError)) unlessUnavailable(error);
      return null;
    });
    return senderView({ ...sender, pausedReason });
  }

  routes.get(
    '/admin/senders',
    {
      config: { access: 'viewer' },
      schema: { tags, summary: 'List senders', querystring: listQuery, response: { 200: pageOf(senderSchema) } },
    },
    async (request) => {
      const { tenant, ...paging } = request.query;
      const page = await record.senders.list({ ...paging, usableBy: tenant });
      return { items: await Promise.all(page.items.map((sender) => currentView(sender))), next: page.next };
    },
  );

  routes.get(
    '/admin/senders/:id',
    {
      config: { access: 'viewer' },
      schema: { tags, summary: 'Read a sender', params: idParams, response: { 200: senderSchema } },
    },
    async (request) => currentView(existing(await record.senders.get(request.params.id))),
  );

  routes.post(
    '/admin/senders',
    {
      config: { access: 'admin' },
      schema: { tags, summary: 'Create a sender', body: senderBody, response: { 201: senderSchema } },
    },
    async (request, reply) => {
      const { tenant = null, portfolio = null, credentials, externalId, ...given } = request.body;
      const defaults = senderDefaults(given.provider);
      if ((given.apiUrl ?? defaults.apiUrl) === '') {
        throw new AppError('REQUEST_INVALID', {
          field: 'apiUrl',
          detail: `Give the address of the ${given.provider} server.`,
        });
      }
      if (given.id === DEFAULT_SENDER && tenant !== null) {
        throw new AppError('REQUEST_INVALID', {
          field: 'id',
          detail: 'The sender default is shared: choose another id.',
        });
      }
      const siblings: SenderRecord[] = [];
      if (tenant !== null) {
        for await (const one of usableSenders(record.senders, tenant)) if (one.tenant === tenant) siblings.push(one);
      }
      const shard = chooseShard({ id: given.id, tenant }, siblings, queue.shards);
      const sender = await record.senders.create({
        ...withDefaults(given, defaults),
        externalId: given.provider === 'twilio' ? withoutPrefix(externalId) : externalId,
        credentials: said(credentials),
        tenant,
        portfolio,
        shard,
      });
      // With the queue away the sender exists all the same; the engine hears of it with its first message.
      await senders.changed(sender).catch(unlessUnavailable);
      await audit(options, request, { action: 'sender.create', target: sender.id, tenant });
      return reply.code(201).send(senderView(sender));
    },
  );

  routes.patch(
    '/admin/senders/:id',
    {
      config: { access: 'admin' },
      schema: {
        tags,
        summary: 'Change a sender',
        description: 'New limits count at once, also for what waits.',
        params: idParams,
        body: senderPatch,
        response: { 200: senderSchema },
      },
    },
    async (request) => {
      const { id } = request.params;
      if (senders.isFromSettings(id)) {
        throw new AppError('CONFLICT', {
          detail: `The sender ${id} comes from the settings (WHATSAPP_…, EVOLUTION_…, TWILIO_…, SENDER_…, PAIR_…): change them and start again.`,
        });
      }
      const { credentials, ...rest } = request.body;
      refuseForeign(existing(await record.senders.get(id)).provider, request.body);
      const sender = existing(
        await record.senders.patch(id, {
          ...rest,
          ...(credentials === undefined ? {} : { credentials: said(credentials) }),
        }),
      );
      await senders.changed(sender);
      const detail = { fields: Object.keys(request.body) };
      await audit(options, request, { action: 'sender.change', target: id, tenant: sender.tenant, detail });
      return senderView(sender);
    },
  );

  routes.post(
    '/admin/senders/:id/pause',
    {
      config: { access: 'operator' },
      schema: {
        tags,
        summary: 'Hold everything that goes through a sender',
        description: 'Messages are still accepted, and wait.',
        params: idParams,
        body: pauseBody,
        response: { 200: senderSchema },
      },
    },
    async (request) => {
      const reason = request.body?.reason ?? 'paused by an operator';
      const sender = existing(await record.senders.patch(request.params.id, { pausedReason: reason }));
      await senders.knowing(() => queue.pauseSender(sender.id, reason));
      await audit(options, request, {
        action: 'sender.pause',
        target: sender.id,
        tenant: sender.tenant,
        detail: { reason },
      });
      return senderView(sender);
    },
  );

  routes.post(
    '/admin/senders/:id/resume',
    {
      config: { access: 'operator' },
      schema: { tags, summary: 'Let a sender send again', params: idParams, response: { 200: senderSchema } },
    },
    async (request) => {
      const sender = existing(await record.senders.patch(request.params.id, { pausedReason: null }));
      await senders.knowing(() => queue.resumeSender(sender.id));
      await audit(options, request, { action: 'sender.resume', target: sender.id, tenant: sender.tenant });
      return senderView(sender);
    },
  );
}

/** A patch does not name the provider, so what belongs to one only is checked against the sender's. */
function refuseForeign(provider: SenderProvider, { credentials, channel }: z.infer<typeof senderPatch>): void {
  if (channel !== undefined && provider !== 'evolution') {
    throw new AppError('REQUEST_INVALID', { field: 'channel', detail: 'Only a sender of Evolution has a channel.' });
  }
  if (credentials === undefined || CREDENTIALS[provider].safeParse(credentials).success) return;
  throw new AppError('REQUEST_INVALID', {
    field: 'credentials',
    detail: `This sender is at ${provider}: give ${Object.keys(CREDENTIALS[provider].shape).join(', ')} as that provider needs them.`,
  });
}

/** Fields that the request leaves out take the settings' values. */
function withDefaults<G extends object, D extends object>(given: G, defaults: D): Omit<G, keyof D> & D {
  return { ...defaults, ...said(given) };
}

/** Without the fields that are there but undefined, which count as left out. */
function said<G extends object>(given: G): { [K in keyof G]: Exclude<G[K], undefined> } {
  const kept = Object.entries(given).filter(([, value]) => value !== undefined);
  return Object.fromEntries(kept) as { [K in keyof G]: Exclude<G[K], undefined> };
}

function unlessUnavailable(error: unknown): void {
  if (!hasCode(error, 'QUEUE_UNAVAILABLE')) throw error;
}

function existing(sender: SenderRecord | null): SenderRecord {
  if (sender === null) throw new AppError('NOT_FOUND', { detail: 'There is no such sender.' });
  return sender;
}
