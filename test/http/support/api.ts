import { createHmac } from 'node:crypto';
import type { FastifyBaseLogger, FastifyInstance, InjectOptions, LightMyRequestResponse } from 'fastify';
import { createBookings, parseQuietHours, type Bookings, type ReminderQueue } from '../../../src/bookings/index.ts';
import { buildApp, createApiKeyCheck, signJwt, type Role } from '../../../src/http/index.ts';
import {
  createReception,
  createWebhookKeeper,
  createWebhookSecrets,
  InboundStatistics,
  type KeptWebhookJob,
} from '../../../src/inbound/index.ts';
import { addressFault } from '../../../src/util/guarded-fetch/index.ts';
import { AppError } from '../../../src/errors/app-error.ts';
import { createQueueAdministration, createQueueService, type QueueService } from '../../../src/jobs/index.ts';
import {
  createMessages,
  createSenders,
  createShortSend,
  createTenants,
  type Messages,
  type QueueSwitch,
} from '../../../src/messages/index.ts';
import type { AlertRouteOptions } from '../../../src/http/alerts/routes.ts';
import { withdrawalBy } from '../../../src/program/bookings.ts';
import { Metrics } from '../../../src/observe/index.ts';
import type { NewSender, WaxwingRecord } from '../../../src/record/index.ts';
import { createRecorder, openRecord, type RecordOptions } from '../../../src/record/index.ts';
import { createCloudTemplates } from '../../../src/providers/cloud/templates.ts';
import { createTwilioTemplates } from '../../../src/providers/twilio/templates.ts';
import { createTemplates } from '../../../src/templates/index.ts';
import { createStats } from '../../../src/stats/index.ts';
import { createSecretBox } from '../../../src/util/secret-box.ts';
import { Caches, CacheService, TemplateMetrics, TieredCache } from '../../../src/cache/index.ts';
import { testDatabase } from '../../support/services.ts';
import type { SendQueue } from '../../../src/engine/contract.ts';
import type { RedisSendQueue } from '../../../src/engine/queue.ts';
import { RetryDesk } from '../../../src/engine/retry-desk.ts';
import { createFailures, type WaxwingFailures } from '../../../src/failures/index.ts';
import { StreamDesk } from '../../../src/engine/stream-desk.ts';
import type { EventLog } from '../../../src/model/events.ts';
import type { Gate } from './gate.ts';
import { MemoryQueue } from '../../messages/support/memory-queue.ts';

export const PLATFORM_KEY = 'platform-key-of-these-tests';
export const APP_SECRET = 'app-secret-of-these-tests';
export const TAG_KEY = Buffer.from('tag key of these tests');
export const JWT_SECRET = 'jwt-secret-of-these-tests-32-characters';
const JWT = { secret: JWT_SECRET, audience: undefined, issuer: undefined };

export const SENDER_DEFAULTS = {
  apiUrl: 'https://graph.facebook.com/v23.0',
  ratePerSecond: 80,
  burst: 1,
  concurrency: 20,
  pairGapMs: 2000,
  pairBucketCapacity: 45,
  pairBucketRefillPerSecond: 0.1667,
};

/** Port 1 is nobody's: connecting is refused at once. */
const NO_REDIS = 'redis://127.0.0.1:1';

export interface ApiOptions {
  /** Job queues on a real Redis; without them the queue routes answer 503. */
  readonly queues?: QueueService;
  /** BULL_BOARD_PATH; without it there is no board. */
  readonly boardPath?: string;
  /** QUIET_HOURS. */
  readonly quietHours?: string;
  readonly autoCreate?: boolean;
  /** False: the settings name no sender. */
  readonly hasDefaultSender?: boolean;
  readonly appSecret?: string | undefined;
  readonly extend?: (app: FastifyInstance) => void;
  readonly logger?: FastifyBaseLogger;
  readonly publicUrl?: string;
  readonly trustProxy?: string;
  readonly jwksUrl?: string;
  /** Brakes on guessing that do not last as long as in life. */
  readonly signInAttempts?: RecordOptions['signInAttempts'];
  readonly metrics?: Metrics;
  readonly alerts?: AlertRouteOptions;
  /** Stands before PostgreSQL for the API (not for the recorder), so that a test can cut it off. */
  readonly viaGate?: Gate;
  /** Whom the short form sends through the queue (everybody), and how long it waits for the queue to be empty. */
  readonly queueSwitch?: { readonly isOnQueue: QueueSwitch; readonly queueDrainMs: number };
  /** Instead of the queue in memory. */
  readonly realQueue?: { readonly queue: SendQueue; readonly log: EventLog };
}

