import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { AppError } from '../../errors/app-error.ts';
import type { EventFilter, WaxwingRecord } from '../../record/index.ts';
import { audit, type AdminOptions } from '../admin-options.ts';
import { maskText } from '../mask.ts';
import { idParams } from '../messages/schemas.ts';
import { pageOf } from '../paging.ts';
import { isRevealed, revealField, revealQuery } from '../reveal.ts';
import { endpointRoutes } from './endpoints.ts';
import { maskEvent, maskEventDetail } from './mask.ts';
import {
  eventDetailSchema,
  eventDetailView,
  eventQuery,
  eventSchema,
  eventView,
  filterOf,
  replayAnswer,
  replayBody,
} from './schemas.ts';

export interface EventRouteOptions {
  readonly eventsOut: WaxwingRecord['eventsOut'];
  /** What signs for a receiver, the newest first. */
  readonly secretsOf: (endpoint: string) => readonly string[];
  /** There is something to send again. */
  readonly wake: () => void;
}

const tags = ['events'];

/** `/admin/events`: the outbox of events to products, and their receivers. */
export function eventRoutes(
  app: FastifyInstance,
  { admin, events }: { readonly admin: AdminOptions; readonly events: EventRouteOptions },
): void {
  const { eventsOut, wake } = events;
  const routes = app.withTypeProvider<ZodTypeProvider>();

  routes.get(
    '/admin/events',
    {
      config: { access: 'viewer' },
      schema: {
        tags,
        summary: 'List events to products, newest first',
        querystring: eventQuery.extend(revealField),
        response: { 200: pageOf(eventSchema) },
      },
    },
    async (request) => {
      const { cursor, limit, reveal, ...given } = request.query;
      const isClear = await isRevealed(admin.record, request, reveal, 'events');
      const page = await eventsOut.list({ ...filterOf(given), cursor, limit });
      return { items: page.items.map(eventView).map((one) => (isClear ? one : maskEvent(one))), next: page.next };
    },
  );

  routes.get(
    '/admin/events/:id',
    {
      config: { access: 'operator' },
      schema: {
        tags,
        summary: 'Read an event with what it tells',
        params: idParams,
        querystring: revealQuery,
        response: { 200: eventDetailSchema },
      },
    },
    async (request) => {
      const event = await eventsOut.get(request.params.id);
      if (event === null) throw new AppError('NOT_FOUND', { detail: 'There is no event with this id.' });
      const isClear = await isRevealed(admin.record, request, request.query.reveal, `event ${event.id}`);
      return isClear ? eventDetailView(event) : maskEventDetail(eventDetailView(event));
    },
  );

  routes.post(
    '/admin/events/replay',
    {
      config: { access: 'operator' },
      schema: {
        tags,
        summary: 'Send events again',
        description:
          'With the same ids, so that a receiver can tell that it knows them. Ended events are kept for 7 days, dead ones for 30.',
        body: replayBody,
        response: { 200: replayAnswer },
      },
    },
    async (request) => {
      const { dryRun, ids, ...given } = request.body;
      const wanted: EventFilter = { ...filterOf(given), ids };
      if (Object.values(wanted).every((value) => value === undefined)) {
        throw new AppError('REQUEST_INVALID', {
          detail: 'Say which events: by ids, state, tenant, endpoint, type, conversation or time.',
        });
      }
      const found = dryRun ? await eventsOut.count(wanted) : await eventsOut.replay(wanted);
      if (!dryRun) wake();
      const result = { found, replayed: dryRun ? 0 : found, dryRun };
      await audit(admin, request, {
        action: 'events.replay',
        target: given.endpoint ?? given.tenant ?? 'events',
        // The id of a conversation is often a phone number.
        detail: {
          ...given,
          ...(given.conversation === undefined ? {} : { conversation: maskText(given.conversation) }),
          ids: ids?.length ?? null,
          ...result,
        },
      });
      return result;
    },
  );

  endpointRoutes(app, { admin, ...events });
}
