import { readFileSync } from 'node:fs';
import { Redis } from 'ioredis';
import { expect, onTestFinished, test } from 'vitest';
import { redisSource } from '../../src/observe/sources/redis.ts';
import { eventually, testRedis } from '../support/services.ts';

const SHOWN = {
  memoryUsed: 'waxwing_redis_memory_used_bytes',
  memoryMax: 'waxwing_redis_memory_max_bytes',
  clients: 'waxwing_redis_clients',
  evicted: 'waxwing_redis_evicted_keys_total',
  hits: 'waxwing_redis_keyspace_hits_total',
  misses: 'waxwing_redis_keyspace_misses_total',
} as const;

test('Q10 · hits, misses, evicted keys, clients and memory of a Redis are told as they are, and shown in Grafana', async () => {
  const server = await testRedis({
    ...{ fsync: 'none', maxMemory: '4mb' },
    settings: { 'maxmemory-policy': 'allkeys-lru' },
  });
  const [client, other] = [new Redis(server.url), new Redis(server.url)];
  onTestFinished(() => [client, other].forEach((one) => one.disconnect()));
  await Promise.all([client.ping(), other.ping()]);
  const source = redisSource(() => [{ name: 'cache', client }]);
  const read = async () => {
    const figures = await source.read();
    expect(figures.every(({ labels }) => labels?.['redis'] === 'cache')).toBe(true);
    const of = (wanted: string) => figures.find(({ name }) => name === wanted)?.value ?? NaN;
    return Object.fromEntries(Object.entries(SHOWN).map(([short, name]) => [short, of(name)])) as Record<
      keyof typeof SHOWN,
      number
    >;
  };
  // The one that saw the server start may be about to leave.
  const before = await eventually(async () => {
    const figures = await read();
    return figures.clients === 2 ? figures : undefined;
  });
  expect(before).toMatchObject({ evicted: 0, hits: 0, misses: 0, memoryMax: 4 * 1024 * 1024 });
  await client.set('there', '1');
  for (let n = 0; n < 3; n += 1) await client.get('there');
  await client.get('not there');
  expect(await read()).toMatchObject({ hits: 3, misses: 1, evicted: 0 });
  for (let n = 0; n < 400; n += 1) await client.set(`k${n}`, 'x'.repeat(20_000));
  const full = await read();
  expect(full.evicted).toBe(401 - (await client.dbsize()));
  expect(full.evicted).toBeGreaterThan(100);
  expect(full.memoryUsed).toBeGreaterThan(before.memoryUsed);

  const dashboard = readFileSync(new URL('../../deploy/grafana/waxwing.json', import.meta.url), 'utf8');
  for (const name of Object.values(SHOWN)) expect(dashboard).toContain(name);
});
