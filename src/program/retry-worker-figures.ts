import type { RetryWorker } from '../failures/index.ts';
import type { MetricDefinition, MetricSource } from '../model/figures.ts';

export const RETRY_WORKER_METRICS: readonly MetricDefinition[] = [
  {
    name: 'waxwing_retry_worker_running',
    help: '1 while the retry worker of this process runs and looks; 0 when it was stopped or hangs. Web processes have none.',
    type: 'gauge',
    scope: 'process',
  },
  {
    name: 'waxwing_retry_worker_repaired_total',
    help: 'Differences between failure table and queue that the retry worker of this process put right.',
    type: 'counter',
    scope: 'process',
  },
];

/** It looks every few seconds, and an audit waits for the recorder for a quarter of a minute at most. */
const HANGS_AFTER_MS = 120_000;

/** The retry worker as it says of itself. */
export function retryWorkerSource(worker: Pick<RetryWorker, 'getStatus'>, now: () => number = Date.now): MetricSource {
  return {
    name: 'retry-worker',
    metrics: RETRY_WORKER_METRICS,
    read: () => {
      const { isRunning, lastLookAtMs, repaired } = worker.getStatus();
      const looks = lastLookAtMs !== null && now() - lastLookAtMs < HANGS_AFTER_MS;
      return [
        { name: 'waxwing_retry_worker_running', value: isRunning && looks ? 1 : 0 },
        { name: 'waxwing_retry_worker_repaired_total', value: repaired },
      ];
    },
  };
}
