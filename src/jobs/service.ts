import { setTimeout as delay } from 'node:timers/promises';
import { type Job, type JobsOptions, Queue } from 'bullmq';
import { disconnect, whenReady, type RedisTarget } from '../engine/connection.ts';
import { toQueueError } from '../engine/script-runner.ts';
import { AppError } from '../errors/app-error.ts';
import { mailTemplateNamed } from '../mail/index.ts';
import { JOBS_PREFIX, queueClient } from './connection.ts';
import type { EmailJobData, JobDataOf, MessageStatusJobData, ReminderJobData, WebhookJobData } from './data.ts';
import { bullPriority, JOB_QUEUE_IDS, JOB_QUEUES, type JobQueueId, queueNamed } from './queues.ts';

/**
 * A point in time as callers have it at hand: a Date, ISO 8601, or a number of milliseconds or seconds since 1970, also
 * as text, as WhatsApp writes it in its webhooks. Below 100,000,000,000 it counts seconds.
 */
export type Instant = Date | string | number;

export interface AddedJob {
  readonly id: string;
  /** API name of the queue. */
  readonly queue: string;
}

export interface AddOptions {
  /** A job with this id that exists is kept and nothing is added. No colon, and not digits only. */
  readonly jobId?: string;
  /** Earliest start, ms from now. */
  readonly delayMs?: number;
  readonly attempts?: number;
}

export interface QueueStats {
  /** Ready to run; those that wait for their time are not counted. */
  readonly waiting: number;
  readonly active: number;
  readonly completed: number;
  readonly failed: number;
}

export interface QueueDetail extends QueueStats {
  /** Waiting for their time: reminders, and retries between two attempts. */
  readonly delayed: number;
  readonly paused: boolean;
}

export const CLEANABLE_STATES = ['completed', 'failed', 'waiting', 'delayed'] as const;
export type CleanableState = (typeof CLEANABLE_STATES)[number];

type Loose<T, K extends keyof T> = Omit<T, K> & { readonly [P in K]: Instant };

/**
 * Adds jobs and looks after queues. Queues are named by their API name (`whatsapp:webhook`) or a short one (`webhook`).
 * When an add resolves, the job is on the disk of the queue Redis. Priorities are 1 … 10, 10 first.
 *
 * All methods throw AppError: `QUEUE_UNAVAILABLE` (retryable) at once while Redis is away, `QUEUE_FULL` (retryable),
 * `NOT_FOUND` for an unknown queue, `REQUEST_INVALID` for a priority, time, state or e-mail template that is none.
 */
export interface QueueService {
  /** @param priority default 5 */
  addWebhookJob(job: Loose<WebhookJobData, 'receivedAt'>, priority?: number, options?: AddOptions): Promise<AddedJob>;
  /** @param priority default 8 */
  addMessageStatusJob(
    job: Loose<MessageStatusJobData, 'timestamp'>,
    priority?: number,
    options?: AddOptions,
  ): Promise<AddedJob>;
  /**
   * Puts a reminder up for `at`. The same booking and kind has one reminder: scheduling it again moves it.
   * @param at a time that has passed means now
   */
  scheduleBookingReminder(job: Loose<ReminderJobData, 'serviceDate'>, at: Instant): Promise<AddedJob>;
  /** @returns whether there was one that had not started */
  cancelBookingReminder(salonId: string, bookingId: string, reminderType: string): Promise<boolean>;
  /** @param job.priority default 7 */
  addEmailJob(
    job: Omit<EmailJobData, 'subject'> & { readonly subject?: string | null | undefined; readonly priority?: number },
    options?: AddOptions,
  ): Promise<AddedJob>;
  /** Any job of a queue, in one step for all: either every one is stored, or none. */
  addJobs<Q extends JobQueueId>(
    queue: Q,
    jobs: readonly { readonly data: JobDataOf[Q]; readonly priority?: number; readonly options?: AddOptions }[],
  ): Promise<AddedJob[]>;
  getQueueStats(queue: string): Promise<QueueStats>;
  getQueueDetail(queue: string): Promise<QueueDetail>;
  /** Jobs under way are finished; no new one starts in any process. */
  pauseQueue(queue: string): Promise<void>;
  resumeQueue(queue: string): Promise<void>;
  /**
   * Removes jobs that have been in a state for longer than `graceMs`. `wait` is the same as `waiting`.
   * @returns how many
   */
  cleanQueue(queue: string, graceMs?: number, state?: CleanableState | 'wait'): Promise<number>;
  /** BullMQ's own queue, for the board. */
  bullQueue(queue: JobQueueId): Queue;
  /** Resolves when Redis answers. */
  ping(): Promise<void>;
  close(): Promise<void>;
}

