import { afterAll } from 'vitest';
import {
  createProviderEventActions,
  createReception,
  createStatusProcessor,
  createUserLimit,
  createWebhookKeeper,
  createWebhookProcessor,
  createWebhookSecrets,
  type HandedMessage,
  type InboundHooks,
  InboundStatistics,
  type Reception,
  type WebhookKeeper,
  withParcels,
} from '../../../src/inbound/index.ts';
import { RedisSendQueue } from '../../../src/engine/queue.ts';
import { createJobWorkers, createQueueService, type QueueService } from '../../../src/jobs/index.ts';
import {
  createRecorder,
  openRecord,
  type NewSender,
  type Recorder,
  type WaxwingRecord,
} from '../../../src/record/index.ts';
import { ShardEventLog } from '../../../src/engine/event-log.ts';
import { ShardReader } from '../../../src/engine/shard-reader.ts';
import { createSecretBox } from '../../../src/util/secret-box.ts';
import { sharedRedisUrl, testDatabase } from '../../support/services.ts';
import { APP_SECRET, signatureOf } from './cloud.ts';

export const TAG_KEY = Buffer.from('tag key of the inbound tests');

export interface RoomOptions {
  readonly redisUrl: string;
  readonly databaseUrl: string;
  readonly hooks?: InboundHooks;
  readonly perMinute?: number;
  readonly concurrency?: number;
  readonly batchSize?: number;
  readonly intervalMs?: number;
  /** Default true. */
  readonly works?: boolean;
}

/** The whole of what comes in, on a real Redis and a real PostgreSQL, without HTTP. */
export interface Room {
  readonly record: WaxwingRecord;
  readonly queue: RedisSendQueue;
  readonly queues: QueueService;
  readonly reception: Reception;
  readonly keeper: WebhookKeeper;
  readonly statistics: InboundStatistics;
  readonly handed: HandedMessage[];
  readonly recorder: Recorder;
  /** Receives a signed webhook of the Cloud API. */
  post(body: string): Promise<void>;
  close(): Promise<void>;
}

export const SENDER: NewSender = {
  id: 'main',
  tenant: null,
  provider: 'cloud',
  externalId: '100200300',
  apiUrl: 'https://graph.facebook.com/v23.0',
  ratePerSecond: 80,
  burst: 1,
  concurrency: 20,
  pairGapMs: 0,
  pairBucketCapacity: 0,
  pairBucketRefillPerSecond: 0.1667,
  portfolio: 'waba',
  credentials: { accessToken: 'x' },
  shard: 0,
};

export async function openRoom(options: RoomOptions): Promise<Room> {
  const redis = { url: options.redisUrl };
  const record = openRecord({
    databaseUrl: options.databaseUrl,
    tenantDefaults: { concurrency: 5, weight: 1, backlogMax: 1000 },
    secretBox: createSecretBox({ key: 'secret key of the inbound tests' }),
  });
  await record.senders.ensure(SENDER);
  const queue = new RedisSendQueue({ redis, shards: 1 });
  await queue.connect(10_000);
  await queue.configureSender({ ...SENDER, sender: SENDER.id });
  const recorder = createRecorder({
    blockMs: 20,
    databaseUrl: options.databaseUrl,
    log: new ShardEventLog(0, queue.runner.client, new ShardReader(redis, 0)),
  });
  recorder.start();
  const queues = createQueueService({ redis, attempts: 3, backoffMs: 50 });
  const statistics = new InboundStatistics();
  const handed: HandedMessage[] = [];
  const batch = {
    sizeMax: options.batchSize ?? 10,
    intervalMs: options.intervalMs ?? 100,
    parallelMax: options.concurrency ?? 5,
  };
  const processWebhook = createWebhookProcessor({
    queue,
    record,
    actions: createProviderEventActions({
      changes: record.providerChanges,
      senders: record.senders,
      queue,
      knowing: (call) => call(),
      defaultTenant: 'default',
    }),
    limit: createUserLimit(queue.runner.client, options.perMinute ?? 0),
    hooks: options.hooks ?? {
      onInbound: (messages) => {
        handed.push(...messages);
        return Promise.resolve();
      },
    },
    statistics,
    tagKey: TAG_KEY,
    defaultTenant: 'default',
    batch,
    pauseMs: 100,
  });
  const processStatus = createStatusProcessor({ queue, messages: record.messages, statistics, batch });
  const stopWorkers =
    options.works === false
      ? null
      : await createJobWorkers({
          redis,
          processors: { webhook: withParcels(processWebhook, queues), 'message-status': processStatus },
          concurrency: { webhook: batch.parallelMax, 'message-status': 10, reminder: 1, email: 1, respond: 1 },
        });
  const reception = createReception({
    queue,
    queues,
    rawWebhooks: record.rawWebhooks,
    secrets: createWebhookSecrets({ senders: record.senders, appSecret: APP_SECRET, verifyToken: 'verify' }),
    statistics,
    tagKey: TAG_KEY,
  });
  return {
    record,
    queue,
    queues,
    reception,
    keeper: createWebhookKeeper({ rawWebhooks: record.rawWebhooks, queues }),
    statistics,
    handed,
    recorder,
    post: (body) =>
      reception.receive({
        provider: 'cloud',
        sender: undefined,
        body: Buffer.from(body),
        headers: { 'x-hub-signature-256': signatureOf(body) },
        path: '/webhooks/whatsapp/cloud',
      }),
    async close() {
      await stopWorkers?.stop(5000);
      await recorder.stop();
      await queues.close();
      queue.close();
      await record.close();
    },
  };
}

/** A room on the file's Redis and a database of its own, until the file is done. Called where the file begins, outside of any test. */
export async function roomOfFile(
  options: Omit<RoomOptions, 'redisUrl' | 'databaseUrl'> = {},
): Promise<{ readonly url: string; readonly room: Room }> {
  const [{ url }, redisUrl] = await Promise.all([testDatabase(), sharedRedisUrl()]);
  const room = await openRoom({ ...options, redisUrl, databaseUrl: url });
  afterAll(() => room.close());
  return { url, room };
}
