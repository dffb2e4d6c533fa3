import type { QueueService } from '../jobs/index.ts';
import type { KeptWebhookJob } from './webhook-job.ts';

export interface NewWebhookJob {
  /** Of the webhook: adding it twice is adding it once. */
  readonly id: string;
  readonly job: KeptWebhookJob;
  /** 1 … 10, 10 first. */
  readonly priority: number;
}

/** Calls of one trip; a trip of large webhooks is bounded by their size. */
const JOBS_MAX = 100;
const CHARACTERS_MAX = 4_000_000;

/**
 * Adds jobs, those that arrive while a trip is under way together in the next one: Redis then syncs its file once for
 * all of them. Resolves when the job is on disk.
 */
export function createJobWriter(queues: Pick<QueueService, 'addJobs'>): (job: NewWebhookJob) => Promise<void> {
  let waiting: { readonly job: NewWebhookJob; resolve: () => void; reject: (error: unknown) => void }[] = [];
  let isWriting = false;

  async function drain(): Promise<void> {
    isWriting = true;
    while (waiting.length > 0) {
      const batch = takeBatch();
      try {
        await queues.addJobs(
          'webhook',
          batch.map(({ job: { id, job, priority } }) => ({ data: job, priority, options: { jobId: id } })),
        );
        for (const { resolve } of batch) resolve();
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    isWriting = false;
  }

  function takeBatch(): typeof waiting {
    let characters = 0;
    let count = 0;
    for (const { job } of waiting.slice(0, JOBS_MAX)) {
      characters += String(job.job.payload).length;
      if (count > 0 && characters > CHARACTERS_MAX) break;
      count += 1;
    }
    const batch = waiting.slice(0, count);
    waiting = waiting.slice(count);
    return batch;
  }

  return (job) =>
    new Promise<void>((resolve, reject) => {
      waiting.push({ job, resolve, reject });
      // In the next turn, so that requests of this one travel together.
      if (!isWriting) {
        isWriting = true;
        setImmediate(() => void drain());
      }
    });
}
