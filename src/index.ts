import type { Logger } from 'pino';
import type { CacheReport, CacheService, HitDetail } from './cache/index.ts';
import { formatProblems, loadConfig } from './config/index.ts';
import type { Responder } from './inbound/index.ts';
import type { QueueService } from './jobs/index.ts';
import {
  generateIdempotencyKey,
  type MessageView,
  ownMessages,
  type OwnMessages,
  type SendMessageOptions,
  type SendMessageResult,
  type ThrottledSender,
  type ThrottledStats,
} from './messages/index.ts';
import { messageRequestSchema, parseRequest } from './messages/request.ts';
import type { Statistics } from './stats/index.ts';
import type { ContentSidOptions, Creator, TemplateRegistry } from './templates/index.ts';
import type { RetryTotals, WaxwingFailures } from './failures/index.ts';
import { createLog } from './program/log.ts';
import { type Program, type Role, startProgram } from './program/start-program.ts';

export { AppError } from './errors/app-error.ts';
export type { ErrorCode } from './errors/catalogue.ts';
export type { QueueService } from './jobs/index.ts';
export type { HistoryItem, Reply, Responder, ResponderRequest } from './inbound/index.ts';
export type { CacheReport, CacheService } from './cache/index.ts';
export type { FailureToLog, RetryTotals, WaxwingFailures } from './failures/index.ts';
export { generateIdempotencyKey } from './messages/index.ts';
export type {
  MessageView,
  OwnMessages,
  SendMessageOptions,
  SendMessageResult,
  ThrottledSender,
  ThrottledStats,
} from './messages/index.ts';
export type { Statistics, StatsQuery, StatsReport } from './stats/index.ts';

export interface WaxwingOptions {
  /** Settings by their names, over those of the environment: `{ REDIS_URL: 'redis://…' }`. */
  readonly settings?: Readonly<Record<string, string>>;
  /** What this process does; default WAXWING_ROLE. `web` only accepts, `worker` sends. */
  readonly role?: Role;
  /** Serve the HTTP API too; default false. */
  readonly listen?: boolean;
  /** Answers incoming messages, instead of RESPONDER_URL; what it returns is sent to the person. */
  readonly responder?: Responder;
  /** A pino logger; default: errors on stdout. */
  readonly log?: Logger;
}

export interface WhatsAppSend {
  /** The tenant; the restaurant product's own word for it. Default: the tenant `default`. */
  readonly restaurantId?: string | number;
  readonly conversationId?: string;
  /** E.164 with `+`. */
  readonly phoneNumber: string;
  readonly text: string;
}

export interface WaxwingTemplates extends TemplateRegistry {
  /** See `Waxwing.getCachedContentSid`. */
  getCachedContentSid(key: string, creator: Creator, options?: ContentSidOptions): Promise<string>;
}

/** Waxwing inside another program, over the same queue and record as all its other processes. */
export interface Waxwing {
  /** Accept, read, list and cancel; see `OwnMessages`. Usable after `start()`. */
  readonly messages: OwnMessages;
  /** Failure record, slow retries, dead letters. Usable after `start()`. */
  readonly failures: WaxwingFailures;
  /** Job queues: webhooks, statuses, reminders, e-mail. Usable after `start()`. */
  readonly queues: QueueService;
  /** Figures of a dashboard. Usable after `start()`. */
  readonly stats: Statistics;
  /** Templates: registry, sync with the provider, preview, content ids. Usable after `start()`. */
  readonly templates: WaxwingTemplates;
  /**
   * Safe to call twice, and again after `stop()` or after a start that failed.
   * @throws Error with every wrong setting at once, or with a sentence when a part cannot start
   */
  start(): Promise<void>;
  /** Finishes what is in flight. Safe to call twice, and when nothing was started. */
  stop(): Promise<void>;
  /**
   * Puts a text on the queue; when it returns, the message is on disk.
   * @param priority 1 … 10, 10 first; default 5
   * @returns the job: `id` is the message id
   * @throws AppError `REQUEST_INVALID` (not retryable), `BACKLOG_FULL`, `QUEUE_UNAVAILABLE`, `QUEUE_FULL` (retryable)
   */
  enqueueWhatsAppSend(send: WhatsAppSend, priority?: number): Promise<MessageView>;
  /** Any key, and the named caches. Usable after `start()`. `Cacheable` and `CacheEvict` of `waxwing/cache` use it. */
  readonly cache: CacheService;
  /**
   * The content id of a template: TEMPLATE_SID_<KEY>, else from memory, else the record, else from `creator`, which
   * runs once for all callers in all processes.
   * @param options.data what the content is made of; another value is another content
   * @throws what `creator` throws; AppError `RECORD_UNAVAILABLE` while the record is away and the id is not known
   */
  getCachedContentSid(key: string, creator: Creator, options?: ContentSidOptions): Promise<string>;
  /** Counts a look for a content id that was known, for callers with a cache of their own. */
  recordCacheHit(key: string, dataSignature?: string | null, sid?: string | null, detail?: HitDetail): void;
  recordCacheMiss(key: string, dataSignature?: string | null): void;
  recordCacheCreation(key: string, dataSignature?: string | null, sid?: string | null): void;
  /** Figures of the caches of this process; from memory, at most a millisecond. */
  getCacheReport(): CacheReport;
  /** Sends texts at the pace WhatsApp allows and skips repetitions. Usable after `start()`. */
  readonly throttled: ThrottledSender;
  /** `throttled.sendMessage`. */
  sendMessage(phone: string, text: string, options?: SendMessageOptions): Promise<SendMessageResult>;
  /** The key under which the same text to the same person counts as one: `whatsapp:<phone>:<16 hex>`. */
  generateIdempotencyKey(phone: string, text: string, options?: { readonly type?: string }): string;
  /** `failures.retryFailedMessages`. */
  retryFailedMessages(n: number, waitMs?: number): Promise<RetryTotals>;
  /** `throttled.getStats`. */
  getStats(): Promise<ThrottledStats>;
}

