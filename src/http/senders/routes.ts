import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { UnknownSenderError, type SendQueue } from '../../engine/contract.ts';
import { AppError, hasCode } from '../../errors/app-error.ts';
import { chooseShard, oldestOwned } from '../../messages/index.ts';
import { tenantIdSchema } from '../../messages/request.ts';
import type { SenderRecord } from '../../record/types.ts';
import { audit, type AdminOptions } from '../admin-options.ts';
import { idParams } from '../messages/schemas.ts';
import { pageOf, pageQuery } from '../paging.ts';
import { pauseBody } from '../tenants/schemas.ts';
import { newSenderOf, patchOf } from './form.ts';
import { senderBody, senderPatch, senderSchema, senderView } from './schemas.ts';

const tags = ['administration'];
const listQuery = pageQuery.extend({
  tenant: tenantIdSchema.optional().describe('Only senders that this tenant may use: its own and the shared ones.'),
});

/** `/admin/senders`. */
export function senderRoutes(app: FastifyInstance, options: AdminOptions): void {
  const { record, queue, senders, senderDefaults } = options;
  const routes = app.withTypeProvider<ZodTypeProvider>();

  routes.get(
    '/admin/senders',
    {
      config: { access: 'viewer' },
      schema: { tags, summary: 'List senders', querystring: listQuery, response: { 200: pageOf(senderSchema) } },
    },
    async (request) => {
      const { tenant, ...paging } = request.query;
      const page = await record.senders.list({ ...paging, usableBy: tenant });
      return { items: await Promise.all(page.items.map((sender) => currentView(queue, sender))), next: page.next };
    },
  );

  routes.get(
    '/admin/senders/:id',
    {
      config: { access: 'viewer' },
      schema: { tags, summary: 'Read a sender', params: idParams, response: { 200: senderSchema } },
    },
    async (request) => currentView(queue, existing(await record.senders.get(request.params.id))),
  );

  routes.post(
    '/admin/senders',
    {
      config: { access: 'admin' },
      schema: { tags, summary: 'Create a sender', body: senderBody, response: { 201: senderSchema } },
    },
    async (request, reply) => {
      const given = newSenderOf(request.body, senderDefaults(request.body.provider));
      const sibling = given.tenant === null ? null : await oldestOwned(record.senders, given.tenant);
      const shard = chooseShard(given, sibling, queue.shards);
      const sender = await record.senders.create({ ...given, shard });
      // With the queue away the sender exists all the same; the engine hears of it with its first message.
      await senders.changed(sender).catch(unlessUnavailable);
      await audit(options, request, { action: 'sender.create', target: sender.id, tenant: given.tenant });
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
      const { provider } = existing(await record.senders.get(id));
      const sender = existing(await record.senders.patch(id, patchOf(provider, request.body)));
      await senders.changed(sender);
      const detail = { fields: Object.keys(request.body) };
      await audit(options, request, { action: 'sender.change', target: id, tenant: sender.tenant, detail });
      return senderView(sender);
    },
  );

  pauseRoutes(app, options);
}

function pauseRoutes(app: FastifyInstance, options: AdminOptions): void {
  const { record, queue, senders } = options;
  const routes = app.withTypeProvider<ZodTypeProvider>();

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

/** The engine pauses a sender by itself when its credentials or a policy stop it: only it knows of that. */
async function currentView(queue: Pick<SendQueue, 'pauseReason'>, sender: SenderRecord) {
  if (sender.pausedReason !== null) return senderView(sender);
  const pausedReason = await queue.pauseReason(sender.id).catch((error: unknown) => {
    if (!(error instanceof UnknownSenderError)) unlessUnavailable(error);
    return null;
  });
  return senderView({ ...sender, pausedReason });
}

function unlessUnavailable(error: unknown): void {
  if (!hasCode(error, 'QUEUE_UNAVAILABLE')) throw error;
}

function existing(sender: SenderRecord | null): SenderRecord {
  if (sender === null) throw new AppError('NOT_FOUND', { detail: 'There is no such sender.' });
  return sender;
}