export interface QueueServiceOptions {
  readonly redis: RedisTarget;
  /** QUEUE_RETRY_ATTEMPTS, of queues that have no number of their own. */
  readonly attempts: number;
  /** QUEUE_BACKOFF_DELAY, ms. */
  readonly backoffMs: number;
  /** Hears of every job that was added; with the settings' LOG_LEVEL=debug it is printed. */
  readonly onAdded?: (queue: string, jobId: string) => void;
  /** Wall clock, epoch ms. */
  readonly now?: () => number;
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
const CLEAN_BATCH = 1000;
/** Calls that come before the first connect stands wait for it so long. */
const CONNECT_MS = 2000;

export function createQueueService(options: QueueServiceOptions): QueueService {
  const now = options.now ?? Date.now;
  const client = queueClient(options.redis);
  let wasReady = false;
  const queues = Object.fromEntries(JOB_QUEUE_IDS.map((id) => [id, openBullQueue(id)])) as Record<JobQueueId, Queue>;

  // Behind a connection that stands BullMQ still asks what server it is, and everything else waits for that answer.
  let isOpen = false;
  const opening = Promise.all(JOB_QUEUE_IDS.map((id) => queues[id].waitUntilReady())).then(
    () => (isOpen = true),
    () => false,
  );

  function openBullQueue(id: JobQueueId): Queue {
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
      throw toQueueError(error);
    }
  }

  function addedOf(id: JobQueueId, job: Job): AddedJob {
    const jobId = job.id ?? '';
    options.onAdded?.(JOB_QUEUES[id].apiName, jobId);
    return { id: jobId, queue: JOB_QUEUES[id].apiName };
  }

  function optionsOf(id: JobQueueId, priority: number | undefined, given: AddOptions = {}): JobsOptions {
    return {
      priority: bullPriority(priority ?? JOB_QUEUES[id].priority),
      ...(given.jobId === undefined ? {} : { jobId: given.jobId }),
      ...(given.delayMs === undefined ? {} : { delay: Math.max(0, Math.round(given.delayMs)) }),
      ...(given.attempts === undefined ? {} : { attempts: given.attempts }),
    };
  }

  async function add<Q extends JobQueueId>(id: Q, data: JobDataOf[Q], priority?: number, given?: AddOptions) {
    const jobOptions = optionsOf(id, priority, given);
    return await asking(async () => addedOf(id, await queues[id].add(JOB_QUEUES[id].jobName, data, jobOptions)));
  }

