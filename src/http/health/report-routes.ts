import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { nullWhileAway } from '../../errors/while-away.ts';
import { type Alert, cachesOf, FigureTable, healthReport, type Metrics } from '../../observe/index.ts';
import type { WaxwingRecord } from '../../record/index.ts';

export interface HealthReportOptions {
  readonly metrics: Pick<Metrics, 'snapshot'>;
  readonly alerts: { readonly state: { readonly alerts: readonly Alert[] } };
  readonly record: Pick<WaxwingRecord, 'timings'>;
}

const state = z.enum(['up', 'down', 'unknown']);
const caches = z.array(z.object({ name: z.string(), hitRate: z.number().nullable(), reads: z.number() }));
const health = z.object({
  status: z
    .enum(['healthy', 'degraded', 'unhealthy'])
    .describe('unhealthy: nothing can be accepted; degraded: it works, and somebody should look.'),
  reasons: z.array(z.string()),
  database: z.object({ status: state, recorderLagSeconds: z.number().nullable() }),
  queue: z.object({ status: state, memoryShare: z.number().nullable() }),
  breakers: z.array(z.object({ name: z.string(), open: z.boolean() })),
  errorRate: z.object({ failed: z.number(), completed: z.number(), share: z.number() }),
  caches,
  alerts: z.array(z.string()),
});
const percentiles = z.object({ p50: z.number(), p95: z.number(), p99: z.number() }).describe('Milliseconds.');
const workers = z.object({
  queue: z.object({
    size: z.number().nullable().describe('Messages accepted and not ended.'),
    due: z.number().nullable().describe('In flight, or could be now.'),
    byState: z.record(z.string(), z.number()),
    byHold: z.record(z.string(), z.number()).describe('What holds those that wait.'),
    oldestWaitingSeconds: z.number().nullable().describe('As far as recorded; asked every 10 s at most.'),
  }),
  workers: z.array(z.object({ name: z.string(), inWork: z.number() })),
  processing: z
    .object({ attempts: z.number(), processingMs: percentiles, acceptToProviderMs: percentiles })
    .nullable()
    .describe('Of the newest attempts; null when there were none, or while the record is away.'),
  completed: z.number().describe('How often messages were sent.'),
  failed: z.number().describe('How often messages failed for good, also after they had been sent.'),
  caches,
});

/** `/api/webhooks/whatsapp/health` and `/api/workers/whatsapp`. */
export function healthReportRoutes(app: FastifyInstance, options: HealthReportOptions): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();
  const config = { access: 'report' } as const;
  const tags = ['reports'];

  routes.get(
    '/api/webhooks/whatsapp/health',
    { config, schema: { tags, summary: 'Health of all parts, with reasons', response: { 200: health, 503: health } } },
    async (_request, reply) => {
      const { figures } = await options.metrics.snapshot();
      const report = healthReport(figures, options.alerts.state.alerts);
      // Monitors that only look at the number see it too.
      const answer = { ...report, reasons: [...report.reasons], breakers: [...report.breakers] };
      return reply
        .code(report.status === 'unhealthy' ? 503 : 200)
        .send({ ...answer, caches: [...report.caches], alerts: [...report.alerts] });
    },
  );

  routes.get(
    '/api/workers/whatsapp',
    { config, schema: { tags, summary: 'Workers, queue size and times', response: { 200: workers } } },
    async () => {
      const [{ figures }, processing] = await Promise.all([
        options.metrics.snapshot(),
        nullWhileAway(options.record.timings.recent()),
      ]);
      const table = new FigureTable(figures);
      const byLabel = (name: string, label: string) =>
        Object.fromEntries(table.all(name).map(({ labels, value }) => [labels?.[label] ?? '', value]));
      const ended = (state: string) => table.one('waxwing_messages_total', { state }) ?? 0;
      const slots = new Map<string, number>();
      for (const { labels, value } of table.all('waxwing_worker_slots_used')) {
        const name = labels?.['worker'] ?? '';
        slots.set(name, (slots.get(name) ?? 0) + value);
      }
      return {
        queue: {
          size: table.sum('waxwing_backlog'),
          due: table.one('waxwing_work_due'),
          byState: byLabel('waxwing_backlog', 'state'),
          byHold: byLabel('waxwing_backlog_held', 'hold'),
          oldestWaitingSeconds: table.one('waxwing_oldest_waiting_seconds'),
        },
        workers: [...slots].map(([name, inWork]) => ({ name, inWork })),
        processing,
        completed: ended('sent'),
        failed: ended('failed') + ended('undelivered'),
        caches: [...cachesOf(table)],
      };
    },
  );
}
