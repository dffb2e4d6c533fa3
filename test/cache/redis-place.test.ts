import { Redis } from 'ioredis';
import pino from 'pino';
import { afterEach, describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/config/index.ts';
import { type Program, startProgram } from '../../src/program/start-program.ts';
import { eventually, testDatabase, testRedis } from '../support/services.ts';

/* Where the cache keeps its values, seen in the Redis of a running program. */

let program: Program;
const clients: Redis[] = [];
afterEach(async () => {
  for (const client of clients.splice(0)) client.disconnect();
  await program.stop();
});

async function start(settings: Record<string, string>): Promise<void> {
  const { url } = await testDatabase();
  const loaded = loadConfig(
    {
      DATABASE_URL: url,
      WAXWING_API_KEY: 'platform-key-of-these-tests',
      WAXWING_SECRET_KEY: 'secret-key-of-these-tests-32-chars-long',
      JWT_SECRET: 'jwt-secret-of-these-tests-32-characters',
      PORT: '0',
      ...settings,
    },
    '/nonexistent',
  );
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
  program = await startProgram(loaded.config, 'web', pino({ level: 'silent' }));
}

async function accept(): Promise<number> {
  const { status } = await fetch(`${program.server?.url ?? ''}/v1/messages`, {
    method: 'POST',
    headers: { authorization: 'Bearer platform-key-of-these-tests', 'content-type': 'application/json' },
    body: JSON.stringify({ tenant: 'salon1', to: '+4915112345678', type: 'text', text: { body: 'Hello' } }),
  });
  return status;
}

async function dashboard(): Promise<number> {
  const { status } = await fetch(`${program.server?.url ?? ''}/v1/stats?tenant=salon1`, {
    headers: { authorization: 'Bearer platform-key-of-these-tests' },
  });
  return status;
}

function keysOf(url: string): () => Promise<string[]> {
  const client = new Redis(url);
  clients.push(client);
  return () => client.keys('*');
}
const isQueueKey = (key: string): boolean => key.startsWith('{wx:');

const SENDER = { WHATSAPP_PHONE_NUMBER_ID: '100000000000001', WHATSAPP_ACCESS_TOKEN: 'token' };

describe('C5 · the Redis of the cache', () => {
  it('is database 0 of the one server, the queues are in database 1; every cache key ends by itself', async () => {
    const { port, url } = await testRedis();
    const { password } = new URL(url);
    await start({ ...SENDER, REDIS_HOST: '127.0.0.1', REDIS_PORT: String(port), REDIS_PASSWORD: password });
    expect(await accept()).toBe(202);
    const cacheKeys = keysOf(`${url.replace(/\/\d*$/, '')}/0`);
    const queueKeys = keysOf(`${url.replace(/\/\d*$/, '')}/1`);
    await eventually(async () => expect((await cacheKeys()).length).toBeGreaterThan(0));
    expect((await cacheKeys()).filter(isQueueKey)).toEqual([]);
    expect((await queueKeys()).some(isQueueKey)).toBe(true);
    const [client] = clients;
    for (const key of await cacheKeys()) expect(await client?.pttl(key), key).toBeGreaterThan(0);
  });

  it('C5 · C6 · may be a server of its own that evicts; when it is gone, messages are accepted and dashboards shown all the same', async () => {
    const [queue, cache] = [
      await testRedis(),
      await testRedis({ fsync: 'none', maxMemory: '64mb', settings: { 'maxmemory-policy': 'allkeys-lru' } }),
    ];
    await start({ ...SENDER, REDIS_URL: queue.url, CACHE_REDIS_URL: cache.url });
    expect([await accept(), await dashboard()]).toEqual([202, 200]);
    const cacheKeys = keysOf(cache.url);
    await eventually(async () => expect((await cacheKeys()).length).toBeGreaterThan(0));
    const queueKeys = await keysOf(`${queue.url.replace(/\/\d*$/, '')}/1`)();
    expect(queueKeys.length).toBeGreaterThan(0);
    expect(queueKeys.filter((key) => !isQueueKey(key))).toEqual([]);
    clients.pop()?.disconnect();
    clients.pop()?.disconnect();
    await cache.stop();
    expect([await accept(), await dashboard()]).toEqual([202, 200]);
  });
});
