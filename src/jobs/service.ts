import type { Queue } from 'bullmq';
import { type Adding, type AddingOptions, createAdding } from './adding.ts';
import { type BullQueuesOptions, openBullQueues } from './bull-queues.ts';
import type { JobQueueId } from './queues.ts';
import { createUpkeep, type Upkeep } from './upkeep.ts';

/**
 * Adds jobs and looks after queues. Queues are named by their API name (`whatsapp:webhook`) or a short one (`webhook`).
 * When an add resolves, the job is on the disk of the queue Redis. Priorities are 1 … 10, 10 first.
 *
 * All methods throw AppError: `QUEUE_UNAVAILABLE` (retryable) at once while Redis is away, `QUEUE_FULL` (retryable),
 * `NOT_FOUND` for an unknown queue, `REQUEST_INVALID` for a priority, time, state or e-mail template that is none. Data
 * that JSON cannot hold is a TypeError.
 */
export interface QueueService extends Adding, Upkeep {
  /** BullMQ's own queue, for the board. */
  bullQueue(queue: JobQueueId): Queue;
  /** Resolves when Redis answers. */
  ping(): Promise<void>;
  close(): Promise<void>;
}

export interface QueueServiceOptions extends BullQueuesOptions, AddingOptions {}

export function createQueueService(options: QueueServiceOptions): QueueService {
  const queues = openBullQueues(options);
  return {
    ...createAdding(queues, options),
    ...createUpkeep(queues),
    bullQueue: (id) => queues.byId[id],
    ping: () => queues.ping(),
    close: () => queues.close(),
  };
}
