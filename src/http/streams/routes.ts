import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import type { StreamDesk } from '../../engine/stream-desk.ts';
import { nullWhileAway } from '../../errors/while-away.ts';
import type { WaxwingRecord } from '../../record/index.ts';
import type { AdminOptions } from '../admin-options.ts';
import { act } from './act.ts';
import { resetRoutes } from './resets.ts';
import { claimed, healthSchema, scopeBody, scopeQuery } from './schemas.ts';
import { healthOf } from './touched.ts';
import { healthView } from './view.ts';
import { wishOf } from './wish.ts';

export interface StreamRouteOptions {
  readonly streams: StreamDesk;
  readonly admin: AdminOptions;
  readonly record: Pick<WaxwingRecord, 'deadLetters'>;
}

const tags = ['streams'];

/** `/admin/streams`: the hand-over streams of the send engine. */
export function streamRoutes(app: FastifyInstance, options: StreamRouteOptions): void {
  const { streams, admin, record } = options;
  const routes = app.withTypeProvider<ZodTypeProvider>();

  routes.get(
    '/admin/streams/health',
    {
      config: { access: 'viewer' },
      schema: {
        tags,
        summary: 'How the hand-over streams are',
        querystring: scopeQuery,
        response: { 200: healthSchema },
      },
    },
    async (request) => {
      const { shard, sender } = await wishOf(options, request.query);
      const [found, letters, own] = await Promise.all([
        healthOf(streams, shard),
        nullWhileAway(record.deadLetters.count({ sender })),
        sender === undefined || shard === undefined ? undefined : streams.backlogOf(shard, sender),
      ]);
      return healthView(own === undefined ? found : found.map((one) => ({ ...one, backlog: own })), letters);
    },
  );

  resetRoutes(app, options);

  routes.post(
    '/admin/streams/claim-pending-to-worker',
    {
      config: { access: 'operator' },
      schema: {
        tags,
        summary: 'Take over what dead workers hold',
        description:
          'As workers do by themselves within seconds. Takes as long as it needs to see that a heart stands still; what had begun becomes `unknown` first, so it is not sent twice for nothing.',
        querystring: scopeQuery,
        body: scopeBody,
        response: { 200: claimed },
      },
    },
    async (request) => {
      const wish = await wishOf(options, request.query, request.body);
      const done = await act(admin.record.audit, request, 'claim', wish, () => streams.claim(wish));
      return { shard: wish.name, claimed: done.claimed, removed: done.removed, workers: [...done.workers] };
    },
  );
}
