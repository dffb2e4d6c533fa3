import { openClient, type RedisClient, type RedisTarget } from '../engine/connection.ts';

/** All keys of BullMQ lie under one hash tag, so that a cluster keeps the keys of a script together. */
export const JOBS_PREFIX = '{wx:jobs}';

const RECONNECT_MS_MAX = 1000;
const COMMAND_TIMEOUT_MS = 5000;

const shared = {
  retryStrategy: (times: number) => Math.min(50 * times, RECONNECT_MS_MAX),
  connectTimeout: 2000,
};

/**
 * For adding and looking: fails at once while Redis is away, so that a caller can be told. It never repeats a command
 * by itself; jobs with an id of their own may be added again.
 */
export function queueClient(target: RedisTarget): RedisClient {
  return openClient(target, {
    ...shared,
    maxRetriesPerRequest: 0,
    enableOfflineQueue: false,
    commandTimeout: COMMAND_TIMEOUT_MS,
  });
}

/** For workers: waits for Redis to come back, however long (BullMQ demands it). */
export function workerClient(target: RedisTarget): RedisClient {
  return openClient(target, { ...shared, maxRetriesPerRequest: null });
}
