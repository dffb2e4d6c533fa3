import { Registry } from 'prom-client';
import type { MetricDefinition } from '../model/figures.ts';
import {
  ALERT_METRICS,
  CACHE_METRICS,
  CIRCUIT_METRICS,
  DISK_METRICS,
  QUEUE_METRICS,
  RECORD_METRICS,
  REDIS_METRICS,
  SendMetrics,
  SOURCE_UP,
} from '../observe/index.ts';
import { HTTP_METRIC } from '../http/metrics/routes.ts';
import { EVENT_METRICS } from './events-out.ts';
import { INBOUND_METRICS } from './inbound-figures.ts';
import { JOB_METRICS } from './job-figures.ts';
import { RETRY_WORKER_METRICS } from './retry-worker-figures.ts';

/** What sources tell: the alert rules may name these. */
export const SOURCE_METRICS: readonly MetricDefinition[] = [
  SOURCE_UP,
  ...QUEUE_METRICS,
  ...REDIS_METRICS,
  ...DISK_METRICS,
  ...RECORD_METRICS,
  ...CIRCUIT_METRICS,
  ...JOB_METRICS,
  ...RETRY_WORKER_METRICS,
  ...INBOUND_METRICS,
  ...EVENT_METRICS,
  ...CACHE_METRICS,
  ...ALERT_METRICS,
];

export interface DocumentedMetric {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  readonly labels: readonly string[];
  readonly scope: MetricDefinition['scope'];
}

/** Every metric of ours by name: what docs/monitoring.md lists and what the dashboard may ask for. */
export async function metricCatalogue(): Promise<DocumentedMetric[]> {
  const registry = new Registry();
  // Made for its names only.
  new SendMetrics(registry, { tenantsMax: 0 });
  const labelsOf = new Map(
    registry.getMetricsAsArray().map((metric) => {
      // The library keeps them there, but its type does not say so.
      const { labelNames = [] } = metric as { labelNames?: readonly string[] };
      return [metric.name, labelNames];
    }),
  );
  const told = (await registry.getMetricsAsJSON()).map(({ name, type, help }) => {
    return { name, help, type: String(type), labels: labelsOf.get(name) ?? [], scope: 'process' as const };
  });
  const http = { ...HTTP_METRIC, labels: HTTP_METRIC.labelNames, type: 'histogram', scope: 'process' as const };
  const sources = SOURCE_METRICS.map((metric) => ({ ...metric, labels: metric.labels ?? [] }));
  return [...sources, ...told, http]
    .map(({ name, type, help, labels, scope }) => ({ name, type, help, labels, scope }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}
