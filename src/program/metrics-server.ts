import type { Logger } from 'pino';
import type { Config, Keys } from '../config/index.ts';
import { buildMetricsApp, createApiKeyCheck, createJwtCheck, type HttpServer, startServer } from '../http/index.ts';
import type { WaxwingRecord } from '../record/index.ts';
import type { Observing } from './observing.ts';
import { jwtSettings } from './web.ts';

/** Health and figures of a process in any role, at METRICS_PORT: a port that need not be reachable from outside. */
export async function startMetricsServer(parts: {
  readonly config: Config;
  readonly keys: Keys;
  readonly record: WaxwingRecord;
  readonly log: Logger;
  readonly observing: Observing;
  readonly readyChecks: Readonly<Record<string, () => Promise<void>>>;
  readonly isStopping: () => boolean;
}): Promise<HttpServer> {
  const { config, keys, record, log, observing, readyChecks, isStopping } = parts;
  const app = await buildMetricsApp({
    auth: {
      checkKey: createApiKeyCheck({ platformKey: keys.apiKey, store: record.apiKeys }),
      checkJwt: createJwtCheck(jwtSettings(config, keys)),
    },
    health: { durability: config.acceptDurability, readyChecks, isStopping },
    metrics: { metrics: observing.metrics, isOpen: config.metricsOpen },
    logger: log,
  });
  const server = await startServer(app, { host: config.host, port: config.metricsPort ?? 0, setting: 'METRICS_PORT' });
  log.info({ url: server.url }, 'health and metrics of this process');
  return server;
}
