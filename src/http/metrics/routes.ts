import type { FastifyInstance } from 'fastify';
import { Histogram } from 'prom-client';
import { z } from 'zod';
import type { Metrics } from '../../observe/index.ts';

export interface MetricsRouteOptions {
  readonly metrics: Metrics;
  /** Without a key, for a Prometheus that has none: METRICS_OPEN, on the port that it is for. */
  readonly isOpen: boolean;
}

/** `/metrics` in Prometheus' text format, and the times of all requests. */
export function metricsRoutes(app: FastifyInstance, { metrics, isOpen }: MetricsRouteOptions): void {
  app.get(
    '/metrics',
    {
      config: { access: isOpen ? 'open' : 'report' },
      schema: {
        tags: ['reports'],
        summary: 'All figures in the text format of Prometheus',
        response: { 200: { description: 'Metrics', content: { 'text/plain': { schema: z.string() } } } },
      },
    },
    async (_request, reply) => {
      reply.header('cache-control', 'no-store').type(metrics.registry.contentType);
      // As bytes: the serializer of the routes would make JSON of it.
      return reply.send(Buffer.from(await metrics.text()));
    },
  );
}

export const HTTP_METRIC = {
  name: 'waxwing_http_request_seconds',
  help: 'Requests to the HTTP API.',
  labelNames: ['method', 'route', 'status'],
} as const;

/** Told before routes are added. Labelled with the pattern of the route, never with what a caller wrote. */
export function measureRequests(app: FastifyInstance, metrics: Metrics): void {
  const times = new Histogram({
    ...HTTP_METRIC,
    buckets: [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
    registers: [metrics.registry],
  });
  const children = new Map<string, ReturnType<typeof times.labels>>();
  app.addHook('onResponse', (request, reply, done) => {
    const route = request.routeOptions.url ?? 'unknown';
    const status = `${Math.floor(reply.statusCode / 100)}xx`;
    const key = `${request.method} ${route} ${status}`;
    let child = children.get(key);
    if (child === undefined) children.set(key, (child = times.labels({ method: request.method, route, status })));
    child.observe(reply.elapsedTime / 1000);
    done();
  });
}
