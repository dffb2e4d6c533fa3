import type { Logger } from 'pino';
import type { Config } from '../config/index.ts';
import type { RedisSendQueue } from '../engine/queue.ts';
import {
  createAsk,
  createHistory,
  createRespondProcessor,
  createTurns,
  httpResponder,
  type InboundHooks,
  type Responder,
  responderHooks,
} from '../inbound/index.ts';
import type { JobProcessors, QueueService } from '../jobs/index.ts';
import type { WaxwingRecord } from '../record/index.ts';
import { type Breakers, createBreakers } from '../util/breakers.ts';
import { createGuardedFetch, GuardedFetchError } from '../util/guarded-fetch/index.ts';
import type { ProgramCaches } from './caches.ts';
import type { Accepting } from './accepting.ts';

/** The answering of incoming messages, once per process. Without a responder nothing of it does anything. */
export interface Responding {
  readonly hooks: InboundHooks;
  readonly processors: JobProcessors;
  readonly breakers: Pick<Breakers, 'list'>;
  close(): Promise<void>;
}

const ANSWER_BYTES_MAX = 1_048_576;

/** @param parts.responder a function instead of RESPONDER_URL, when a program embeds this one */
export function openResponding(parts: {
  readonly config: Config;
  readonly responder: Responder | undefined;
  readonly queue: RedisSendQueue;
  readonly queues: QueueService;
  readonly record: WaxwingRecord;
  readonly accepting: Accepting;
  readonly caches: ProgramCaches;
  readonly log: Logger;
}): Responding {
  const { config, queues, record, log } = parts;
  const breakers = createBreakers({
    threshold: config.circuitBreakerThreshold,
    timeoutMs: config.circuitBreakerTimeout,
  });
  const fetch = createGuardedFetch({
    allowPrivate: config.dangerouslyAllowPrivateEventsUrl,
    timeoutMs: config.responderTimeoutMs,
    answerBytesMax: ANSWER_BYTES_MAX,
  });
  const { responderUrl: url, responderSecret: secrets } = config;
  const responder = parts.responder ?? (url === undefined ? undefined : httpResponder({ url, secrets, fetch }));
  if (responder === undefined) {
    return { hooks: {}, processors: {}, breakers, close: () => fetch.close() };
  }
  const turns = createTurns(parts.queue.runner.client);
  const maxAgeMs = config.responderMaxAgeSeconds * 1000;
  const jobs = queues.bullQueue('respond');
  breakers.onChange(({ name, state }) => {
    if (state === 'open') log.warn({ breaker: name }, 'the responder failed too often; it is left alone for a while');
    else if (state === 'closed') log.info({ breaker: name }, 'the responder answers again');
  });
  const respond = createRespondProcessor({
    ask: createAsk({
      responder,
      // An address that is refused says nothing of the health of what is behind it.
      breaker: breakers.of('responder', (error) => !(error instanceof GuardedFetchError && error.reason === 'url')),
      timeoutMs: config.responderTimeoutMs,
    }),
    turns,
    history: createHistory({
      chat: record.chat,
      cache: parts.caches.service.named.conversationHistory,
      said: parts.caches.service.named.conversationSaid,
      ttlMs: config.cacheConversationTtl,
      onError: (error) => log.debug({ err: error }, 'the history of a conversation could not be read'),
    }),
    messages: parts.accepting.messages,
    tenantOf: (id) => parts.accepting.tenants.resolve(id),
    async isWaiting(jobId) {
      const state = await jobs.getJobState(jobId);
      return state !== 'unknown' && state !== 'completed' && state !== 'failed';
    },
    async hurry(jobId) {
      const job = await jobs.getJob(jobId);
      // It may be running already, to look whose turn it is.
      if (job !== undefined && (await job.isDelayed())) await job.promote().catch(() => undefined);
    },
    fallbackText: config.responderFallbackText,
    ackText: config.responderAckText,
    maxAgeMs,
    onOutcome: (outcome, ms, reason) => {
      if (outcome === 'fallback' || outcome === 'failed')
        log.warn({ outcome, ms, reason }, 'the responder gave no answer');
      else log.debug({ outcome, ms }, 'an incoming message was answered');
    },
  });
  return {
    hooks: responderHooks({ queues, turns, maxAgeMs }),
    processors: { respond },
    breakers,
    close: () => fetch.close(),
  };
}
