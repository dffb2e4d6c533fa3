import type { TagKey } from '../providers/tag.ts';
import type { Logger } from 'pino';
import type { Bookings } from '../bookings/index.ts';
import type { Config, Keys } from '../config/index.ts';
import { ScriptRunner } from '../engine/script-runner.ts';
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
import { createCloudWebhook, createWebhookSecrets } from '../inbound/index.ts';
import { createQueueAdministration, type QueueService } from '../jobs/index.ts';
import {
  createMessages,
  createSenders,
  createTenants,
  type Messages,
  senderDefaults,
  senderLimits,
  type Senders,
  settingsSenders,
  type Tenants,
} from '../messages/index.ts';
import type { AlertEngine } from '../observe/index.ts';
import type { Observing } from './observing.ts';
import type { WaxwingFailures } from '../failures/index.ts';
import type { SenderRecord, WaxwingRecord } from '../record/index.ts';
import { cachedSenders, cachedTenants } from './cached-stores.ts';
import type { ProgramCaches } from './caches.ts';

interface WebParts {
  readonly config: Config;
  readonly keys: Keys;
  readonly queue: RedisSendQueue;
  readonly record: WaxwingRecord;
  readonly accepting: Accepting;
  readonly failures: WaxwingFailures;
  readonly queues: QueueService;
  readonly caches: ProgramCaches;
  readonly tagKey: TagKey;
  readonly bookings: Bookings;
  readonly log: Logger;
  readonly readyChecks: Readonly<Record<string, () => Promise<void>>>;
  readonly isStopping: () => boolean;
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
function trustProxyOf({ trustProxy }: Config): HttpOptions['trustProxy'] {
  if (trustProxy === undefined || !/^\d+$/.test(trustProxy)) return trustProxy;
  const count = Number(trustProxy);
  return (_address, hop) => hop < count;
}

/** What accepts: the same for the API and for a program that embeds this one. */
export interface Accepting {
  readonly tenants: Tenants;
  readonly senders: Senders;
  readonly messages: Messages;
}

export function createAccepting(
  config: Config,
  queue: RedisSendQueue,
  record: WaxwingRecord,
  { service, evictions }: ProgramCaches,
): Accepting {
  const tenants = createTenants({
    store: cachedTenants(record.tenants, service),
    autoCreate: config.tenantAutoCreate,
    evictions,
  });
  const senders = createSenders({
    store: record.senders,
    cached: cachedSenders(record.senders, service),
    evictions,
    tenantStore: record.tenants,
    queue,
    fromSettings: settingsSenderRecords(config),
  });
  const statusWatchdogMs = config.statusWatchdogSeconds * 1000;
  const messages = createMessages({ queue, store: record.messages, tenants, senders, statusWatchdogMs });
  return { tenants, senders, messages };
}

/** Builds the API over queue and record and starts to listen. */
export async function startWeb(parts: WebParts): Promise<HttpServer> {
  const { config, keys, queue, record, tagKey, log, caches } = parts;
  const { tenants, senders, messages } = parts.accepting;
  const app = await buildApp({
    messages,
    webhook: createCloudWebhook({
      queue,
      rawWebhooks: record.rawWebhooks,
      secrets: createWebhookSecrets({
        senders: record.senders,
        appSecret: config.whatsappAppSecret,
        verifyToken: config.whatsappVerifyToken,
        evictions: caches.evictions,
      }),
      tagKey,
    }),
    admin: { record, queue, tenants, senders, senderDefaults: (provider) => senderDefaults(config, provider) },
    failures: { failures: parts.failures, record },
    checkKey: createApiKeyCheck({ platformKey: keys.apiKey, store: record.apiKeys, evictions: caches.evictions }),
    jwt: jwtSettings(config, keys),
    publicUrl: config.publicUrl,
    trustProxy: trustProxyOf(config),
    reports: { queue, record },
    alerts: parts.alerts,
    metrics: { metrics: parts.observing.metrics, isOpen: config.metricsOpen },
    bookings: parts.bookings,
    queues: createQueueAdministration({ queues: parts.queues, send: queue }),
    cache: { report: () => caches.metrics.getCacheReport(), history: record.cacheHistory },
    health: { durability: config.acceptDurability, readyChecks: parts.readyChecks, isStopping: parts.isStopping },
    version: packageVersion(),
    logger: log,
  });
  return await startServer(app, { host: config.host, port: config.port });
}

/** The senders of the settings in the record's shape, so that they are served without asking the record. */
function settingsSenderRecords(config: Config): SenderRecord[] {
  return settingsSenders(config).map((sender) => {
    const { id, tenant, provider, externalId, portfolio = null, channel = null } = sender;
    const own = { id, tenant, provider, externalId, apiUrl: sender.apiUrl, portfolio, channel };
    return { ...senderLimits(sender), ...own, pausedReason: null, createdAtMs: 0, updatedAtMs: 0 };
  });
}

/** A script ran on every shard: more than PING, because a queue that cannot write cannot accept. */
export function queueCheck(queue: RedisSendQueue): () => Promise<void> {
  const runner = new ScriptRunner(queue.runner.client);
  return async () => {
    for (let shard = 0; shard < queue.shards; shard += 1) await runner.run('tick', shard, [0, 0]);
  };
}
