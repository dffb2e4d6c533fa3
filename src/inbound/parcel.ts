import { JobLater, type JobContext, type QueueService, type WebhookJobData } from '../jobs/index.ts';
import type { KeptWebhookJob } from './webhook-job.ts';
import type { WebhookProcessor, WebhookResult } from './webhook-processor.ts';

/** A webhook on its way into the queue. */
export interface ParcelWebhook {
  /** Of the webhook, and of its job when it has one of its own: adding it twice is adding it once. */
  readonly id: string;
  readonly job: KeptWebhookJob;
  /** 1 … 10, 10 first. */
  readonly priority: number;
}

/** Webhooks that came within the same moment, in one job. Each is processed by itself, and fails by itself. */
export interface ParcelJob extends WebhookJobData {
  readonly parcel: readonly ParcelWebhook[];
}

/** Webhooks of one job. Enough to make the job's own cost small, and few enough to be done well within its lock. */
export const PARCEL_MAX = 20;
/** Letters of one job's webhooks in all; a larger webhook, a batch of many updates, has a job of its own. */
export const PARCEL_CHARACTERS_MAX = 128_000;
const SMALL_CHARACTERS = 16_000;

export function isParcelled({ job }: ParcelWebhook): boolean {
  return String(job.payload).length <= SMALL_CHARACTERS;
}

/** The job of several webhooks. */
export function parcelJob(parcel: readonly ParcelWebhook[]): ParcelJob {
  return { salonId: '', payload: null, receivedAt: parcel[0]?.job.receivedAt ?? new Date(0).toISOString(), parcel };
}

/** @returns null for a job of one webhook */
export function parcelOf(data: WebhookJobData): readonly ParcelWebhook[] | null {
  const { parcel } = data as Partial<ParcelJob>;
  return Array.isArray(parcel) ? (parcel as readonly ParcelWebhook[]) : null;
}

/** What the work on a job of the webhook queue is told. */
type WebhookJob = Pick<JobContext<WebhookJobData>, 'id' | 'data' | 'attempt' | 'attemptsMax' | 'isTakenOver'>;

/**
 * Does the work of jobs that hold several webhooks, and of those that hold one. A webhook that fails gets a job of its
 * own, with all its attempts and under its own id, before its parcel is done; the others are not tried again with it.
 * A parcel whose worker vanished is opened: should one of its webhooks have been the reason, it stands alone next time.
 */
export function withParcels(
  process: WebhookProcessor,
  queues: Pick<QueueService, 'addJobs'>,
): (job: WebhookJob) => Promise<WebhookResult> {
  async function unpack(parcelId: string, webhooks: readonly ParcelWebhook[]): Promise<void> {
    await queues.addJobs(
      'webhook',
      webhooks.map(({ id, job, priority }) => {
        // The parcel has the id of its first webhook, and a job of that id is still there.
        const jobId = id === parcelId ? `${id}-again` : id;
        return { data: { ...job, webhookId: id }, priority, options: { jobId } };
      }),
    );
  }

  return async (context) => {
    const parcel = parcelOf(context.data);
    if (parcel === null) return await process(context);
    if (context.isTakenOver) {
      await unpack(context.id, parcel);
      return { ...sumOf([]), webhooks: parcel.length, again: parcel.length };
    }
    const settled = await Promise.allSettled(
      parcel.map(({ id, job }) => process({ id, data: job, attempt: 1, attemptsMax: 2, group: context.id })),
    );
    const failed: ParcelWebhook[] = [];
    const done: WebhookResult[] = [];
    for (const [index, result] of settled.entries()) {
      if (result.status === 'fulfilled') done.push(result.value);
      // A server is away: the parcel waits as a whole. What was done already changes nothing when it is done again.
      else if (result.reason instanceof JobLater) throw result.reason;
      else failed.push(parcel[index] as ParcelWebhook);
    }
    await unpack(context.id, failed);
    return { ...sumOf(done), webhooks: parcel.length, again: failed.length };
  };
}

function sumOf(results: readonly WebhookResult[]): WebhookResult {
  const sum = { messages: 0, duplicates: 0, statuses: 0, events: 0, broken: 0 };
  for (const one of results) for (const name of Object.keys(sum) as (keyof typeof sum)[]) sum[name] += one[name];
  return sum;
}
