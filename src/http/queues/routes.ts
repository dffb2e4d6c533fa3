import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { CLEANABLE_STATES, type QueueAdministration } from '../../jobs/index.ts';
import { audit, type AdminOptions } from '../admin-options.ts';

export interface QueueRouteOptions {
  readonly queues: QueueAdministration;
  readonly admin: AdminOptions;
}

const tags = ['queues'];
/** As a person would see it: the reference shows them beside the schema. */
const EXAMPLE = {
  queue: 'whatsapp:webhook',
  waiting: 3,
  active: 5,
  completed: 1000,
  failed: 2,
  delayed: 0,
  paused: false,
};
const params = z.object({
  queue: z
    .string()
    .min(1)
    .max(100)
    .describe(
      '`whatsapp:webhook`, `whatsapp:message-status`, `booking:reminder`, `notification:email`, `inbound:respond`, a short name such as `webhook`, or `whatsapp-send`.',
    )
    .meta({ examples: ['whatsapp:webhook', 'webhook', 'whatsapp-send'] }),
});
const count = z.int().min(0);
const figureFields = z.object({
  queue: z.string().describe('API name.'),
  waiting: count.describe('Ready to run.'),
  active: count,
  completed: count.describe('Of a job queue: kept ones, at most 1,000 of the last 24 h. Of `whatsapp-send`: all.'),
  failed: count.describe('Of a job queue: kept ones, at most 5,000 of the last 7 days. Of `whatsapp-send`: all.'),
  delayed: count.describe('Waiting for their time.'),
  paused: z.boolean(),
});
const figures = figureFields.meta({ examples: [EXAMPLE] });
const switched = (paused: boolean) =>
  z.object({ queue: z.string(), paused: z.boolean() }).meta({ examples: [{ queue: EXAMPLE.queue, paused }] });
const health = z
  .object({
    status: z.enum(['healthy', 'degraded']).describe('`degraded`: a queue is paused, or has work and no worker.'),
    redis: z.literal('connected').describe('While Redis is away, the answer is 503.'),
    queues: z.array(figureFields.extend({ workers: count.nullable().describe('Null where Redis does not tell.') })),
  })
  .meta({ examples: [{ status: 'healthy', redis: 'connected', queues: [{ ...EXAMPLE, workers: 2 }] }] });
// A misspelt limit must not remove more than was meant.
const cleanQuery = z.strictObject({
  grace: z.coerce
    .number()
    .int()
    .min(0)
    .max(315_360_000_000)
    .default(0)
    .describe('Only jobs older than this, ms.')
    .meta({ examples: [86_400_000] }),
  status: z
    .preprocess((value) => (value === 'wait' ? 'waiting' : value), z.enum(CLEANABLE_STATES))
    .default('completed')
    .describe('State of the jobs that are removed.')
    .meta({ examples: ['failed'] }),
});
const testBody = z
  .strictObject({
    queueName: z.string().min(1).max(100),
    data: z
      .record(z.string(), z.unknown())
      .default({})
      .describe('Of the job; what is left out is filled in, but for `to` of an e-mail and `bookingId` of a reminder.'),
  })
  .meta({
    examples: [
      { queueName: 'notification:email', data: { to: 'ada@example.com', template: 'booking_confirmation' } },
      { queueName: 'message-status', data: { messageId: 'wamid.HBgL', status: 'delivered' } },
    ],
  });
const added = z
  .object({ jobId: z.string(), queue: z.string() })
  .meta({ examples: [{ jobId: '17', queue: 'notification:email' }] });
const cleaned = z
  .object({ queue: z.string(), status: z.enum(CLEANABLE_STATES), removed: count })
  .meta({ examples: [{ queue: EXAMPLE.queue, status: 'completed', removed: 42 }] });

/** `/admin/queue`: the job queues and the send queue by name. */
export function queueRoutes(app: FastifyInstance, { queues, admin }: QueueRouteOptions): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();

  routes.get(
    '/admin/queue/stats/:queue',
    {
      config: { access: 'viewer' },
      schema: { tags, summary: 'Figures of a queue', params, response: { 200: figures } },
    },
    (request) => queues.figures(request.params.queue),
  );

  routes.get(
    '/admin/queue/health',
    { config: { access: 'viewer' }, schema: { tags, summary: 'Figures of all queues', response: { 200: health } } },
    async () => {
      const found = await queues.health();
      return { ...found, queues: [...found.queues] };
    },
  );

  routes.post(
    '/admin/queue/pause/:queue',
    {
      config: { access: 'operator' },
      schema: {
        tags,
        summary: 'Pause a queue',
        description:
          'In all processes; what is under way is finished. Pausing `whatsapp-send` stops hand-overs on all shards; messages are still accepted, and wait.',
        params,
        response: { 200: switched(true) },
      },
    },
    async (request) => {
      const queue = await queues.pause(request.params.queue);
      await audit(admin, request, { action: 'queue.pause', target: queue });
      return { queue, paused: true };
    },
  );

  routes.post(
    '/admin/queue/resume/:queue',
    {
      config: { access: 'operator' },
      schema: { tags, summary: 'Let a queue go on', params, response: { 200: switched(false) } },
    },
    async (request) => {
      const queue = await queues.resume(request.params.queue);
      await audit(admin, request, { action: 'queue.resume', target: queue });
      return { queue, paused: false };
    },
  );

  routes.post(
    '/admin/queue/clean/:queue',
    {
      config: { access: 'admin' },
      schema: {
        tags,
        summary: 'Remove jobs',
        params,
        querystring: cleanQuery,
        response: { 200: cleaned },
      },
    },
    async (request) => {
      const { grace, status } = request.query;
      const removed = await queues.clean(request.params.queue, grace, status);
      const { queue } = await queues.figures(request.params.queue);
      await audit(admin, request, { action: 'queue.clean', target: queue, detail: { grace, status, removed } });
      return { queue, status, removed };
    },
  );

  routes.post(
    '/admin/queue/test',
    {
      config: { access: 'admin' },
      schema: {
        tags,
        summary: 'Add a job by hand',
        body: testBody,
        response: { 202: added },
      },
    },
    async (request, reply) => {
      const { id, queue } = await queues.test(request.body.queueName, request.body.data);
      await audit(admin, request, { action: 'queue.test', target: queue, detail: { jobId: id } });
      return reply.code(202).send({ jobId: id, queue });
    },
  );
}
