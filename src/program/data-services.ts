import type { Logger } from 'pino';
import type { Config } from '../config/index.ts';
import { findRunning, startEmbedded } from '../embedded/index.ts';
import type { RedisTarget } from '../engine/connection.ts';

/** Redis and PostgreSQL that this process works with, its own or given ones. */
export interface DataServices {
  readonly redis: RedisTarget;
  readonly redisUrl: string;
  readonly databaseUrl: string;
  /** Where caches are: apart from the queues, by database or by server. */
  readonly cacheRedisUrl: string;
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
  const cacheRedisUrl = config.cacheRedisUrl ?? withDatabase(redisUrl, config.redisDb);
  return { redis: { url: redisUrl }, redisUrl, databaseUrl, cacheRedisUrl, stop: () => embedded.stop() };
}

/**
 * The services as they are now: those of a program that runs on the data folder, else as `openDataServices`.
 * For commands that look at a running program beside it.
 */
export async function joinDataServices(config: Config, log: Logger): Promise<DataServices> {
  const running = findRunning(config.waxwingDataDir);
  const redisUrl = config.queueRedisUrl ?? (running.redisUrl && withDatabase(running.redisUrl, config.redisQueueDb));
  const databaseUrl = config.databaseUrl ?? running.databaseUrl;
  if (redisUrl === undefined || databaseUrl === undefined) return await openDataServices(config, log);
  const cacheRedisUrl = config.cacheRedisUrl ?? withDatabase(redisUrl, config.redisDb);
  return { redis: { url: redisUrl }, redisUrl, databaseUrl, cacheRedisUrl, stop: () => Promise.resolve() };
}

function withDatabase(address: string, db: number): string {
  const url = new URL(address);
  url.pathname = `/${db}`;
  return url.toString();
}
