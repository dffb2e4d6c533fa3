import { JOB_QUEUE_IDS, JOB_QUEUES, type QueueService } from '../jobs/index.ts';
import type { MetricDefinition, MetricSource } from '../model/figures.ts';

export const JOB_METRICS: readonly MetricDefinition[] = [
  {
    name: 'waxwing_jobs',
    help: 'Jobs of a queue by state: waiting, active, delayed; completed and failed ones as long as they are kept.',
    type: 'gauge',
    labels: ['queue', 'state'],
    scope: 'shared',
  },
  {
    name: 'waxwing_jobs_paused',
    help: '1 while a job queue is paused.',
    type: 'gauge',
    labels: ['queue'],
    scope: 'shared',
  },
];

const STATES = ['waiting', 'active', 'delayed', 'completed', 'failed'] as const;

/** The job queues as BullMQ counts them. */
export function jobSource(queues: Pick<QueueService, 'getQueueDetail'>): MetricSource {
  return {
    name: 'jobs',
    metrics: JOB_METRICS,
    async read() {
      const all = await Promise.all(
        JOB_QUEUE_IDS.map(async (id) => {
          const queue = JOB_QUEUES[id].apiName;
          const detail = await queues.getQueueDetail(id);
          return [
            ...STATES.map((state) => ({ name: 'waxwing_jobs', labels: { queue, state }, value: detail[state] })),
            { name: 'waxwing_jobs_paused', labels: { queue }, value: detail.paused ? 1 : 0 },
          ];
        }),
      );
      return all.flat();
    },
  };
}
