import type { Logger } from 'pino';
import type { Config } from '../config/index.ts';
import type { RedisSendQueue } from '../engine/queue.ts';
import {
  createMessages,
  createSenders,
  createTenants,
  type Messages,
  senderLimits,
  type Senders,
  settingsSenders,
  type Tenants,
} from '../messages/index.ts';
import type { SenderRecord, WaxwingRecord } from '../record/index.ts';
import { cachedSenders, cachedTenants } from './cached-stores.ts';
import type { ProgramCaches } from './caches.ts';
import { logDuplicate } from './short-send.ts';

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
  log: Logger,
): Accepting {
  const tenants = createTenants({
    store: cachedTenants(record.tenants, service),
    autoCreate: config.tenantAutoCreate,
    evictions,
    onRemembered: (id) => service.named.salon.remembered(id),
  });
  const senders = createSenders({
    store: record.senders,
    cached: cachedSenders(record.senders, service),
    evictions,
    onRemembered: {
      sender: (id) => service.named.whatsappConfig.remembered(id),
      owner: (tenant) => service.named.userProjects.remembered(tenant),
    },
    tenantStore: record.tenants,
    queue,
    fromSettings: settingsSenderRecords(config),
  });
  const statusWatchdogMs = config.statusWatchdogSeconds * 1000;
  const messages = createMessages({
    queue,
    store: record.messages,
    tenants,
    senders,
    statusWatchdogMs,
    meanAttemptMs: (sender) => record.timings.meanOf(sender),
    tenantDefaults: { concurrency: config.tenantConcurrency, weight: 1 },
    onDuplicateContent: (first) => logDuplicate(log, first),
  });
  return { tenants, senders, messages };
}

/** The senders of the settings in the record's shape, so that they are served without asking the record. */
function settingsSenderRecords(config: Config): SenderRecord[] {
  return settingsSenders(config).map((sender) => {
    const { id, tenant, provider, externalId, portfolio = null, channel = null } = sender;
    const own = { id, tenant, provider, externalId, apiUrl: sender.apiUrl, portfolio, channel };
    return { ...senderLimits(sender), ...own, pausedReason: null, createdAtMs: 0, updatedAtMs: 0 };
  });
}
