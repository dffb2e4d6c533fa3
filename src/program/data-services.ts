import { join } from 'node:path';
import type { Logger } from 'pino';
import type { Config, ManyRedis } from '../config/index.ts';
import { findRunning, startEmbedded } from '../embedded/index.ts';
import type { RedisTarget } from '../engine/connection.ts';
import { QueueDisk } from '../observe/index.ts';

/** Redis and PostgreSQL that this process works with, its own or given ones. */
export interface DataServices {
  readonly redis: RedisTarget;
  readonly databaseUrl: string;
  /** Where caches are: apart from the queues, by database or by server. */
  readonly cacheRedisUrl: string;
  /** Of the queue's Redis, when it is this process' own; whoever runs another one watches its disk himself. */
  readonly queueDisk?: QueueDisk;
  /** Ends what this process started; leaves given servers alone. Safe to call twice. */
  stop(): Promise<void>;
}

/** @throws EmbeddedError in plain words when a server cannot be had */
export async function openDataServices(config: Config, log: Logger): Promise<DataServices> {
  const embedded = await startEmbedded({
    dataDir: config.waxwingDataDir,
    redis: config.queueRedisUrl === undefined && config.queueServers === undefined,
    redisProgram: config.redisServerBin,
    postgres: config.databaseUrl === undefined,
    onLog: (sentence) => log.info(sentence),
    onEvent: (server, event, sentence) => {
      if (sentence !== undefined) log.warn({ server, event: event.kind }, sentence);
    },
  });
  const databaseUrl = config.databaseUrl ?? embedded.databaseUrl ?? '';
  const stop = () => embedded.stop();
  if (config.queueServers !== undefined) return { ...serversOf(config, config.queueServers), databaseUrl, stop };
  const redisUrl = config.queueRedisUrl ?? withDatabase(embedded.redisUrl ?? '', config.redisQueueDb);
  const cacheRedisUrl = config.cacheRedisUrl ?? withDatabase(redisUrl, config.redisDb);
  const own = embedded.redisFolder === undefined ? {} : { queueDisk: toldDisk(embedded.redisFolder, log) };
  return { redis: { url: redisUrl }, databaseUrl, cacheRedisUrl, stop, ...own };
}

/**
 * The services as they are now: those of a program that runs on the data folder, else as `openDataServices`.
 * For commands that look at a running program beside it.
 */
export async function joinDataServices(config: Config, log: Logger): Promise<DataServices> {
  const running = findRunning(config.waxwingDataDir);
  if (config.queueServers !== undefined) {
    const databaseUrl = config.databaseUrl ?? running.databaseUrl;
    if (databaseUrl === undefined) return await openOrExplain(config, log);
    return { ...serversOf(config, config.queueServers), databaseUrl, stop: () => Promise.resolve() };
  }
  const redisUrl = config.queueRedisUrl ?? (running.redisUrl && withDatabase(running.redisUrl, config.redisQueueDb));
  const databaseUrl = config.databaseUrl ?? running.databaseUrl;
  if (redisUrl === undefined || databaseUrl === undefined) return await openOrExplain(config, log);
  const cacheRedisUrl = config.cacheRedisUrl ?? withDatabase(redisUrl, config.redisDb);
  const own = config.queueRedisUrl === undefined ? { queueDisk: ownDisk(config) } : {};
  return { redis: { url: redisUrl }, databaseUrl, cacheRedisUrl, stop: () => Promise.resolve(), ...own };
}

function toldDisk(folder: string, log: Logger): QueueDisk {
  return new QueueDisk(folder, (full) => {
    if (full === undefined) log.warn('The disk of the queue has room again.');
    else log.error(full);
  });
}

function ownDisk({ waxwingDataDir }: Config): QueueDisk {
  return new QueueDisk(join(waxwingDataDir, 'redis'));
}

/** A running program whose disk is full has no server to join, and keeps the folder: the disk is the reason to tell. */
async function openOrExplain(config: Config, log: Logger): Promise<DataServices> {
  try {
    return await openDataServices(config, log);
  } catch (error) {
    if (config.queueRedisUrl === undefined && config.queueServers === undefined) await ownDisk(config).check();
    throw error;
  }
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
