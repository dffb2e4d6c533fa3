import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import { AppError } from '../errors/app-error.ts';
import type { Bookings } from '../bookings/index.ts';
import type { Config, Keys } from '../config/index.ts';
import type { RedisSendQueue } from '../engine/queue.ts';
import {
  buildApp,
  createApiKeyCheck,
  type HttpOptions,
  type HttpServer,
  type JwtSettings,
  startServer,
} from '../http/index.ts';
import { packageVersion } from '../util/version.ts';
import { createQueueAdministration, type QueueService } from '../jobs/index.ts';
import { senderDefaults, type ShortSend } from '../messages/index.ts';
import { Metrics, type AlertEngine } from '../observe/index.ts';
import type { Accepting } from './accepting.ts';
import type { EventsOutParts } from './events-out.ts';
import type { Observing } from './observing.ts';
import type { WaxwingFailures } from '../failures/index.ts';
import { boardActs } from './board-acts.ts';
import { dashboardOf } from './dashboard.ts';
import { queueSwitchOf } from './short-send.ts';
import type { Leaving } from './leaving.ts';
import type { Statistics } from '../stats/index.ts';
import type { TemplateRegistry } from '../templates/index.ts';
import type { WaxwingRecord } from '../record/index.ts';
import type { ProgramCaches } from './caches.ts';

interface WebParts {
  readonly config: Config;
  readonly keys: Keys;
  readonly queue: RedisSendQueue;
  readonly record: WaxwingRecord;
  readonly accepting: Accepting;
  readonly failures: WaxwingFailures;
  readonly shortSend: ShortSend;
  readonly queues: QueueService;
  /** What comes in; see `inbound.ts`. */
  readonly inbound: {
    readonly reception: HttpOptions['webhook'];
    readonly keeper: HttpOptions['webhookKeeper'];
    readonly sendReceipt: HttpOptions['conversations']['sendReceipt'];
  };
  readonly eventsOut: EventsOutParts;
  readonly caches: ProgramCaches;
  readonly bookings: Bookings;
  readonly stats: Statistics;
  readonly templates: TemplateRegistry;
  readonly log: Logger;
  readonly readyChecks: Readonly<Record<string, () => Promise<void>>>;
  readonly leaving: Leaving;
  readonly observing: Observing;
  readonly alerts: AlertEngine;
}

export function jwtSettings(config: Config, keys: Keys): JwtSettings {
  return {
    secret: keys.jwtSecret,
    audience: config.jwtAudience,
    issuer: config.jwtIssuer,
    jwksUrl: config.jwtJwksUrl,
  };
}

/** TRUST_PROXY as Fastify takes it: a number of proxies becomes "the nearest so many", addresses stay text. */
export function trustProxyOf({ trustProxy }: Pick<Config, 'trustProxy'>): HttpOptions['trustProxy'] {
  if (trustProxy === undefined || !/^\d+$/.test(trustProxy)) return trustProxy;
  const count = Number(trustProxy);
  return (_address, hop) => hop < count;
}

/** Builds the API over queue and record and starts to listen. */
export async function startWeb(parts: WebParts): Promise<HttpServer> {
  const { config, keys, queue, record, log, caches } = parts;
  const { tenants, senders, messages } = parts.accepting;
  const options: HttpOptions = {
    messages,
    shortSend: parts.shortSend,
    webhook: parts.inbound.reception,
    webhookKeeper: parts.inbound.keeper,
    conversations: { record, sendReceipt: parts.inbound.sendReceipt },
    admin: {
      record,
      queue,
      tenants,
      senders,
      senderDefaults: (provider) => senderDefaults(config, provider),
      eventsUrlFault: (url) => parts.eventsOut.faultOf(url),
      isOnQueue: queueSwitchOf(config),
    },
    failures: { failures: parts.failures, record },
    events: { eventsOut: record.eventsOut, secretsOf: parts.eventsOut.secretsOf, wake: () => parts.eventsOut.wake() },
    checkKey: createApiKeyCheck({ platformKey: keys.apiKey, store: record.apiKeys, evictions: caches.evictions }),
    jwt: jwtSettings(config, keys),
    publicUrl: config.publicUrl,
    trustProxy: trustProxyOf(config),
    reports: { queue, record },
    alerts: parts.alerts,
    // With a port of their own, figures are open there only: this one is reached from outside.
    metrics: { metrics: parts.observing.metrics, isOpen: config.metricsOpen && config.metricsPort === undefined },
    bookings: parts.bookings,
    streams: { streams: queue.streams, record },
    queues: createQueueAdministration({
      queues: parts.queues,
      send: queue,
      sendQueueName: config.whatsappSendQueueName,
    }),
    stats: parts.stats,
    templates: parts.templates,
    cache: { report: () => caches.metrics.getCacheReport(), history: record.cacheHistory },
    health: {
      durability: config.acceptDurability,
      readyChecks: parts.readyChecks,
      isStopping: () => parts.leaving.isStopping,
      isClosing: () => parts.leaving.isClosing,
      onReady: () => parts.leaving.noteReady(),
    },
    version: packageVersion(),
    isTraced: config.otelExporterOtlpEndpoint !== undefined,
    logger: log,
  };
  const live = parts.observing.liveView(parts);
  live.start();
  const own = await listenAll({ ...options, dashboard: dashboardOf(parts, live) }, parts);
  return {
    ...own,
    stop: async (graceMs) => {
      live.stop();
      await own.stop(graceMs);
    },
  };
}

/** The API, and Bull Board where the settings want it. */
async function listenAll(options: HttpOptions, parts: WebParts): Promise<HttpServer> {
  const { config, keys, queue, record, log } = parts;
  const { messages } = parts.accepting;
  const board = {
    path: config.bullBoardPath,
    queues: parts.queues,
    send: { name: config.whatsappSendQueueName, queue, messages, record, ...boardActs(parts.failures) },
    secret: keys.jwtSecret,
  };
  if (!config.bullBoardEnabled) return await listen(options, config.host, config.port);
  if (config.bullBoardPort === undefined) return await listen({ ...options, board }, config.host, config.port);
  const main = await listen(options, config.host, config.port);
  try {
    // Figures of its own, which nobody reads: a metric has one place.
    const metrics = { metrics: new Metrics({ ofProcess: false }), isOpen: false };
    const only = { ...options, board, metrics, extend: boardOnly(config.bullBoardPath) };
    const own = await listen(only, config.host, config.bullBoardPort, 'BULL_BOARD_PORT');
    log.info({ url: `${own.url}${config.bullBoardPath}` }, 'Bull Board');
    return {
      ...main,
      stop: async (graceMs) => {
        await Promise.all([own.stop(graceMs), main.stop(graceMs)]);
      },
    };
  } catch (error) {
    await main.stop(0);
    throw error;
  }
}

async function listen(options: HttpOptions, host: string, port: number, setting = 'PORT'): Promise<HttpServer> {
  return await startServer(await buildApp(options), { host, port, setting });
}

/** On its own port the board has the sign-in beside it and nothing else of the API. */
function boardOnly(path: string): (app: FastifyInstance) => void {
  const shown = [path, '/login', '/logout'];
  return (app) => {
    app.addHook('onRequest', (request, _reply, done) => {
      const url = request.url.split('?')[0] ?? '';
      const isShown = shown.some((one) => url === one || url.startsWith(`${one}/`));
      if (isShown) done();
      else done(new AppError('NOT_FOUND', { detail: 'This port serves Bull Board only.' }));
    });
  };
}
