import type { Logger } from 'pino';
import type { RedisTarget } from '../engine/connection.ts';
import { ShardEventLog } from '../engine/event-log.ts';
import { ShardReader } from '../engine/shard-reader.ts';
import type { RedisSendQueue } from '../engine/queue.ts';
import { createRecorder, migrate, MigrationError, type Recorder, type RecorderOptions } from '../record/index.ts';

export interface Recorders {
  readonly list: readonly Recorder[];
  stop(): Promise<void>;
}

/** One recorder per shard; which process really records is decided in PostgreSQL, the others stand by. */
export function startRecorders(
  queue: RedisSendQueue,
  redis: RedisTarget,
  databaseUrl: string,
  log: Logger,
  watching: Pick<RecorderOptions, 'onBatch' | 'onReached'> = {},
): Recorders {
  const list = Array.from({ length: queue.shards }, (_, shard) =>
    createRecorder({
      databaseUrl,
      log: new ShardEventLog(shard, queue.runner.client, new ShardReader(redis, shard)),
      onError: (error) => log.warn({ shard, err: error }, 'recording waits'),
      onQuarantined: (reason) => log.error({ shard, reason }, 'an event could not be recorded and was put aside'),
      ...watching,
      onBatch(batch) {
        for (const { id, tenant, sender, status, was } of batch.deliveries) {
          log.debug({ messageId: id, tenant, sender, status, was }, 'status updated');
        }
        return watching.onBatch?.(batch);
      },
    }),
  );
  for (const recorder of list) recorder.start();
  return {
    list,
    async stop() {
      await Promise.all(list.map((recorder) => recorder.stop()));
    },
  };
}

/** Migrates now, or keeps trying while PostgreSQL is away: accepting and sending do not need it. */
export async function migrateWhenPossible(databaseUrl: string, log: Logger, signal: AbortSignal): Promise<boolean> {
  try {
    await migrate(databaseUrl);
    return true;
  } catch (error) {
    // A schema that does not fit this program is a person's affair; only absence is waited for.
    if (error instanceof MigrationError) throw error;
    log.warn({ err: error }, 'PostgreSQL cannot be reached; sending goes on, the record catches up later');
  }
  void retryMigration(databaseUrl, log, signal);
  return false;
}

const RETRY_MS = 2000;

async function retryMigration(databaseUrl: string, log: Logger, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    try {
      await migrate(databaseUrl);
      log.info('PostgreSQL is there; the record catches up');
      return;
    } catch (error) {
      if (error instanceof MigrationError) {
        log.error({ err: error }, 'the schema cannot be brought up to date; nothing is recorded until it is');
        return;
      }
    }
  }
}
