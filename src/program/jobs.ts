import type { Logger } from 'pino';
import type { Config } from '../config/index.ts';
import type { RedisTarget } from '../engine/connection.ts';
import {
  createJobWorkers,
  createQueueService,
  type JobEvent,
  type JobProcessors,
  type QueueService,
} from '../jobs/index.ts';

export interface Jobs {
  readonly queues: QueueService;
  /** Starts to work; resolves with what ends it. */
  startWorkers(processors: JobProcessors): Promise<() => Promise<void>>;
  close(): Promise<void>;
}

/** The job queues of this process: every role adds, workers work. They share the send queue's Redis, which keeps what it says it has. */
export function openJobs(config: Config, redis: RedisTarget, log: Logger): Jobs {
  const queues = createQueueService({
    redis,
    attempts: config.queueRetryAttempts,
    backoffMs: config.queueBackoffDelay,
    onAdded: (queue, jobId) => log.debug({ queue, jobId }, 'job added'),
  });
  return {
    queues,
    async startWorkers(processors) {
      const workers = await createJobWorkers({
        redis,
        processors,
        concurrency: {
          webhook: config.webhookQueueConcurrency,
          'message-status': config.messageQueueConcurrency,
          reminder: config.bookingQueueConcurrency,
          email: config.emailQueueConcurrency,
          respond: config.responderConcurrency,
        },
        onEvent: (queue, jobId, event) => logEvent(log, queue, jobId, event),
        onError: (queue, error) => log.debug({ queue, err: error }, 'a job queue cannot be reached'),
      });
      return () => workers.stop(config.shutdownGraceMs);
    },
    close: () => queues.close(),
  };
}

function logEvent(log: Logger, queue: string, jobId: string, { kind, ...detail }: JobEvent): void {
  const line = { queue, jobId, ...('error' in detail ? { ...detail, error: nameOf(detail.error) } : detail) };
  if (kind === 'failed') log.warn(line, 'job failed');
  else if (kind === 'stalled') log.warn(line, 'job taken over from a worker that vanished');
  else log.debug(line, `job ${kind}`);
}

/** The kind of an error: its words may quote what a person wrote. */
function nameOf(error: Error): string {
  const code: unknown = 'code' in error ? error.code : undefined;
  return typeof code === 'string' ? code : error.name;
}
