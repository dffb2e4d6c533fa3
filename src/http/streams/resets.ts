import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import type { Backlog, StreamDesk } from '../../engine/stream-desk.ts';
import { AppError } from '../../errors/app-error.ts';
import type { AdminOptions } from '../admin-options.ts';
import { act } from './act.ts';
import { actBody, actQuery, regrouped, restarted, skipped } from './schemas.ts';
import { touched } from './touched.ts';
import { wishOf, type Wish } from './wish.ts';

const tags = ['streams'];

/** The acts of `/admin/streams` that cannot be taken back: without a confirmation they only tell what they would do. */
export function resetRoutes(
  app: FastifyInstance,
  options: { readonly streams: StreamDesk; readonly admin: AdminOptions },
): void {
  const { streams, admin } = options;
  const { audit } = admin.record;
  const routes = app.withTypeProvider<ZodTypeProvider>();

  routes.post(
    '/admin/streams/reset-to-latest',
    {
      config: { access: 'admin' },
      schema: {
        tags,
        summary: 'Skip the backlog',
        description:
          'Everything that was accepted until now and is unsent becomes `cancelled`, the scheduled and deferred included. What is in flight, or may have been sent, stays.',
        querystring: actQuery,
        body: actBody,
        response: { 200: skipped },
      },
    },
    async (request) => {
      const wish = await wishOf(options, request.query, request.body);
      await confirmed(streams, wish, (found) => `cancels up to ${found.waiting + found.outside} messages that wait`);
      return {
        shard: wish.name,
        ...(await act(audit, request, 'reset-to-latest', wish, (by) => streams.skip(wish, by))),
      };
    },
  );

  routes.post(
    '/admin/streams/reset-to-begin',
    {
      config: { access: 'admin' },
      schema: {
        tags,
        summary: 'Try everything again that is unsettled',
        description:
          'What waits after an attempt may go at once, from the head of its conversation; so may what waits for a person, which may be sent a second time. Nothing that is settled is sent again; limits hold, and what is scheduled keeps its time.',
        querystring: actQuery,
        body: actBody,
        response: { 200: restarted },
      },
    },
    async (request) => {
      const wish = await wishOf(options, request.query, request.body);
      await confirmed(
        streams,
        wish,
        ({ waiting, outside, inFlight }) =>
          `lets everything go at once that waits after an attempt, of ${waiting + outside + inFlight} unsettled messages; those whose outcome is unknown may be sent a second time`,
      );
      return {
        shard: wish.name,
        ...(await act(audit, request, 'reset-to-begin', wish, (by) => streams.restart(wish, by))),
      };
    },
  );

  routes.delete(
    '/admin/streams/destroy-recreate',
    {
      config: { access: 'admin' },
      schema: {
        tags,
        summary: 'Destroy stream and consumer group and build them again',
        description:
          'From what the engine knows: what no worker has begun goes back to its conversation, what is being sent stays with its worker. No accepted message is lost.',
        querystring: actQuery,
        body: actBody,
        response: { 200: regrouped },
      },
    },
    async (request) => {
      const wish = await wishOf(options, request.query, request.body);
      if (wish.sender !== undefined) {
        const detail = 'A stream belongs to a shard: leave out sender.';
        throw new AppError('REQUEST_INVALID', { field: 'sender', detail });
      }
      await confirmed(
        streams,
        wish,
        ({ inFlight }) =>
          `destroys the stream and its group and builds them again; ${inFlight} messages are with workers and stay`,
      );
      return {
        shard: wish.name,
        ...(await act(audit, request, 'destroy-recreate', wish, () => streams.regroup(wish))),
      };
    },
  );
}

/** 409 with what the call would touch, unless it was confirmed. */
async function confirmed(streams: StreamDesk, wish: Wish, would: (touches: Backlog) => string): Promise<void> {
  if (wish.confirmed) return;
  const touches = await touched(streams, wish);
  throw new AppError('CONFIRMATION_NEEDED', {
    detail: `This ${would(touches)}. To do it, send the same again with confirm=${wish.name}.`,
    data: { touches },
  });
}
