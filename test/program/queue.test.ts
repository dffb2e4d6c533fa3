import { PassThrough } from 'node:stream';
import pino from 'pino';
import { expect, test } from 'vitest';
import { loadConfig } from '../../src/config/index.ts';
import { openQueue, unreachableQueue } from '../../src/program/queue.ts';
import { testRedis } from '../support/services.ts';

test('a start names the Redis that does not answer, without its password', async () => {
  const loaded = loadConfig({}, '/');
  if (!loaded.ok) throw new Error('the defaults are wrong');
  const redis = { url: 'redis://:hunter2@127.0.0.1:1/1' };
  const opening = openQueue(loaded.config, { redis }, pino({ level: 'silent' }), {}, 100);
  await expect(opening).rejects.toMatchObject({
    name: 'StartError',
    message:
      'The queue Redis at 127.0.0.1:1 does not answer: see that it runs, and that its address and password are right.',
  });
});

test('of a cluster all known nodes are named', () => {
  const clusterNodes = ['a', 'b'].map((host) => ({ host, port: 7000 }));
  expect(unreachableQueue({ url: '', clusterNodes })).toContain('at a:7000, b:7000 does not answer');
});

test('ACCEPT_DURABILITY=memory is said at every start, whatever the Redis keeps', async () => {
  const loaded = loadConfig({ ACCEPT_DURABILITY: 'memory' }, '/');
  if (!loaded.ok) throw new Error('the settings are wrong');
  const lines = new PassThrough();
  const queue = await openQueue(loaded.config, { redis: await testRedis() }, pino(lines));
  queue.close();
  expect(String(lines.read())).toContain('ACCEPT_DURABILITY=memory');
});
