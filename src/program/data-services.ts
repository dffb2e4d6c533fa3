import type { Logger } from 'pino';
import type { Config, ManyRedis } from '../config/index.ts';
import { findRunning, startEmbedded } from '../embedded/index.ts';
import type { RedisTarget } from '../engine/connection.ts';

/** Redis and PostgreSQL that this process works with, its own or given ones. */
export interface DataServices {
  readonly redis: RedisTarget;
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
    redis: config.queueRedisUrl === undefined && config.queueServers === undefined,
    postgres: config.databaseUrl === undefined,
    onLog: (sentence) => log.info(sentence),
    onEvent: (server, event) => {
      if (event.kind !== 'started') log.warn({ server, event: event.kind }, 'embedded server');
    },
  });
  const databaseUrl = config.databaseUrl ?? embedded.databaseUrl ?? '';
  const stop = () => embedded.stop();
  if (config.queueServers !== undefined) return { ...serversOf(config, config.queueServers), databaseUrl, stop };
  const redisUrl = config.queueRedisUrl ?? withDatabase(embedded.redisUrl ?? '', config.redisQueueDb);
  const cacheRedisUrl = config.cacheRedisUrl ?? withDatabase(redisUrl, config.redisDb);
  return { redis: { url: redisUrl }, databaseUrl, cacheRedisUrl, stop };
}

/**
 * The services as they are now: those of a program that runs on the data folder, else as `openDataServices`.
 * For commands that look at a running program beside it.
 */
export async function joinDataServices(config: Config, log: Logger): Promise<DataServices> {
  const running = findRunning(config.waxwingDataDir);
  if (config.queueServers !== undefined) {
    const databaseUrl = config.databaseUrl ?? running.databaseUrl;
    if (databaseUrl === undefined) return await openDataServices(config, log);
    return { ...serversOf(config, config.queueServers), databaseUrl, stop: () => Promise.resolve() };
  }
  const redisUrl = config.queueRedisUrl ?? (running.redisUrl && withDatabase(running.redisUrl, config.redisQueueDb));
  const databaseUrl = config.databaseUrl ?? running.databaseUrl;
  if (redisUrl === undefined || databaseUrl === undefined) return await openDataServices(config, log);
  const cacheRedisUrl = config.cacheRedisUrl ?? withDatabase(redisUrl, config.redisDb);
  return { redis: { url: redisUrl }, databaseUrl, cacheRedisUrl, stop: () => Promise.resolve() };
}

/** The settings see to it that a cache of its own is named. */
function serversOf(config: Config, servers: ManyRedis): Pick<DataServices, 'redis' | 'cacheRedisUrl'> {
  return { redis: { url: '', ...servers }, cacheRedisUrl: config.cacheRedisUrl ?? '' };
}

function withDatabase(address: string, db: number): string {
  const url = new URL(address);
  url.pathname = `/${db}`;
  return url.toString();
}
