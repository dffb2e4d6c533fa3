import { afterAll } from 'vitest';
import { commandClient, disconnect, whenReady } from '../../../src/engine/connection.ts';
import { ShardEventLog } from '../../../src/engine/event-log.ts';
import { RedisSendQueue } from '../../../src/engine/queue.ts';
import { ShardReader } from '../../../src/engine/shard-reader.ts';
import { testRedis, type TestRedis } from '../../support/services.ts';
import { type Api, type ApiOptions, startApi } from './api.ts';

/**
 * The API over the real engine with one shard and nobody who takes work, until the file is done. Called where the file
 * begins, outside of any test.
 */
export async function apiOverEngine(
  options: Omit<ApiOptions, 'realQueue'> = {},
): Promise<{ readonly redis: TestRedis; readonly queue: RedisSendQueue; readonly api: Api }> {
  const redis = await testRedis();
  const target = { url: redis.url };
  const queue = new RedisSendQueue({ redis: target, shards: 1 });
  await queue.connect();
  const commands = commandClient(target, 1500);
  const blocking = new ShardReader(target, 0);
  await whenReady(commands, 5000);
  await blocking.whenReady(5000);
  const api = await startApi({ ...options, realQueue: { queue, log: new ShardEventLog(0, commands, blocking) } });
  afterAll(async () => {
    await api.close();
    queue.close();
    disconnect(commands);
  });
  return { redis, queue, api };
}
