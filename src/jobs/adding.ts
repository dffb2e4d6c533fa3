import type { Job, JobsOptions } from 'bullmq';
import { AppError } from '../errors/app-error.ts';
import { mailTemplateNamed } from '../mail/index.ts';
import type { BullQueues } from './bull-queues.ts';
import type { EmailJobData, JobDataOf, MessageStatusJobData, ReminderJobData, WebhookJobData } from './data.ts';
import { type Instant, isoOf } from './instant.ts';
import { bullPriority, JOB_QUEUES, type JobQueueId } from './queues.ts';

export interface AddedJob {
  readonly id: string;
  /** API name of the queue. */
  readonly queue: string;
}

export interface AddOptions {
  /** A job with this id that exists is kept and nothing is added. Not empty, no colon, and not digits only. */
  readonly jobId?: string;
  /** Earliest start, ms from now. */
  readonly delayMs?: number;
  /** ≥ 1 */
  readonly attempts?: number;
}

type Loose<T, K extends keyof T> = Omit<T, K> & { readonly [P in K]: Instant };

/** Adds jobs. When an add resolves, the job is on the disk of the queue Redis. Priorities are 1 … 10, 10 first. */
export interface Adding {
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
}

export interface AddingOptions {
  /** Hears of every job that was added; with the settings' LOG_LEVEL=debug it is printed. */
  readonly onAdded?: (queue: string, jobId: string) => void;
  /** Wall clock, epoch ms. */
  readonly now?: () => number;
}

export function createAdding({ byId, asking }: BullQueues, { onAdded, now = Date.now }: AddingOptions): Adding {
  function addedOf(id: JobQueueId, job: Job): AddedJob {
    const jobId = job.id ?? '';
    onAdded?.(JOB_QUEUES[id].apiName, jobId);
    return { id: jobId, queue: JOB_QUEUES[id].apiName };
  }

  async function add<Q extends JobQueueId>(id: Q, data: JobDataOf[Q], priority?: number, given?: AddOptions) {
    const jobOptions = optionsOf(id, priority, given);
    return await asking(async () => addedOf(id, await byId[id].add(JOB_QUEUES[id].jobName, data, jobOptions)));
  }

  return {
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
      await asking(() => byId.reminder.remove(jobId));
      return await add('reminder', data, undefined, { jobId, delayMs });
    },

    async cancelBookingReminder(salonId, bookingId, reminderType) {
      const jobId = reminderJobId(salonId, bookingId, reminderType);
      return await asking(async () => (await byId.reminder.remove(jobId)) === 1);
    },

    async addEmailJob({ priority, subject, ...job }, given) {
      mailTemplateNamed(job.template);
      checkMail(job);
      return await add('email', { ...job, subject: subject ?? null }, priority, given);
    },

    async addJobs(id, jobs) {
      const [only, ...others] = jobs;
      if (only === undefined) return [];
      if (others.length === 0) return [await add(id, only.data, only.priority, only.options)];
      const bulk = jobs.map(({ data, priority, options: given }) => {
        return { name: JOB_QUEUES[id].jobName, data, opts: optionsOf(id, priority, given) };
      });
      return await asking(async () => (await byId[id].addBulk(bulk)).map((job) => addedOf(id, job)));
    },
  };
}

/** Programs without types call this too; the job itself would only fail much later, and without a word to them. */
function checkMail({ to, data }: { readonly to: unknown; readonly data: unknown }): void {
  if (typeof to !== 'string' || !to.includes('@'))
    refuse('to', 'It must be an e-mail address such as ada@example.com.');
  if (typeof data !== 'object' || data === null) refuse('data', 'It must be an object with what the template needs.');
}

/** BullMQ's own refusals look like a Redis that is away, which is tried again. */
function checkOptions({ jobId, delayMs, attempts }: AddOptions): void {
  if (jobId !== undefined && (!/^[^:]+$/.test(jobId) || /^\d+$/.test(jobId))) {
    refuse('jobId', 'It must not be empty, hold a colon, or be of digits only.');
  }
  if (delayMs !== undefined && !Number.isFinite(delayMs)) refuse('delayMs', 'It must be a number of milliseconds.');
  if (attempts !== undefined && !(Number.isInteger(attempts) && attempts >= 1)) {
    refuse('attempts', 'It must be a whole number from 1.');
  }
}

function refuse(field: string, detail: string): never {
  throw new AppError('REQUEST_INVALID', { field, detail });
}

/** A caller's options as BullMQ's. */
function optionsOf(id: JobQueueId, priority: number | undefined, given: AddOptions = {}): JobsOptions {
  checkOptions(given);
  return {
    priority: bullPriority(priority ?? JOB_QUEUES[id].priority),
    ...(given.jobId === undefined ? {} : { jobId: given.jobId }),
    ...(given.delayMs === undefined ? {} : { delay: Math.max(0, Math.round(given.delayMs)) }),
    ...(given.attempts === undefined ? {} : { attempts: given.attempts }),
  };
}

/** The one job of a reminder. BullMQ forbids colons in ids; the encoding leaves none; ids of tenants and bookings hold no tilde. */
function reminderJobId(salonId: string, bookingId: string, reminderType: string): string {
  return ['reminder', salonId, bookingId, reminderType].map(encodeURIComponent).join('~');
}
