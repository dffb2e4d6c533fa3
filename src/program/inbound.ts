import type { Logger } from 'pino';
import type { Config } from '../config/index.ts';
import type { RedisSendQueue } from '../engine/queue.ts';
import {
  createProviderEventActions,
  createReception,
  createStatusProcessor,
  createUserLimit,
  createWebhookKeeper,
  createWebhookProcessor,
  createWebhookSecrets,
  type InboundHooks,
  InboundStatistics,
  type Reception,
  startWebhookKeeper,
  type WebhookKeeper,
  withParcels,
} from '../inbound/index.ts';
import type { JobProcessors, QueueService } from '../jobs/index.ts';
import { createCloudProvider } from '../providers/cloud/provider.ts';
import type { TagKey } from '../providers/tag.ts';
import type { WaxwingRecord } from '../record/index.ts';
import type { ReadAccount } from '../worker/accounts.ts';
import type { ProgramCaches } from './caches.ts';
import type { Accepting } from './accepting.ts';

interface InboundParts {
  readonly config: Config;
  readonly queue: RedisSendQueue;
  readonly record: WaxwingRecord;
  readonly accepting: Accepting;
  readonly queues: QueueService;
  readonly tagKey: TagKey;
  readonly caches: ProgramCaches;
  readonly log: Logger;
  /** What others do about what comes in. All are called, one after the other; see `InboundHooks` for what they promise. */
  readonly hooks: readonly InboundHooks[];
  readonly readAccount: ReadAccount;
}

/** Everything about what comes in, once per process. */
export interface Inbound {
  readonly reception: Reception;
  readonly keeper: WebhookKeeper;
  readonly statistics: InboundStatistics;
  readonly processors: JobProcessors;
  /** Of a message that was read; see `/v1/conversations/:id/read`. */
  readonly sendReceipt: (receipt: {
    readonly sender: string;
    readonly providerMessageId: string;
    readonly typing: boolean;
  }) => Promise<'sent' | 'none' | 'failed'>;
  /** In workers: queues what waits in PostgreSQL, and forgets what is old. Returns what ends it. */
  startKeeping(): () => void;
  close(): Promise<void>;
}

/** How often a worker looks for webhooks that PostgreSQL had to keep. */
const KEEP_EVERY_MS = 5_000;
/** A receipt is a courtesy: a caller does not wait long for it. */
const RECEIPT_MS = 3_000;

export function createInbound(parts: InboundParts): Inbound {
  const { config, queue, record, queues, tagKey, log } = parts;
  const statistics = new InboundStatistics();
  const batch = (parallelMax: number) => ({
    sizeMax: config.whatsappQueueBatchSize,
    intervalMs: config.whatsappQueueInterval,
    parallelMax,
  });
  const processWebhook = createWebhookProcessor({
    queue,
    record,
    actions: createProviderEventActions({
      changes: record.providerChanges,
      senders: record.senders,
      queue,
      knowing: (call) => parts.accepting.senders.knowing(call),
      defaultTenant: config.inboundDefaultTenant,
    }),
    limit: createUserLimit(queue.runner.client, config.inboundUserLimitPerMinute, (error) =>
      log.debug({ err: error }, 'the limit of incoming messages could not be asked'),
    ),
    hooks: joined(parts.hooks),
    statistics,
    tagKey,
    evictions: parts.caches.evictions,
    defaultTenant: config.inboundDefaultTenant,
    batch: batch(config.webhookQueueConcurrency),
  });
  const processStatus = createStatusProcessor({
    queue,
    messages: record.messages,
    statistics,
    batch: batch(config.messageQueueConcurrency),
    onFailed: (line) => log.warn(line, 'a message was not delivered'),
  });
  const keeper = createWebhookKeeper({ rawWebhooks: record.rawWebhooks, queues });
  const cloud = createCloudProvider({ deadlineMs: RECEIPT_MS });

  return {
    statistics,
    keeper,
    reception: createReception({
      queue,
      queues,
      rawWebhooks: record.rawWebhooks,
      secrets: createWebhookSecrets({
        senders: record.senders,
        appSecret: config.whatsappAppSecret,
        verifyToken: config.whatsappVerifyToken,
        evictions: parts.caches.evictions,
        evolutionToken: config.evolutionWebhookToken,
        twilioAuthToken: config.twilioAuthToken,
      }),
      statistics,
      tagKey,
      publicUrl: config.publicUrl,
      ...(config.whatsappAsyncProcessing
        ? {}
        : { processNow: (id, data) => processWebhook({ id, data, attempt: 1, attemptsMax: 2 }) }),
    }),
    processors: { webhook: withParcels(processWebhook, queues), 'message-status': processStatus },
    async sendReceipt({ sender, providerMessageId, typing }) {
      const account = await parts.readAccount(sender);
      if (account?.provider !== 'cloud') return 'none';
      const { kind } = await cloud.markRead({ account, providerMessageId, typing });
      return kind === 'done' ? 'sent' : 'failed';
    },
    startKeeping: () =>
      startWebhookKeeper(keeper, { everyMs: KEEP_EVERY_MS, keepDays: config.rawWebhookDays, statistics }),
    close: () => cloud.close(),
  };
}

function joined(all: readonly InboundHooks[]): InboundHooks {
  return {
    async onInbound(batch) {
      for (const { onInbound } of all) await onInbound?.(batch);
    },
    async onProviderEvent(event) {
      for (const { onProviderEvent } of all) await onProviderEvent?.(event);
    },
  };
}
