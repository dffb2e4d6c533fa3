import { hostname } from 'node:os';
import { context, propagation, trace } from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import {
  BatchSpanProcessor,
  NodeTracerProvider,
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
} from '@opentelemetry/sdk-trace-node';
import type { Config } from '../config/index.ts';
import { packageVersion } from '../util/version.ts';

/**
 * Sends traces to the collector of OTEL_EXPORTER_OTLP_ENDPOINT; without one nothing is started.
 * @returns ends it and sends what is left, at most five seconds long
 */
export function startTraces(config: Config, role: string): () => Promise<void> {
  const endpoint = config.otelExporterOtlpEndpoint;
  if (endpoint === undefined) return () => Promise.resolve();
  const provider = new NodeTracerProvider({
    resource: resourceFromAttributes({
      'service.name': 'waxwing',
      'service.version': packageVersion(),
      'service.instance.id': `${hostname()}-${process.pid}`,
      'waxwing.role': role,
    }),
    // What a caller decided counts; the share is for traces that begin here.
    sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(config.otelTracesSamplerArg) }),
    spanProcessors: [
      new BatchSpanProcessor(
        new OTLPTraceExporter({ url: `${endpoint.replace(/\/$/, '')}/v1/traces`, timeoutMillis: 5_000 }),
      ),
    ],
  });
  provider.register();
  return async () => {
    await provider.shutdown().catch(() => undefined);
    // The API is one for the whole process: a program that is started after this one must not record into it.
    for (const part of [trace, context, propagation]) part.disable();
  };
}