/** Makes an instance; nothing runs before `start()`. */
export function createWaxwing(options: WaxwingOptions = {}): Waxwing {
  let program: Promise<Program> | undefined;
  let running: Program | undefined;
  const current = (): Program => {
    if (running === undefined) throw new Error('Waxwing was not started: await start() first.');
    return running;
  };

  return {
    get messages() {
      return ownMessages(current().messages);
    },
    get failures() {
      return current().failures;
    },
    get throttled() {
      return current().throttled;
    },
    generateIdempotencyKey,
    async sendMessage(phone, text, sendOptions) {
      return await current().throttled.sendMessage(phone, text, sendOptions);
    },
    async retryFailedMessages(n, waitMs) {
      return await current().failures.retryFailedMessages(n, waitMs);
    },
    async getStats() {
      return await current().throttled.getStats();
    },
    get queues() {
      return current().queues;
    },
    get templates() {
      const { templates, contentSids } = current();
      return {
        ...templates,
        getCachedContentSid: (...asked: Parameters<Waxwing['getCachedContentSid']>) => contentSids.get(...asked),
      };
    },
    get stats() {
      return current().stats;
    },
    get cache() {
      return current().caches.service;
    },
    getCachedContentSid: (key, creator, given) => current().contentSids.get(key, creator, given),
    recordCacheHit: (...event) => current().caches.metrics.recordCacheHit(...event),
    recordCacheMiss: (...event) => current().caches.metrics.recordCacheMiss(...event),
    recordCacheCreation: (...event) => current().caches.metrics.recordCacheCreation(...event),
    getCacheReport: () => current().caches.metrics.getCacheReport(),
    async start() {
      const starting = (program ??= startFrom(options));
      try {
        running = await starting;
      } catch (error) {
        // The next call tries again.
        if (program === starting) program = undefined;
        throw error;
      }
    },
    async stop() {
      const stopping = program;
      const started = await stopping?.catch(() => undefined);
      await started?.stop();
      if (program === stopping) program = running = undefined;
    },
    async enqueueWhatsAppSend({ restaurantId, conversationId, phoneNumber, text }, priority = 5) {
      const request = parseRequest(messageRequestSchema, {
        // Not String(): a caller's null or NaN must not become a tenant of that name.
        tenant: Number.isInteger(restaurantId) ? String(restaurantId) : restaurantId,
        to: phoneNumber,
        type: 'text',
        text: { body: text },
        priority,
        ...(conversationId === undefined ? {} : { conversation: conversationId }),
      });
      return (await current().shortSend.send(request, { kind: 'platform' })).message;
    },
  };
}

async function startFrom({ settings, role, listen = false, log, responder }: WaxwingOptions): Promise<Program> {
  // The library is a door of the program like the command line, so it reads the environment as that does.
  // eslint-disable-next-line no-restricted-properties
  const loaded = loadConfig({ ...process.env, ...settings }, process.cwd());
  if (!loaded.ok) throw new Error(formatProblems(loaded.problems));
  const { config } = loaded;
  return await startProgram(config, role ?? config.waxwingRole, log ?? createLog('error'), { listen, responder });
}
