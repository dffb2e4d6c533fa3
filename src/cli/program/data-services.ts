import type { Logger } from 'pino';
import type { Config } from '../../config/index.ts';
import { startEmbedded } from '../../embedded/index.ts';
import type { RedisTarget } from '../../engine/connection.ts';

/** Redis and PostgreSQL that this process works with, its own or given ones. */
export interface DataServices {
  readonly redis: RedisTarget;
  readonly redisUrl: string;
  readonly databaseUrl: string;
  /** Ends what this process started; leaves given servers alone. Safe to call twice. */
  stop(): Promise<void>;
}

/** @throws EmbeddedError in plain words when a server cannot be had */
export async function openDataServices(config: Config, log: Logger): Promise<DataServices> {
  const embedded = await startEmbedded({
    dataDir: config.waxwingDataDir,
    redis: config.queueRedisUrl === undefined,
    postgres: config.databaseUrl === undefined,
    onLog: (sentence) => log.info(sentence),
    onEvent: (server, event) => {
      if (event.kind !== 'started') log.warn({ server, event: event.kind }, 'embedded server');
    },
  });
  const redisUrl = config.queueRedisUrl ?? withDatabase(embedded.redisUrl ?? '', config.redisQueueDb);
  const databaseUrl = config.databaseUrl ?? embedded.databaseUrl ?? '';
  return { redis: { url: redisUrl }, redisUrl, databaseUrl, stop: () => embedded.stop() };
}

function withDatabase(address: string, db: number): string {
  const url = new URL(address);
  url.pathname = `/${db}`;
  return url.toString();
}
