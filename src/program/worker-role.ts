import type { Bookings } from '../bookings/index.ts';
import type { TemplateRegistry } from '../templates/index.ts';
import { startBookingSweeps } from './bookings.ts';
import type { DataServices } from './data-services.ts';
import type { EventsOutParts } from './events-out.ts';
import { createJobProcessors, type ProcessorParts } from './job-processors.ts';
import type { Jobs } from './jobs.ts';
import type { Leaving } from './leaving.ts';
import type { Observing } from './observing.ts';
import type { Started } from './started.ts';
import { stoppedTemplates } from './templates.ts';
import { type RunningWorker, startWorker, type WorkerParts } from './worker.ts';

interface WorkerRoleParts extends Omit<WorkerParts, 'redis' | 'onSettled'>, ProcessorParts {
  readonly services: Pick<DataServices, 'redis'>;
  readonly jobs: Jobs;
  readonly eventsOut: EventsOutParts;
  readonly bookings: Bookings;
  readonly templates: TemplateRegistry;
  readonly observing: Pick<Observing, 'onSettled'>;
}

/** What a process does in the worker role: sends, works on jobs, tells products of events, looks after what waits. */
export async function startWorkerRole(
  parts: WorkerRoleParts,
  leaving: Leaving,
  started: Started,
): Promise<RunningWorker> {
  const { config, services, jobs, inbound, eventsOut, bookings, templates, observing, log } = parts;
  const noteStopped = stoppedTemplates(templates, log);
  const worker = await startWorker({
    ...parts,
    redis: services.redis,
    onSettled: (request) => {
      observing.onSettled(request);
      noteStopped(request);
    },
  });
  const stopWorker = () => worker.stop(leaving.leftMs(config.providerTimeoutMs));
  started.add(stopWorker);
  const stopJobs = await jobs.startWorkers(createJobProcessors(parts));
  started.add(inbound.startKeeping());
  eventsOut.start();
  // Both kinds of work end within one grace period, not one after the other.
  started.add(() => Promise.all([stopJobs(), stopWorker()]));
  started.add(startBookingSweeps(bookings, log));
  return worker;
}
