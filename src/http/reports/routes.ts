import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import type { SendQueue } from '../../engine/contract.ts';
import { nullWhileAway } from '../../errors/while-away.ts';
import type { WaxwingRecord } from '../../record/index.ts';

export interface ReportOptions {
  readonly queue: Pick<SendQueue, 'counters' | 'limitedPairs'>;
  readonly record: Pick<WaxwingRecord, 'timings' | 'failures'>;
}

const count = z.int().min(0);
const percentiles = z.object({ p50: z.number(), p95: z.number(), p99: z.number() }).describe('Milliseconds.');
const stats = z.object({
  throttling: z.object({
    activeRateLimits: count.describe(
      'Pairs of sender and contact whose gap runs, whose bucket is not full, or with an attempt under way.',
    ),
  }),
  deliveryFailures: z
    .object({
      pending: count.describe('Waiting for a slow retry.'),
      resolved: count,
      failed: count.describe('Given up: dead letters.'),
    })
    .nullable()
    .describe('Rows of the failure record by state. Null while the record is away.'),
  queue: z.object({
    waiting: count.describe('Accepted, not in flight: held by its conversation or a limit, or about to go.'),
    active: count.describe('In flight.'),
    completed: count.describe('Taken by the provider.'),
    failed: count,
    delayed: count.describe('Scheduled, or waiting for a slow retry.'),
    unknown: count.describe('The outcome of an attempt was lost: waits for evidence or a person.'),
    cancelled: count,
    expired: count,
    accepted: count.describe('The sum of all others.'),
  }),
  failedShare: z.number().describe('Of what ended; the target is below 0.01.'),
  failedShareTarget: z.number(),
  timings: z
    .object({
      attempts: count.describe('How many of the newest attempts the figures are of.'),
      processingMs: percentiles,
      acceptToProviderMs: percentiles,
    })
    .nullable()
    .describe('Null when nothing was sent yet, or while the record is away.'),
});

/** Failed messages that are still a sign of health. */
const FAILED_SHARE_TARGET = 0.01;

/** `/api/v1/queues/stats`: the figures of the send queue. */
export function reportRoutes(app: FastifyInstance, { queue, record }: ReportOptions): void {
  app.withTypeProvider<ZodTypeProvider>().get(
    '/api/v1/queues/stats',
    {
      config: { access: 'report' },
      schema: { tags: ['reports'], summary: 'Figures of the send queue', response: { 200: stats } },
    },
    async () => {
      const [counters, activeRateLimits, deliveryFailures, timings] = await Promise.all([
        queue.counters(),
        queue.limitedPairs(),
        nullWhileAway(record.failures.counts()),
        nullWhileAway(record.timings.recent()),
      ]);
      const { sent, failed, cancelled, expired, accepted, queued, inFlight, scheduled, deferred } = counters;
      const ended = sent + failed;
      return {
        throttling: { activeRateLimits },
        deliveryFailures,
        queue: {
          waiting: queued,
          active: inFlight,
          completed: sent,
          failed,
          delayed: scheduled + deferred,
          unknown: counters.unknown + counters.held,
          cancelled,
          expired,
          accepted,
        },
        failedShare: ended === 0 ? 0 : failed / ended,
        failedShareTarget: FAILED_SHARE_TARGET,
        timings,
      };
    },
  );
}
