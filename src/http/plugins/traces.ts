import { context, propagation, ROOT_CONTEXT, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import type { Span } from '@opentelemetry/api';
import type { FastifyInstance } from 'fastify';
import fp from 'fastify-plugin';

/**
 * One span per request, under the caller's `traceparent` when there is one. What the request does runs inside it.
 * Named by the route and never by the address, which may hold ids and numbers.
 */
export const traces = fp(
  (app: FastifyInstance, _options, done) => {
    const spans = new WeakMap<object, Span>();
    app.addHook('onRequest', (request, _reply, next) => {
      const parent = propagation.extract(ROOT_CONTEXT, request.headers);
      const route = request.routeOptions.url ?? 'unknown route';
      const span = trace
        .getTracer('waxwing')
        .startSpan(
          `${request.method} ${route}`,
          { kind: SpanKind.SERVER, attributes: { 'http.request.method': request.method, 'http.route': route } },
          parent,
        );
      if (!span.isRecording()) {
        next();
        return;
      }
      spans.set(request, span);
      context.with(trace.setSpan(parent, span), next);
    });
    app.addHook('onResponse', (request, reply, next) => {
      const span = spans.get(request);
      span?.setAttribute('http.response.status_code', reply.statusCode);
      if (reply.statusCode >= 500) span?.setStatus({ code: SpanStatusCode.ERROR });
      span?.end();
      next();
    });
    done();
  },
  { name: 'traces' },
);
