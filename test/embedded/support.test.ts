import { Redis } from 'ioredis';
import { expect, test } from 'vitest';
import { sql } from '../support/postgres.ts';
import { eventually, sharedRedisUrl, testDatabase, testRedis } from '../support/services.ts';

async function withRedis<T>(url: string, use: (client: Redis) => Promise<T>): Promise<T> {
  const client = new Redis(url);
  client.on('error', () => undefined);
  try {
    return await use(client);
  } finally {
    client.disconnect();
  }
}

test('testRedis() keeps what was written over a SIGKILL and a restart on the same port', async () => {
  const redis = await testRedis();
  await withRedis(redis.url, (client) => client.set('a', '1'));
  const before = redis.pid;
  await redis.kill('SIGKILL');
  await redis.restart();
  expect(redis.pid).not.toBe(before);
  expect(await withRedis(redis.url, (client) => client.get('a'))).toBe('1');
  await redis.stop();
});

test('testRedis() takes no append-only file and a memory limit', async () => {
  const redis = await testRedis({ fsync: 'none', maxMemory: '64mb' });
  const aof = await withRedis(redis.url, (client) => client.config('GET', 'appendonly'));
  const memory = await withRedis(redis.url, (client) => client.config('GET', 'maxmemory'));
  expect([aof, memory]).toEqual([
    ['appendonly', 'no'],
    ['maxmemory', String(64 * 1024 * 1024)],
  ]);
});

test('sharedRedisUrl() gives one empty Redis per file', async () => {
  const url = await sharedRedisUrl();
  expect(await sharedRedisUrl()).toBe(url);
  expect(await withRedis(url, (client) => client.dbsize())).toBe(0);
});

test('testDatabase() gives a database of its own that is gone after drop()', async () => {
  const [one, two] = await Promise.all([testDatabase(), testDatabase()]);
  expect(one.url).not.toBe(two.url);
  await sql(one.url, 'create table only_here (id int)');
  await one.drop();
  await expect(sql(one.url, 'select 1')).rejects.toThrow(/does not exist/);
});

test('eventually() says what it waited for in vain', async () => {
  await expect(eventually(() => false, { timeoutMs: 20, what: 'a miracle' })).rejects.toThrow(/a miracle/);
});