/** The whole API over a real PostgreSQL, a real recorder and the queue in memory. */
export interface Api {
  readonly app: FastifyInstance;
  readonly queue: MemoryQueue;
  readonly record: WaxwingRecord;
  /** Jobs for webhooks that were added. */
  readonly webhookJobs: { readonly id: string; readonly priority: number | undefined; readonly data: KeptWebhookJob }[];
  /** Receipts that were asked for. */
  readonly receipts: { readonly sender: string; readonly providerMessageId: string; readonly typing: boolean }[];
  readonly templateMetrics: TemplateMetrics;
  readonly messages: Messages;
  readonly bookings: Bookings;
  readonly reminders: MemoryReminders;
  /** One request; `as` is the credential. */
  call(request: Call): Promise<LightMyRequestResponse>;
  /** Waits until everything that happened so far is in the record. */
  recorded(): Promise<void>;
  token(role: Role): Promise<string>;
  ready: Record<string, () => Promise<void>>;
  isStopping: boolean;
  /** Follows `isStopping` until it is set. */
  isClosing: boolean;
  close(): Promise<void>;
}

export interface Call {
  readonly method?: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  readonly url: string;
  readonly body?: unknown;
  readonly as?: string | null;
  readonly headers?: Record<string, string>;
}

export async function startApi(options: ApiOptions = {}): Promise<Api> {
  const { url: databaseUrl } = await testDatabase();
  const record = openRecord({
    databaseUrl: options.viaGate === undefined ? databaseUrl : await options.viaGate.before(databaseUrl),
    tenantDefaults: { concurrency: 5, weight: 1, backlogMax: 1000 },
    secretBox: createSecretBox({ key: 'secret-key-of-these-tests' }),
    ...(options.signInAttempts === undefined ? {} : { signInAttempts: options.signInAttempts }),
  });
  const memoryQueue = new MemoryQueue();
  const { queue, log } = options.realQueue ?? { queue: memoryQueue, log: memoryQueue.log };
  const recorder = createRecorder({ databaseUrl, log, blockMs: 20 });
  recorder.start();
  const settings: NewSender = {
    id: 'default',
    tenant: null,
    provider: 'cloud',
    externalId: '100200300',
    ...SENDER_DEFAULTS,
    credentials: { accessToken: 'EAAG-secret' },
    shard: 0,
  };
  const fromSettings = options.hasDefaultSender === false ? [] : [await record.senders.ensure(settings)];
  const tenants = createTenants({ store: record.tenants, autoCreate: options.autoCreate ?? true });
  const senders = createSenders({ store: record.senders, tenantStore: record.tenants, queue, fromSettings });
  const messages = createMessages({ queue, store: record.messages, tenants, senders });
  const queueSwitch = options.queueSwitch ?? { isOnQueue: () => true };
  const shortSend = createShortSend({
    ...{ messages, queue, keys: record.direct, fallback: 'reject' as const },
    ...queueSwitch,
    directSender: { send: () => Promise.reject(new Error('these tests send through the queue')) },
    ...{ readAccount: () => Promise.resolve(null), pauseReason: () => Promise.resolve(null) },
  });
  const secrets = createWebhookSecrets({
    senders: record.senders,
    appSecret: 'appSecret' in options ? options.appSecret : APP_SECRET,
    verifyToken: 'the-verify-token',
  });
  const ready: Api['ready'] = { redis: async () => Promise.resolve(), database: () => record.ping() };
  const tiers = new TieredCache({ redisUrl: null, bytesMax: 1_048_576 });
  const caches = new Caches({ tiers, spikeThreshold: 0.5 });
  const seconds = { defaultSeconds: 60, dashboardSeconds: 60, salonSeconds: 60, templateSeconds: 60 };
  const otherSeconds = { conversationSeconds: 60, userMappingSeconds: 60, configSeconds: 60, projectsSeconds: 60 };
  const cache = new CacheService(caches, { ...seconds, ...otherSeconds, conversationHistorySeconds: 60 });
  const stats = createStats({ store: record.stats, cache });
  const templates = createTemplates({
    store: record.templates,
    providers: [createCloudTemplates(), createTwilioTemplates()],
    senders: record.senders,
    changes: record.providerChanges,
    exclusive: record.exclusive,
    queue,
    knowing: (call) => senders.knowing(call),
    cache,
    businessAccountId: '102290129340398',
    twilioContentUrl: 'http://127.0.0.1:1',
  });
  const templateMetrics = new TemplateMetrics({ caches });
  const state = { isStopping: false, isClosing: undefined as boolean | undefined };
  const webhookJobs: Api['webhookJobs'] = [];
  const receipts: Api['receipts'] = [];
  const webhookQueues: Pick<QueueService, 'addJobs'> = {
    addJobs(queueName, jobs) {
      if (memoryQueue.isAway) return Promise.reject(new AppError('QUEUE_UNAVAILABLE'));
      for (const { data, priority, options: given } of jobs) {
        webhookJobs.push({ id: given?.jobId ?? '', priority, data: data as unknown as KeptWebhookJob });
      }
      return Promise.resolve(jobs.map(({ options: given }) => ({ id: given?.jobId ?? '', queue: queueName })));
    },
  };
  // Connects when a test asks it something; the others need no Redis.
  const queues = options.queues ?? createQueueService({ redis: { url: NO_REDIS }, attempts: 3, backoffMs: 2000 });
  const reminders = new MemoryReminders();
  const bookings = createBookings({
    store: record.bookings,
    reminders,
    withdraw: withdrawalBy(messages),
    quietHours: parseQuietHours(options.quietHours),
  });
  const app = await buildApp({
    messages,
    shortSend,
    webhook: createReception({
      queue,
      queues: webhookQueues,
      rawWebhooks: record.rawWebhooks,
      secrets,
      statistics: new InboundStatistics(),
      tagKey: TAG_KEY,
    }),
    webhookKeeper: createWebhookKeeper({ rawWebhooks: record.rawWebhooks, queues: webhookQueues }),
    conversations: {
      record,
      sendReceipt: (receipt) => {
        receipts.push(receipt);
        return Promise.resolve('sent');
      },
    },
    reports: { queue, record },
    alerts: options.alerts ?? { state: { alerts: [], outbox: [], evaluatedAtMs: 0, by: '' } },
    metrics: { metrics: options.metrics ?? new Metrics({ ofProcess: false }), isOpen: false },
    bookings,
    ...(options.boardPath === undefined
      ? {}
      : {
          board: {
            path: options.boardPath,
            queues,
            send: { name: 'whatsapp-send', queue, messages, record },
            secret: JWT.secret,
          },
        }),
    stats,
    templates,
    streams: { streams: (queue as Partial<Pick<RedisSendQueue, 'streams'>>).streams ?? emptyStreams(), record },
    queues: createQueueAdministration({ queues, send: queue }),
    cache: { report: () => templateMetrics.getCacheReport(), history: record.cacheHistory },
    failures: { failures: failuresOver(record, queue), record },
    events: {
      eventsOut: record.eventsOut,
      secretsOf: (endpoint) => [`whsec_${Buffer.from(endpoint).toString('base64')}`],
      wake: () => undefined,
    },
    admin: {
      eventsUrlFault: (url) => addressFault(url, { allowPrivate: false }),
      isOnQueue: queueSwitch.isOnQueue,
      record,
      queue,
      tenants,
      senders,
      senderDefaults: (provider) => ({ ...SENDER_DEFAULTS, ...(provider === 'cloud' ? {} : { apiUrl: '' }) }),
    },
    checkKey: createApiKeyCheck({ platformKey: PLATFORM_KEY, store: record.apiKeys }),
    jwt: { ...JWT, ...(options.jwksUrl === undefined ? {} : { jwksUrl: options.jwksUrl }) },
    publicUrl: options.publicUrl,
    trustProxy: options.trustProxy,
    health: {
      durability: 'disk',
      readyChecks: ready,
      isStopping: () => state.isStopping,
      isClosing: () => state.isClosing ?? state.isStopping,
    },
    version: '0.0.0-test',
    ...(options.extend === undefined ? {} : { extend: options.extend }),
    ...(options.logger === undefined ? {} : { logger: options.logger }),
  });

  return {
    app,
    webhookJobs,
    receipts,
    queue: memoryQueue,
    messages,
    bookings,
    reminders,
    record,
    templateMetrics,
    ready,
    get isClosing() {
      return state.isClosing ?? state.isStopping;
    },
    set isClosing(value) {
      state.isClosing = value;
    },
    get isStopping() {
      return state.isStopping;
    },
    set isStopping(value) {
      state.isStopping = value;
      state.isClosing = undefined;
    },
    call({ method = 'GET', url, body, as = PLATFORM_KEY, headers }) {
      const request: InjectOptions = { method, url, headers: { ...headers } };
      if (as !== null) request.headers = { authorization: `Bearer ${as}`, ...request.headers };
      if (body !== undefined) request.payload = body as NonNullable<InjectOptions['payload']>;
      return app.inject(request);
    },
    recorded: async () => {
      if (!(await recorder.caughtUp(10_000))) throw new Error('the recorder did not catch up');
    },
    token: (role) => signJwt({ role, name: `${role}@example.com` }, JWT),
    async close() {
      await app.close();
      await queues.close();
      await recorder.stop();
      await record.close();
    },
  };
}

