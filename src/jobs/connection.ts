import { setTimeout as delay } from 'node:timers/promises';
import { Cluster } from 'ioredis';
import { mastersOf, openClient, type RedisClient, type RedisTarget } from '../engine/connection.ts';

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
  return askingPatiently(
    openClient(target, {
      ...shared,
      maxRetriesPerRequest: 0,
      enableOfflineQueue: false,
      commandTimeout: COMMAND_TIMEOUT_MS,
    }),
  );
}

/** For workers: waits for Redis to come back, however long (BullMQ demands it). */
export function workerClient(target: RedisTarget): RedisClient {
  return askingPatiently(openClient(target, { ...shared, maxRetriesPerRequest: null }));
}

const INFO_AGAIN_MS = 200;
const INFO_TIMEOUT_MS = 2000;

/**
 * BullMQ asks once, when it opens, which Redis this is, in a cluster of a master at random, and takes a refusal for
 * good: what was opened while one master was away would never work. So the question is asked of every master, again and
 * again, until one answers or the client is closed.
 */
function askingPatiently(client: RedisClient): RedisClient {
  if (!(client instanceof Cluster)) return client;
  const duplicate = client.duplicate.bind(client) as (...args: unknown[]) => RedisClient;
  return Object.assign(client, {
    info: () => infoOfAny(client),
    duplicate: (...args: unknown[]) => askingPatiently(duplicate(...args)),
  });
}

async function infoOfAny(cluster: Cluster): Promise<string> {
  for (;;) {
    for (const master of mastersOf(cluster)) {
      const late = delay(INFO_TIMEOUT_MS, undefined, { ref: false });
      const asked = master.status === 'ready' ? master.info().catch(() => undefined) : undefined;
      const text = await Promise.race([late, asked]);
      if (text !== undefined) return text;
    }
    if (cluster.status === 'end') throw new Error('Connection is closed.');
    await delay(INFO_AGAIN_MS, undefined, { ref: false });
  }
}
