import type { Logger } from 'pino';
import type { RedisSendQueue } from '../engine/queue.ts';
import type { WaxwingFailures, RetryWorker } from '../failures/index.ts';
import type { QueueService } from '../jobs/index.ts';
import type { AlertEngine } from '../observe/index.ts';
import type { WaxwingRecord } from '../record/index.ts';
import type { ProgramCaches } from './caches.ts';
import type { DataServices } from './data-services.ts';
import type { AlertOptions, Observing } from './observing.ts';
import { watchProgress } from './progress.ts';
import { type ReadyChecks, readyChecksOf } from './ready-checks.ts';
import type { Recorders } from './recorders.ts';
import type { Started } from './started.ts';
import type { RunningWorker } from './worker.ts';

interface WatchedParts {
  readonly observing: Observing;
  readonly services: Pick<DataServices, 'queueDisk'>;
  readonly queue: RedisSendQueue;
  readonly record: WaxwingRecord;
  readonly recorders: Recorders;
  readonly caches: ProgramCaches;
  readonly queues: QueueService;
  readonly failures: WaxwingFailures & { readonly worker: RetryWorker };
  readonly log: Logger;
}

/**
 * Begins to watch what runs: its figures, the alert rules over them, and whether it is ready.
 * @param worker null in the web role
 */
export function startWatching(
  parts: WatchedParts,
  worker: RunningWorker | null,
  options: AlertOptions | undefined,
  started: Started,
): { readonly alerts: AlertEngine; readonly readyChecks: ReadyChecks } {
  const { observing, services, queue, record, recorders, caches, queues, failures, log } = parts;
  const { queueDisk } = services;
  observing.watch({
    ...{ queue, record, recorders, queues, queueDisk },
    retryWorker: worker === null ? null : failures.worker,
    caches: () => [...caches.service.caches.metrics.values()],
  });
  const alerts = observing.startAlerts(queue, log, options);
  started.add(() => alerts.stop());
  if (worker === null) return { alerts, readyChecks: readyChecksOf(queue, record, queueDisk, null) };
  const progress = watchProgress(observing, () => worker.worker.inWork);
  started.add(() => progress.stop());
  return { alerts, readyChecks: readyChecksOf(queue, record, queueDisk, { worker, progress }) };
}
