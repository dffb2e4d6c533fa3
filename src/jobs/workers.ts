import { setTimeout as delay } from 'node:timers/promises';
import { DelayedError, type Job, UnrecoverableError, WaitingError, Worker } from 'bullmq';
import { disconnect, type RedisClient, type RedisTarget } from '../engine/connection.ts';
import { JOBS_PREFIX, workerClient } from './connection.ts';
import type { JobDataOf } from './data.ts';
import { isImpossible, JobLater } from './outcome.ts';
import { JOB_QUEUE_IDS, JOB_QUEUES, type JobQueueId } from './queues.ts';
import { UnderWay } from './under-way.ts';

/** A job as its processor sees it. */
export interface JobContext<D> {
  readonly id: string;
  readonly data: D;
  /** 1 = the first one. */
  readonly attempt: number;
  readonly attemptsMax: number;
  /** When it was added, epoch ms. */
  readonly addedAtMs: number;
  /** A worker that had it before vanished: was it the job that took it down? */
  readonly isTakenOver: boolean;
  /** A line that the board shows with the job. Never holds a text or a number of a person. */
  log(line: string): Promise<void>;
  /** 0 … 100. */
  progress(percent: number): Promise<void>;
}

/**
 * Does the work of one job. It may run twice for one job (a worker that dies after the work and before saying so), so
 * it must be idempotent. What it returns is kept with the job for the board: plain JSON, without texts and numbers.
 * Throwing means: try again after the backoff. `JobImpossible`, and an AppError of a caller's mistake (4xx, not
 * retryable), fail the job at once; `JobLater` puts it off.
 */
export type JobProcessor<D> = (job: JobContext<D>) => Promise<unknown>;

export type JobProcessors = { readonly [Q in JobQueueId]?: JobProcessor<JobDataOf[Q]> };

export type JobEvent =
  | { readonly kind: 'processing'; readonly attempt: number }
  | { readonly kind: 'completed'; readonly durationMs: number }
  | { readonly kind: 'later'; readonly atMs: number }
  | { readonly kind: 'retrying' | 'failed'; readonly attempt: number; readonly error: Error }
  /** A worker vanished with it; another one does it again. */
  | { readonly kind: 'stalled' };

export interface JobWorkersOptions {
  readonly redis: RedisTarget;
  /** Queues without a processor are left to other processes. */
  readonly processors: JobProcessors;
  /** Jobs of a queue that this process runs at once. */
  readonly concurrency: Readonly<Record<JobQueueId, number>>;
  readonly onEvent?: (queue: string, jobId: string, event: JobEvent) => void;
  readonly onError?: (queue: string, error: Error) => void;
  /** For tests. */
  readonly lockMs?: number;
  readonly stalledCheckMs?: number;
}

export interface JobWorkers {
  readonly queues: readonly JobQueueId[];
  /** Takes no more and waits for the jobs under way, at most `graceMs`; what is cut off runs again elsewhere. */
  stop(graceMs: number): Promise<void>;
}

/**
 * A job belongs to its worker for this long and is renewed at half of it. A worker that was killed stops renewing; the
 * next check of any worker after the end of the lock puts the job back. So it runs again after at most LOCK + CHECK =
 * 8 s (BullMQ's own figures, 30 s each, make that 60 s). An event loop that stands still for longer than the lock may
 * have its job run twice, which processors allow for.
 */
const LOCK_MS = 6000;
const STALLED_CHECK_MS = 2000;
/** A job that took its worker down so often is put aside as failed, so that it cannot take them all down for ever. */
const STALLS_MAX = 5;

/** After the last job: time to write down what became of it, and to end connections in good order. */
const CLOSE_MS = 2000;
/** After the grace period: time to end connections in good order. */
const CUT_OFF_MS = 1000;

