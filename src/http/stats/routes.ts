import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { scopeOf } from '../../messages/principal.ts';
import { tenantIdSchema } from '../../messages/request.ts';
import { MESSAGE_STATUSES } from '../../model/message.ts';
import type { Statistics } from '../../stats/index.ts';
import { periodOf } from '../period.ts';
import { principalOf } from '../plugins/auth.ts';

export interface StatsRouteOptions {
  readonly stats: Statistics;
}

const instant = z.iso.datetime({ offset: true });
const query = z.object({
  tenant: tenantIdSchema.optional().describe('A platform key without it: all tenants together.'),
  user: z
    .string()
    .min(1)
    .max(200)
    .optional()
    .describe('Whose dashboard it is: names the cached answer `dashboard:stats:{user}:{tenant}`, changes no figure.'),
  from: instant.optional().describe('Rounded down to the half hour; default 30 days before `to`.'),
  to: instant.optional().describe('Rounded up to the half hour; default now. At most 366 days after `from`.'),
  timeZone: z.string().max(64).optional().describe('Of days and hours, such as `Asia/Riyadh`; default UTC.'),
});

const count = z.int().min(0);
const rate = z.number().min(0).max(1);
const ms = z.int().min(0).nullable();
const byStatus = z.object(Object.fromEntries(MESSAGE_STATUSES.map((status) => [status, count])));
const report = z
  .object({
    tenant: z.string().nullable(),
    from: z.string(),
    to: z.string(),
    timeZone: z.string(),
    generatedAt: z.string().describe('An answer from the cache keeps its time.'),
    messages: z.object({
      total: count,
      byStatus: byStatus.describe('What the messages that were made in the range are now.'),
      byDay: z.array(z.object({ day: z.string(), total: count, received: count, byStatus: byStatus.partial() })),
      received: count,
    }),
    deliveryRate: rate.nullable().describe('Delivered or read, of those that the provider took.'),
    readRate: rate.nullable().describe('Read, of those delivered.'),
    averageSendMs: ms.describe('From the accept, or sendAt, until the provider took them.'),
    responseTime: z
      .object({ answers: count, averageMs: ms, medianMs: ms, p95Ms: ms })
      .describe("From a customer's first unanswered message to the next message sent in the conversation."),
    failures: z.array(
      z.object({ code: z.string(), providerCode: z.string().nullable(), messages: count, share: rate }),
    ),
    bookings: z.object({
      active: count.describe('That take place in the range.'),
      cancelled: count,
      made: count.describe('That were made in the range.'),
      remindersSent: count,
    }),
    busiestHours: z.array(z.object({ hour: z.int().min(0).max(23), sent: count, received: count, total: count })),
  })
  .meta({ id: 'Stats' });

/** `/v1/stats`. */
export function statsRoutes(app: FastifyInstance, { stats }: StatsRouteOptions): void {
  app.withTypeProvider<ZodTypeProvider>().get(
    '/v1/stats',
    {
      config: { access: 'key' },
      schema: {
        tags: ['statistics'],
        summary: 'Figures of a dashboard',
        description: 'Cached for DASHBOARD_CACHE_TTL_SECONDS, and read anew when messages or bookings change.',
        querystring: query,
        response: { 200: report },
      },
    },
    async (request) => {
      const { tenant, user, from, to, timeZone } = request.query;
      const found = await stats.get({
        tenant: scopeOf(principalOf(request), tenant),
        user,
        ...periodOf({ from, to }),
        timeZone,
      });
      return structuredClone(found) as unknown as z.input<typeof report>;
    },
  );
}
