import { decimal, integer, optionalInteger, optionalText, optionalUrl, toggle } from './setting.ts';

/** Metrics, alerts, traces. */
export const OBSERVE_SETTINGS = {
  METRICS_OPEN: toggle({
    area: 'observe',
    default: false,
    doc: '`/metrics` answers without a key, for a Prometheus that has none: at METRICS_PORT, which only it should reach, and never at PORT then; at PORT only while METRICS_PORT is unset.',
  }),
  METRICS_PORT: optionalInteger({
    area: 'observe',
    min: 0,
    max: 65_535,
    doc: 'Port on which a process answers `/health`, `/ready` and `/metrics` and nothing else, at HOST, whatever its role. Unset: a worker listens to nothing, and a web process answers them at PORT alone. 0 takes any free port.',
  }),
  METRICS_TENANTS_MAX: integer({
    area: 'observe',
    default: 100,
    min: 0,
    max: 10_000,
    doc: 'Tenants that have their own label in metrics; all later ones are counted together as `other`. Each one costs Prometheus some 20 series.',
  }),
  ALERT_WEBHOOK_URL: optionalUrl({
    area: 'observe',
    protocols: ['https:', 'http:'],
    secret: true,
    doc: 'Where alerts are sent when they begin and end. Unset: to the log and `/admin/alerts` only.',
  }),
  ALERT_WEBHOOK_SECRET: optionalText({
    area: 'observe',
    secret: true,
    pattern: { test: /^.{16,512}$/s, words: '16 … 512 characters, or whsec_ with base64' },
    doc: 'Signs alerts as Standard Webhooks says, so that the receiver knows they are ours. Needed with ALERT_WEBHOOK_URL.',
  }),
  OTEL_EXPORTER_OTLP_ENDPOINT: optionalUrl({
    area: 'observe',
    protocols: ['https:', 'http:'],
    doc: 'OpenTelemetry collector that takes OTLP over HTTP, e.g. `http://localhost:4318`. Unset: no traces, and messages carry nothing for them.',
  }),
  OTEL_TRACES_SAMPLER_ARG: decimal({
    area: 'observe',
    default: 1,
    min: 0,
    max: 1,
    doc: 'Share of new traces that are kept, 0 … 1. A trace that a caller began is kept when the caller keeps it.',
  }),
} as const;