/** Starts to work on the queues that have a processor. */
export async function createJobWorkers(options: JobWorkersOptions): Promise<JobWorkers> {
  const client = workerClient(options.redis);
  const ids = JOB_QUEUE_IDS.filter((id) => options.processors[id] !== undefined);
  let stopping: Promise<void> | undefined;
  const underWay = new UnderWay();
  const workers = ids.map((id) => startWorker(id, client, options, underWay, () => stopping !== undefined));

  async function stop(graceMs: number): Promise<void> {
    const finished = Promise.all(workers.map((worker) => worker.close())).then(() => true);
    const isLate = delay(graceMs, false, { ref: false });
    // The grace is for jobs. A connection that its Redis left, or just comes back to, has nothing to wait for.
    const isIdle = underWay.none().then(() => delay(CLOSE_MS, false, { ref: false }));
    const isFinished = await Promise.race([finished, isLate, isIdle]);
    if (!isFinished) {
      // A connection that lost its Redis waits for it to come back even when it is told to end: not longer than this.
      const ended = Promise.all(workers.map((worker) => worker.disconnect().catch(() => undefined)));
      await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, CUT_OFF_MS).unref())]);
    }
    disconnect(client);
  }

  try {
    await Promise.all(workers.map((worker) => worker.waitUntilReady()));
  } catch (error) {
    await stop(0);
    throw error;
  }
  return { queues: ids, stop: (graceMs) => (stopping ??= stop(graceMs)) };
}

function startWorker(
  id: JobQueueId,
  client: RedisClient,
  options: JobWorkersOptions,
  underWay: UnderWay,
  isStopping: () => boolean,
): Worker {
  const { apiName, bullName } = JOB_QUEUES[id];
  // The processor of a queue takes what that queue's jobs hold; the table's type says so entry by entry.
  const process = options.processors[id] as JobProcessor<unknown>;
  const say = (job: Job, event: JobEvent) => options.onEvent?.(apiName, job.id ?? '', event);

  const run = async (job: Job, token?: string): Promise<unknown> => {
    // A worker that closes takes one more job when it was just asking for one.
    if (isStopping()) {
      await job.moveToWait(token);
      throw new WaitingError();
    }
    const startedAtMs = performance.now();
    const attempt = job.attemptsMade + 1;
    say(job, { kind: 'processing', attempt });
    try {
      const result = await process(contextOf(job, attempt));
      say(job, { kind: 'completed', durationMs: Math.round(performance.now() - startedAtMs) });
      return result ?? null;
    } catch (error) {
      if (error instanceof JobLater) {
        await job.moveToDelayed(error.atMs, token);
        say(job, { kind: 'later', atMs: error.atMs });
        throw new DelayedError();
      }
      const known = error instanceof Error ? error : new Error(String(error));
      const isLast = isImpossible(error) || attempt >= (job.opts.attempts ?? 1);
      say(job, { kind: isLast ? 'failed' : 'retrying', attempt, error: known });
      if (isImpossible(error)) throw new UnrecoverableError(known.message);
      throw known;
    }
  };
  const worker = new Worker(bullName, (job, token) => underWay.while(() => run(job, token)), {
    connection: client,
    prefix: JOBS_PREFIX,
    concurrency: options.concurrency[id],
    lockDuration: options.lockMs ?? LOCK_MS,
    stalledInterval: options.stalledCheckMs ?? STALLED_CHECK_MS,
    maxStalledCount: STALLS_MAX,
  });
  worker.on('error', (error) => options.onError?.(apiName, error));
  worker.on('stalled', (jobId) => options.onEvent?.(apiName, jobId, { kind: 'stalled' }));
  return worker;
}

function contextOf(job: Job, attempt: number): JobContext<unknown> {
  return {
    id: job.id ?? '',
    data: job.data as unknown,
    attempt,
    attemptsMax: job.opts.attempts ?? 1,
    addedAtMs: job.timestamp,
    isTakenOver: job.stalledCounter > 0,
    async log(line) {
      await job.log(line);
    },
    progress: (percent) => job.updateProgress(percent),
  };
}
