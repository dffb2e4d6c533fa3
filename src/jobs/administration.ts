import type { SendQueue } from '../engine/contract.ts';
import { AppError } from '../errors/app-error.ts';
import type { AddedJob } from './adding.ts';
import { JOB_QUEUE_IDS, JOB_QUEUES, queueNamed } from './queues.ts';
import type { QueueService } from './service.ts';
import { addTestJob } from './test-job.ts';
import type { CleanableState, QueueDetail } from './upkeep.ts';

export interface QueueFigures extends QueueDetail {
  /** API name. */
  readonly queue: string;
}

export interface QueueHealth {
  /** `degraded`: a queue is paused, or has work and no worker. */
  readonly status: 'healthy' | 'degraded';
  readonly redis: 'connected';
  readonly queues: readonly (QueueFigures & {
    /** Worker processes; null when that cannot be told here. */
    readonly workers: number | null;
  })[];
}

/** Every queue by name, the send queue among them: what the administration routes and the board do. */
export interface QueueAdministration {
  /** Name of the send queue: WHATSAPP_SEND_QUEUE_NAME. */
  readonly sendQueueName: string;
  figures(queue: string): Promise<QueueFigures>;
  /** Of the send queue: no message is handed over on any shard; accepting goes on. */
  pause(queue: string): Promise<string>;
  resume(queue: string): Promise<string>;
  /** @throws AppError `CONFLICT` for the send queue, which keeps nothing that ended */
  clean(queue: string, graceMs: number, state: CleanableState): Promise<number>;
  health(): Promise<QueueHealth>;
  /** Adds a job by hand; what `data` leaves out is filled in, but for `to` of an e-mail and `bookingId` of a reminder. @throws AppError `REQUEST_INVALID` */
  test(queue: string, data: Readonly<Record<string, unknown>>): Promise<AddedJob>;
}

export const SEND_QUEUE_NAME = 'whatsapp-send';

export function createQueueAdministration(options: {
  readonly queues: QueueService;
  readonly send: Pick<SendQueue, 'counters' | 'pauseAll' | 'resumeAll' | 'isPaused'>;
  readonly sendQueueName?: string;
}): QueueAdministration {
  const { queues, send, sendQueueName = SEND_QUEUE_NAME } = options;
  const isSend = (queue: string) => queue === sendQueueName || queue === SEND_QUEUE_NAME || queue === 'whatsapp:send';

  async function sendFigures(): Promise<QueueFigures> {
    const [counters, paused] = await Promise.all([send.counters(), send.isPaused()]);
    const { queued, inFlight, sent, failed, scheduled, deferred } = counters;
    const counts = { waiting: queued, active: inFlight, completed: sent, failed, delayed: scheduled + deferred };
    return { queue: sendQueueName, ...counts, paused };
  }

  async function figures(queue: string): Promise<QueueFigures> {
    if (isSend(queue)) return await sendFigures();
    const { apiName } = JOB_QUEUES[named(queue)];
    return { queue: apiName, ...(await queues.getQueueDetail(queue)) };
  }

  function named(queue: string) {
    try {
      return queueNamed(queue);
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      const detail = `${error.detail} The send queue is ${sendQueueName}.`;
      throw new AppError(error.code, { field: 'queue', detail, cause: error });
    }
  }

  return {
    sendQueueName,
    figures,

    async pause(queue) {
      if (isSend(queue)) {
        await send.pauseAll();
        return sendQueueName;
      }
      const id = named(queue);
      await queues.pauseQueue(id);
      return JOB_QUEUES[id].apiName;
    },

    async resume(queue) {
      if (isSend(queue)) {
        await send.resumeAll();
        return sendQueueName;
      }
      const id = named(queue);
      await queues.resumeQueue(id);
      return JOB_QUEUES[id].apiName;
    },

    async clean(queue, graceMs, state) {
      if (!isSend(queue)) return await queues.cleanQueue(named(queue), graceMs, state);
      throw new AppError('CONFLICT', {
        detail:
          'The send queue keeps nothing that ended: the record does. To drop messages that wait, cancel them with DELETE /v1/messages/:id.',
      });
    },

    async health() {
      const jobQueues = JOB_QUEUE_IDS.map(async (id) => {
        const [known, workers] = await Promise.all([
          figures(id),
          // A managed Redis may forbid CLIENT LIST.
          queues
            .bullQueue(id)
            .getWorkersCount()
            .catch(() => null),
        ]);
        return { ...known, workers };
      });
      const all = await Promise.all([...jobQueues, sendFigures().then((known) => ({ ...known, workers: null }))]);
      const isSick = all.some((one) => one.paused || (one.workers === 0 && one.waiting > 0));
      return { status: isSick ? 'degraded' : 'healthy', redis: 'connected', queues: all };
    },

    async test(queue, data) {
      if (isSend(queue)) {
        throw new AppError('REQUEST_INVALID', {
          field: 'queueName',
          detail: 'Try the send queue with POST /api/whatsapp/send {phoneNumber, text}.',
        });
      }
      return await addTestJob(queues, named(queue), data);
    },
  };
}
