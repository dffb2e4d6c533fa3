import { afterAll, beforeAll, expect, it } from 'vitest';
import { commandClient, disconnect, type RedisClient, whenReady } from '../../src/engine/connection.ts';
import { LIVE_KEY_LETTERS, shardPrefix } from '../../src/engine/keys.ts';
import { LiveTotals } from '../../src/observe/index.ts';
import { eventually, testRedis } from '../support/services.ts';

const KEY = `${shardPrefix(0)}${LIVE_KEY_LETTERS.totals}`;

let client: RedisClient;
beforeAll(async () => {
  const redis = await testRedis();
  client = commandClient({ url: redis.url, db: 3 }, 5000);
  await whenReady(client, 5000);
});
afterAll(() => {
  disconnect(client);
});

it('a failure that a status reported is on its way to Redis when it was counted, and whatever waited goes with it, once', async () => {
  await client.del(KEY);
  const totals = new LiveTotals();
  totals.connect(client);
  totals.count('delivered');
  // Asked on the same connection: what was written before the question is in the answer.
  expect(await client.hgetall(KEY)).toEqual({});
  totals.countNow('undelivered:final', 2);
  expect(await client.hgetall(KEY)).toEqual({ delivered: '1', 'undelivered:final': '2' });
  totals.count('delivered');
  await eventually(async () => (await totals.one('delivered')) === 2);
  expect(await totals.one('undelivered:final')).toBe(2);
});

it('while Redis is away it is kept', async () => {
  await client.del(KEY);
  const totals = new LiveTotals();
  totals.countNow('undelivered:final');
  totals.connect(client);
  await eventually(async () => (await totals.one('undelivered:final')) === 1);
});
