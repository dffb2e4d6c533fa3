import { hostname } from 'node:os';
import { context, propagation, trace } from '@opentelemetry/api';
import type { Config } from '../config/index.ts';
import { packageVersion } from '../util/version.ts';

/**
 * Sends traces to the collector of OTEL_EXPORTER_OTLP_ENDPOINT; without one nothing is started.
 * @returns ends it and sends what is left, at most five seconds long
 */
export async function startTraces(config: Config, role: string): Promise<() => Promise<void>> {
  const endpoint = config.otelExporterOtlpEndpoint;
  if (endpoint === undefined) return () => Promise.resolve();
  // Only now: the SDK takes longer to load than all of ours.
  const { OTLPTraceExporter } = await import('@opentelemetry/exporter-trace-otlp-http');
  const { resourceFromAttributes } = await import('@opentelemetry/resources');
  const { BatchSpanProcessor, NodeTracerProvider, ParentBasedSampler, TraceIdRatioBasedSampler } =
    await import('@opentelemetry/sdk-trace-node');
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
