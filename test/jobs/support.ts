import { Redis } from 'ioredis';
import {
  createJobWorkers,
  createQueueService,
  type JobEvent,
  type JobProcessors,
  type QueueService,
} from '../../src/jobs/index.ts';
import { atFileEnd } from '../support/file-end.ts';

const cleanups: (() => Promise<void>)[] = [];

/** Ends all that the functions below started, newest first. */
export async function stopAll(): Promise<void> {
  for (const clean of cleanups.splice(0).reverse()) await clean();
}

function stopLater(clean: () => Promise<void>): void {
  cleanups.push(clean);
  atFileEnd(stopAll);
}

export async function emptied(url: string): Promise<void> {
  const client = new Redis(url);
  await client.flushdb();
  client.disconnect();
}

export const CONCURRENCY = { webhook: 5, 'message-status': 10, reminder: 3, email: 5, respond: 5 };

export function startQueues(url: string, more: { attempts?: number; backoffMs?: number } = {}): QueueService {
  const queues = createQueueService({ redis: { url }, attempts: 3, backoffMs: 2000, ...more });
  stopLater(() => queues.close());
  return queues;
}

/** Workers whose events are written down. */
export async function startWorkers(url: string, processors: JobProcessors, more: { lockMs?: number } = {}) {
  const events: { queue: string; jobId: string; event: JobEvent }[] = [];
  const workers = await createJobWorkers({
    redis: { url },
    processors,
    concurrency: CONCURRENCY,
    onEvent: (queue, jobId, event) => events.push({ queue, jobId, event }),
    ...more,
  });
  stopLater(() => workers.stop(1000));
  return { workers, events };
}
