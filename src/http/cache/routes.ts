import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { type CacheReport, historyChart } from '../../cache/index.ts';
import type { CacheHistory } from '../../record/index.ts';

export interface CacheRouteOptions {
  readonly report: () => CacheReport;
  readonly history: Pick<CacheHistory, 'hours'>;
}

const count = z.int().min(0);
const rate = z.number().min(0).max(1);
const figures = z
  .object({ hits: count, misses: count, creations: count, hitRate: rate, missRate: rate })
  .meta({ id: 'CacheFigures' });
const window = z.object({ metrics: figures }).describe('The last five minutes.');
const health = z.object({ missRateAboveThreshold: z.boolean() });
const report = z.object({
  runtime: z
    .object({
      cumulative: figures.describe('Since the process started.'),
      window,
      byKey: z.record(z.string(), figures).describe('At most 1,000 templates; the others together under `other`.'),
    })
    .describe('The cache of content ids, in the process that answers.'),
  database: z
    .object({ entries: count, keys: count, newestAt: z.string().nullable(), refreshedAt: z.string() })
    .nullable()
    .describe('Content ids in the record, refreshed every minute; null until it was read.'),
  health,
  caches: z
    .record(z.string(), z.object({ cumulative: figures, window, health }))
    .describe('Every named cache that was used.'),
  efficiency: z.record(z.string(), rate).describe('Share of uses without a call to the provider, by template.'),
  metadata: z.object({
    generatedAt: z.string(),
    startedAt: z.string(),
    windowSeconds: count,
    spikeThreshold: rate,
    targets: z.object({ hitRate: rate, missRate: rate }),
    callsSaved: count,
    tiers: z.object({
      isRedisUp: z.boolean(),
      memoryBytes: count,
      memoryEntries: count,
      redisBytes: z.int(),
      redisEntries: count,
      bytesMax: count,
    }),
  }),
});
const historyQuery = z.object({
  hours: z.coerce.number().int().min(1).max(744).default(24).describe('How far back.'),
});
const hours = z.object({
  items: z.array(
    z.object({
      at: z.string().describe('Beginning of the hour.'),
      cache: z.string(),
      hits: count,
      misses: count,
      creations: count,
      hitRate: rate,
      callsSaved: count,
    }),
  ),
});

const HOUR_MS = 3_600_000;

/** `/api/cache/metrics` and its history. */
export function cacheRoutes(app: FastifyInstance, options: CacheRouteOptions): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();
  const tags = ['reports'];

  routes.get(
    '/api/cache/metrics',
    {
      config: { access: 'report' },
      schema: { tags, summary: 'Figures of the caches', response: { 200: report } },
    },
    () => options.report() as z.infer<typeof report>,
  );

  routes.get(
    '/api/cache/metrics/history',
    {
      config: { access: 'report' },
      schema: {
        tags,
        summary: 'Figures of the caches by hour',
        description: 'Of all processes together, oldest first.',
        querystring: historyQuery,
        response: { 200: hours },
      },
    },
    async (request) => {
      const items = await options.history.hours(request.query.hours);
      return {
        items: items.map(({ atMs, hits, misses, ...hour }) => ({
          ...hour,
          hits,
          misses,
          at: new Date(atMs).toISOString(),
          hitRate: hits + misses === 0 ? 0 : hits / (hits + misses),
          callsSaved: hits,
        })),
      };
    },
  );

  routes.get(
    '/api/cache/metrics/history.svg',
    {
      config: { access: 'report' },
      schema: {
        tags,
        summary: 'The history of one cache as a picture',
        description: 'Bars of hits and misses by hour, and a line for the hit rate.',
        querystring: historyQuery.extend({ cache: z.string().min(1).max(100).default('template-sids') }),
        response: { 200: { content: { 'image/svg+xml': { schema: z.string() } } } },
      },
    },
    async (request, reply) => {
      const { hours: back, cache } = request.query;
      const found = new Map<number, { hits: number; misses: number }>();
      for (const hour of await options.history.hours(back)) if (hour.cache === cache) found.set(hour.atMs, hour);
      const lastMs = Math.floor(Date.now() / HOUR_MS) * HOUR_MS;
      const shown = Array.from({ length: back }, (_, index) => {
        const atMs = lastMs - (back - 1 - index) * HOUR_MS;
        return { atMs, ...(found.get(atMs) ?? { hits: 0, misses: 0 }) };
      });
      return reply.type('image/svg+xml').header('cache-control', 'no-store').send(historyChart(cache, shown));
    },
  );
}
