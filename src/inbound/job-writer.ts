import type { QueueService } from '../jobs/index.ts';
import { isParcelled, parcelJob, type ParcelWebhook, PARCEL_CHARACTERS_MAX, PARCEL_MAX } from './parcel.ts';

/** What one trip to Redis carries at most; a trip of large webhooks is bounded by their size. */
const WEBHOOKS_MAX = 100;
const CHARACTERS_MAX = 4_000_000;
/**
 * Under load the next trip waits for company, a millisecond for each webhook of the last one up to this: fewer, fuller
 * jobs cost everybody less than the wait does. A webhook that comes alone goes at once.
 */
const COMPANY_MS_MAX = 4;

interface Waiting {
  readonly webhook: ParcelWebhook;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Queues webhooks, those that arrive while a trip is under way together in the next one: Redis then syncs its file once
 * for all of them, and small ones share a job. Resolves when the job is on disk.
 */
export function createJobWriter(queues: Pick<QueueService, 'addJobs'>): (webhook: ParcelWebhook) => Promise<void> {
  let waiting: Waiting[] = [];
  let isWriting = false;

  async function drain(): Promise<void> {
    while (waiting.length > 0) {
      const batch = takeBatch();
      try {
        await queues.addJobs('webhook', jobsOf(batch.map(({ webhook }) => webhook)));
        for (const { resolve } of batch) resolve();
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
      if (batch.length > 1 && waiting.length < PARCEL_MAX) {
        await new Promise((resolve) => setTimeout(resolve, Math.min(COMPANY_MS_MAX, batch.length)));
      }
    }
    isWriting = false;
  }

  function takeBatch(): Waiting[] {
    let characters = 0;
    let count = 0;
    for (const { webhook } of waiting.slice(0, WEBHOOKS_MAX)) {
      characters += sizeOf(webhook);
      if (count > 0 && characters > CHARACTERS_MAX) break;
      count += 1;
    }
    const batch = waiting.slice(0, count);
    waiting = waiting.slice(count);
    return batch;
  }

  return (webhook) =>
    new Promise<void>((resolve, reject) => {
      waiting.push({ webhook, resolve, reject });
      // In the next turn, so that requests of this one travel together.
      if (!isWriting) {
        isWriting = true;
        setImmediate(() => void drain());
      }
    });
}

function sizeOf({ job }: ParcelWebhook): number {
  return String(job.payload).length;
}

/** One job each, but for small webhooks of one priority, which share theirs. Their order is kept. */
function jobsOf(webhooks: readonly ParcelWebhook[]) {
  const parcels: { readonly webhooks: ParcelWebhook[]; characters: number }[] = [];
  const open = new Map<number, (typeof parcels)[number]>();
  for (const webhook of webhooks) {
    const size = sizeOf(webhook);
    const last = isParcelled(webhook) ? open.get(webhook.priority) : undefined;
    if (last !== undefined && last.webhooks.length < PARCEL_MAX && last.characters + size <= PARCEL_CHARACTERS_MAX) {
      last.webhooks.push(webhook);
      last.characters += size;
      continue;
    }
    const parcel = { webhooks: [webhook], characters: size };
    parcels.push(parcel);
    if (isParcelled(webhook)) open.set(webhook.priority, parcel);
  }
  return parcels.map(({ webhooks: [first, ...others] }) => {
    const { id, job, priority } = first as ParcelWebhook;
    const data = others.length === 0 ? job : parcelJob([first as ParcelWebhook, ...others]);
    return { data, priority, options: { jobId: id } };
  });
}