  const service: QueueService = {
    async addWebhookJob(job, priority, given) {
      const data = { ...job, receivedAt: isoOf(job.receivedAt, 'receivedAt') };
      return await add('webhook', data, priority, given);
    },

    async addMessageStatusJob(job, priority, given) {
      return await add('message-status', { ...job, timestamp: isoOf(job.timestamp, 'timestamp') }, priority, given);
    },

    async scheduleBookingReminder(job, at) {
      const data = { ...job, serviceDate: isoOf(job.serviceDate, 'serviceDate') };
      const delayMs = Date.parse(isoOf(at, 'at')) - now();
      const jobId = reminderJobId(job.salonId, job.bookingId, job.reminderType);
      // One that has run or waits elsewhere gives way; one that is running now is kept, and then nothing is added.
      await asking(() => queues.reminder.remove(jobId));
      return await add('reminder', data, undefined, { jobId, delayMs });
    },

    async cancelBookingReminder(salonId, bookingId, reminderType) {
      const jobId = reminderJobId(salonId, bookingId, reminderType);
      return await asking(async () => (await queues.reminder.remove(jobId)) === 1);
    },

    async addEmailJob({ priority, subject, ...job }, given) {
      mailTemplateNamed(job.template);
      return await add('email', { ...job, subject: subject ?? null }, priority, given);
    },

    async addJobs(id, jobs) {
      const [only, ...others] = jobs;
      if (only === undefined) return [];
      if (others.length === 0) return [await add(id, only.data, only.priority, only.options)];
      const bulk = jobs.map(({ data, priority, options: given }) => {
        return { name: JOB_QUEUES[id].jobName, data, opts: optionsOf(id, priority, given) };
      });
      return await asking(async () => (await queues[id].addBulk(bulk)).map((job) => addedOf(id, job)));
    },

    async getQueueStats(name) {
      const { waiting, active, completed, failed } = await service.getQueueDetail(name);
      return { waiting, active, completed, failed };
    },

    async getQueueDetail(name) {
      const queue = queues[queueNamed(name)];
      return await asking(async () => {
        const [counts, paused] = await Promise.all([
          queue.getJobCounts('wait', 'prioritized', 'active', 'completed', 'failed', 'delayed'),
          queue.isPaused(),
        ]);
        const of = (state: string) => counts[state] ?? 0;
        return {
          waiting: of('wait') + of('prioritized'),
          active: of('active'),
          completed: of('completed'),
          failed: of('failed'),
          delayed: of('delayed'),
          paused,
        };
      });
    },

    async pauseQueue(name) {
      const queue = queues[queueNamed(name)];
      await asking(() => queue.pause());
    },

    async resumeQueue(name) {
      const queue = queues[queueNamed(name)];
      await asking(() => queue.resume());
    },

    async cleanQueue(name, graceMs = 0, state = 'completed') {
      const queue = queues[queueNamed(name)];
      if (!Number.isFinite(graceMs) || graceMs < 0) {
        throw new AppError('REQUEST_INVALID', { field: 'grace', detail: 'It must be 0 or more milliseconds.' });
      }
      if (state !== 'wait' && !CLEANABLE_STATES.includes(state)) {
        throw new AppError('REQUEST_INVALID', {
          field: 'state',
          detail: `It must be one of ${CLEANABLE_STATES.join(', ')}.`,
        });
      }
      // Jobs with a priority wait in a set of their own.
      const kinds = state === 'waiting' || state === 'wait' ? (['wait', 'prioritized'] as const) : ([state] as const);
      let removed = 0;
      for (const kind of kinds) {
        for (;;) {
          const gone = await asking(() => queue.clean(graceMs, CLEAN_BATCH, kind));
          removed += gone.length;
          if (gone.length < CLEAN_BATCH) break;
        }
      }
      return removed;
    },

    bullQueue: (id) => queues[id],

    async ping() {
      await asking(() => client.ping());
    },

    async close() {
      await Promise.all(JOB_QUEUE_IDS.map((id) => queues[id].close().catch(() => undefined)));
      disconnect(client);
    },
  };
  return service;
}

/** The one job of a reminder. BullMQ forbids colons in ids; the encoding leaves none; ids of tenants and bookings hold no tilde. */
export function reminderJobId(salonId: string, bookingId: string, reminderType: string): string {
  return ['reminder', salonId, bookingId, reminderType].map(encodeURIComponent).join('~');
}

/** As milliseconds that would be March 1973, before anybody sent anything. */
const SECONDS_BELOW = 100_000_000_000;

function isoOf(value: Instant, field: string): string {
  const count = typeof value === 'number' || /^\d+$/.test(String(value)) ? Number(value) : null;
  const date = count === null ? new Date(value) : new Date(count < SECONDS_BELOW ? count * 1000 : count);
  if (Number.isNaN(date.getTime())) {
    throw new AppError('REQUEST_INVALID', { field, detail: 'It must be a time, such as 2027-01-31T09:30:00Z.' });
  }
  return date.toISOString();
}
