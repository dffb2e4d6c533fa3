import type { Queue } from 'bullmq';
import { AppError } from '../errors/app-error.ts';
import type { BullQueues } from './bull-queues.ts';
import { queueNamed } from './queues.ts';

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

/** Looks after queues. They are named by their API name (`whatsapp:webhook`) or a short one (`webhook`). */
export interface Upkeep {
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
}

const CLEAN_BATCH = 1000;

export function createUpkeep({ byId, asking }: BullQueues): Upkeep {
  const detailOf = async (name: string): Promise<QueueDetail> => {
    const queue = byId[queueNamed(name)];
    return await asking(() => countJobs(queue));
  };

  return {
    getQueueDetail: detailOf,

    async getQueueStats(name) {
      const { waiting, active, completed, failed } = await detailOf(name);
      return { waiting, active, completed, failed };
    },

    async pauseQueue(name) {
      const queue = byId[queueNamed(name)];
      await asking(() => queue.pause());
    },

    async resumeQueue(name) {
      const queue = byId[queueNamed(name)];
      await asking(() => queue.resume());
    },

    async cleanQueue(name, graceMs = 0, state = 'completed') {
      const queue = byId[queueNamed(name)];
      assertCleanable(graceMs, state);
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
  };
}

async function countJobs(queue: Queue): Promise<QueueDetail> {
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
}

function assertCleanable(graceMs: number, state: CleanableState | 'wait'): void {
  if (!Number.isFinite(graceMs) || graceMs < 0) {
    throw new AppError('REQUEST_INVALID', { field: 'grace', detail: 'It must be 0 or more milliseconds.' });
  }
  if (state !== 'wait' && !CLEANABLE_STATES.includes(state)) {
    throw new AppError('REQUEST_INVALID', {
      field: 'state',
      detail: `It must be one of ${CLEANABLE_STATES.join(', ')}.`,
    });
  }
}
