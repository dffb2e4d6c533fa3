import { setTimeout as delay } from 'node:timers/promises';
import { Cluster } from 'ioredis';
import { mastersOf, openClient, type RedisClient, type RedisTarget, SILENT_MS_MAX } from '../engine/connection.ts';

/** All keys of BullMQ lie under one hash tag, so that a cluster keeps the keys of a script together. */
export const JOBS_PREFIX = '{wx:jobs}';

const RECONNECT_MS_MAX = 1000;
const COMMAND_TIMEOUT_MS = 5000;
/** Longest wait of a command of BullMQ's workers and of its event readers. */
const BLOCK_MS_MAX = 10_000;

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
      socketTimeout: SILENT_MS_MAX,
    }),
  );
}

/** For workers: waits for Redis to come back, however long (BullMQ demands it). */
export function workerClient(target: RedisTarget): RedisClient {
  return askingPatiently(
    openClient(target, { ...shared, maxRetriesPerRequest: null, socketTimeout: BLOCK_MS_MAX + SILENT_MS_MAX }),
  );
}

const INFO_AGAIN_MS = 200;
const INFO_TIMEOUT_MS = 2000;

type Ask = (...args: unknown[]) => Promise<string>;

/**
 * BullMQ asks once, when it opens, which Redis this is, in a cluster of a master at random, and takes a refusal for
 * good: what was opened while that one was away, or in the moment in which its connection broke, would never work. So
 * the question is asked again and again, in a cluster of every master, until one answers or the client is closed.
 */
function askingPatiently(client: RedisClient): RedisClient {
  const duplicate = client.duplicate.bind(client) as (...args: unknown[]) => RedisClient;
  const again = (...args: unknown[]) => askingPatiently(duplicate(...args));
  if (client instanceof Cluster) {
    const masters = () => mastersOf(client).map((master) => ({ master, ask: () => master.info() }));
    return Object.assign(client, { info: () => infoOfAny(client, masters), duplicate: again });
  }
  const ask = client.info.bind(client) as Ask;
  let isAnswered = false;
  const info: Ask = async (...args) => {
    // With arguments it is the client's own question, whether the server is ready, or somebody else's.
    if (isAnswered || args.length > 0) return await ask(...args);
    const text = await infoOfAny(client, () => [{ master: client, ask }]);
    isAnswered = true;
    return text;
  };
  return Object.assign(client, { info, duplicate: again });
}

async function infoOfAny(
  client: RedisClient,
  masters: () => readonly { readonly master: { readonly status: string }; readonly ask: Ask }[],
): Promise<string> {
  for (;;) {
    for (const { master, ask } of masters()) {
      const late = delay(INFO_TIMEOUT_MS, undefined, { ref: false });
      const asked = master.status === 'ready' ? ask().catch(() => undefined) : undefined;
      const text = await Promise.race([late, asked]);
      if (text !== undefined) return text;
    }
    if (client.status === 'end') throw new Error('Connection is closed.');
    await delay(INFO_AGAIN_MS, undefined, { ref: false });
  }
}
