import type { Logger } from 'pino';
import type { Config, Keys } from '../config/index.ts';
import type { RedisSendQueue } from '../engine/queue.ts';
import type { WaxwingRecord } from '../record/index.ts';
import type { ProgramCaches } from './caches.ts';
import type { DataServices } from './data-services.ts';
import { type EventsOutParts, openEventsOut } from './events-out.ts';
import type { Observing } from './observing.ts';
import { type Recorders, startRecorders } from './recorders.ts';
import type { Started } from './started.ts';

interface RecordingParts {
  readonly config: Config;
  readonly keys: Keys;
  readonly services: DataServices;
  readonly record: WaxwingRecord;
  readonly caches: Pick<ProgramCaches, 'ofRecorder'>;
  readonly queue: RedisSendQueue;
  readonly observing: Pick<Observing, 'ofRecorder'>;
  readonly log: Logger;
}

/** What the queue tells is written into the record; figures, caches and products hear of it there. */
export async function startRecording(
  parts: RecordingParts,
  started: Started,
): Promise<{ readonly recorders: Recorders; readonly eventsOut: EventsOutParts }> {
  const { config, services, record, caches, queue, observing, log } = parts;
  const eventsOut = await openEventsOut(parts);
  started.add(() => eventsOut.stop(config.shutdownGraceMs));
  const recorders = startRecorders(queue, services.redis, services.databaseUrl, log, {
    // The recorders keep their own pace, past the breaker: the first to reach PostgreSQL again ends its waiting.
    onReached: () => record.reached(),
    async onBatch(batch) {
      record.reached();
      void observing.ofRecorder.onBatch?.(batch);
      eventsOut.wake();
      await caches.ofRecorder.onBatch?.(batch);
    },
  });
  started.add(() => recorders.stop());
  return { recorders, eventsOut };
}
