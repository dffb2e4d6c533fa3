import { setTimeout as delay } from 'node:timers/promises';
import { Queue } from 'bullmq';
import { disconnect, whenReady, type RedisClient, type RedisTarget } from '../engine/connection.ts';
import { toQueueError } from '../engine/script-runner.ts';
import { AppError } from '../errors/app-error.ts';
import { JOBS_PREFIX, queueClient } from './connection.ts';
import { JOB_QUEUE_IDS, JOB_QUEUES, type JobQueueId } from './queues.ts';

export interface BullQueuesOptions {
  readonly redis: RedisTarget;
  /** QUEUE_RETRY_ATTEMPTS, of queues that have no number of their own. */
  readonly attempts: number;
  /** QUEUE_BACKOFF_DELAY, ms. */
  readonly backoffMs: number;
}

/** BullMQ's queues over one connection, for adding and looking. */
export interface BullQueues {
  readonly byId: Readonly<Record<JobQueueId, Queue>>;
  /**
   * Runs calls to these queues, and makes their errors ours.
   * @throws AppError `QUEUE_UNAVAILABLE` (retryable) at once while Redis is away, `QUEUE_FULL` (retryable); a fault of
   *   the program as it is
   */
  readonly asking: <T>(work: () => Promise<T>) => Promise<T>;
  /** Resolves when Redis answers. */
  ping(): Promise<void>;
  close(): Promise<void>;
}

const HOUR_SECONDS = 3600;
/** How long finished jobs stay to be looked at. */
const KEEP_COMPLETED = { count: 1000, age: 24 * HOUR_SECONDS };
const KEEP_FAILED = { count: 5000, age: 7 * 24 * HOUR_SECONDS };
/** Enough to see what happened, and bounded. */
const KEEP_LOGS = 100;
const STACK_LINES = 10;
/** Nobody here listens to BullMQ's events; the board does not either. */
const EVENTS_MAX = 1000;
/** Calls that come before the first connect stands wait for it so long. */
const CONNECT_MS = 2000;

export function openBullQueues(options: BullQueuesOptions): BullQueues {
  const client = queueClient(options.redis);
  const byId = Object.fromEntries(JOB_QUEUE_IDS.map((id) => [id, openQueue(client, id, options)])) as Record<
    JobQueueId,
    Queue
  >;

  let wasReady = false;
  // Behind a connection that stands BullMQ still asks what server it is, and everything else waits for that answer.
  let isOpen = false;
  const opening = Promise.all(JOB_QUEUE_IDS.map((id) => byId[id].waitUntilReady())).then(
    () => (isOpen = true),
    () => false,
  );

  async function asking<T>(work: () => Promise<T>): Promise<T> {
    // BullMQ waits for a connection that comes back; a caller must hear at once, but for the first connect.
    if (!(await whenReady(client, wasReady ? 0 : CONNECT_MS))) throw new AppError('QUEUE_UNAVAILABLE');
    wasReady = true;
    if (!isOpen && !(await Promise.race([opening, delay(CONNECT_MS, false, { ref: false })]))) {
      throw new AppError('QUEUE_UNAVAILABLE');
    }
    try {
      return await work();
    } catch (error) {
      throw isOurs(error) ? error : toQueueError(error);
    }
  }

  return {
    byId,
    asking,
    async ping() {
      await asking(() => client.ping());
    },
    async close() {
      await Promise.all(JOB_QUEUE_IDS.map((id) => byId[id].close().catch(() => undefined)));
      disconnect(client);
    },
  };
}

/**
 * Errors that no connection makes: what was asked has a fault, such as data that JSON cannot hold. As a Redis that is
 * away it would be tried again for ever, and looked for in the wrong place.
 */
function isOurs(error: unknown): boolean {
  return [AppError, TypeError, RangeError, ReferenceError, SyntaxError].some((kind) => error instanceof kind);
}

function openQueue(client: RedisClient, id: JobQueueId, options: BullQueuesOptions): Queue {
  const { bullName, attempts, backoffMs } = JOB_QUEUES[id];
  const queue = new Queue(bullName, {
    connection: client,
    prefix: JOBS_PREFIX,
    streams: { events: { maxLen: EVENTS_MAX } },
    defaultJobOptions: {
      attempts: attempts ?? options.attempts,
      backoff: { type: 'exponential', delay: backoffMs ?? options.backoffMs },
      removeOnComplete: KEEP_COMPLETED,
      removeOnFail: KEEP_FAILED,
      keepLogs: KEEP_LOGS,
      stackTraceLimit: STACK_LINES,
    },
  });
  // Every failed call rejects with its own error; without a listener the same error would end the process.
  queue.on('error', () => undefined);
  return queue;
}