/** The queue in memory hands over without streams. */
function emptyStreams(): StreamDesk {
  const nothing = { call: () => Promise.resolve([]), hgetall: () => Promise.resolve({}) };
  const scan = () => Promise.resolve(['0', []]);
  const client = { ...nothing, hlen: () => Promise.resolve(0), hget: () => Promise.resolve(null), scan, hscan: scan };
  return new StreamDesk({
    client: client as never,
    shards: 4,
    run: () => Promise.resolve([-1, 0, 0, 0, 0]),
    reclaim: () => Promise.resolve({ entries: -1, isGone: false }),
    sweep: () => Promise.resolve({ removed: 0 }),
  });
}

/** What came back goes nowhere with the queue in memory; tests of redrives use the real engine. */
function failuresOver(record: WaxwingRecord, queue: SendQueue): WaxwingFailures {
  const { retries } = queue as Partial<Pick<RedisSendQueue, 'retries'>>;
  return createFailures({
    record,
    queue,
    clearPairLimit: () => Promise.resolve(),
    retries:
      retries ??
      new RetryDesk(
        null as never,
        4,
        () => Promise.resolve(1),
        () => Promise.resolve(false),
      ),
    intervalMs: 60_000,
    scheduleSeconds: [60],
    statusWatchdogMs: 3_600_000,
    draft: () => Promise.reject(new Error('not here')),
    prepareSender: () => Promise.resolve(false),
    contactOf: (to) => to,
  });
}

export function sign(body: string, secret = APP_SECRET): string {
  return `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`;
}

export const text = (more: Record<string, unknown> = {}) => ({
  to: '+4915112345678',
  type: 'text',
  text: { body: 'Your table is ready.' },
  ...more,
});

/** Reminders that wait, by booking and kind: the job queue in a few lines. */
export class MemoryReminders implements ReminderQueue {
  readonly waiting = new Map<string, number>();

  async schedule(booking: { tenant: string; id: string }, kind: string, dueAtMs: number): Promise<void> {
    this.waiting.set(`${booking.tenant} ${booking.id} ${kind}`, dueAtMs);
    await Promise.resolve();
  }
  async cancel(booking: { tenant: string; id: string }, kind: string): Promise<void> {
    this.waiting.delete(`${booking.tenant} ${booking.id} ${kind}`);
    await Promise.resolve();
  }
}
