import { PassThrough } from 'node:stream';
import pino from 'pino';
import { expect, test } from 'vitest';
import { loadConfig } from '../../src/config/index.ts';
import { engineOptions, openQueue, unreachableQueue } from '../../src/program/queue.ts';
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

test('R2 · R6 · the engine looks after WA_STREAM_CLAIM_IDLE_MS and hands out WA_STREAM_READ_COUNT at most', () => {
  const optionsOf = (settings: Record<string, string>) => {
    const loaded = loadConfig(settings, '/');
    if (!loaded.ok) throw new Error('the settings are wrong');
    return engineOptions(loaded.config);
  };
  expect(optionsOf({})).toMatchObject({ claimIdleMs: 15_000 });
  const settings = { WA_STREAM_CLAIM_IDLE_MS: '20000', WA_STREAM_READ_COUNT: '7' };
  expect(optionsOf(settings)).toMatchObject({ claimIdleMs: 20_000, takeMax: 7 });
});

test('ACCEPT_DURABILITY=memory is said at every start, whatever the Redis keeps', async () => {
  const loaded = loadConfig({ ACCEPT_DURABILITY: 'memory' }, '/');
  if (!loaded.ok) throw new Error('the settings are wrong');
  const lines = new PassThrough();
  const queue = await openQueue(loaded.config, { redis: await testRedis() }, pino(lines));
  queue.close();
  expect(String(lines.read())).toContain('ACCEPT_DURABILITY=memory');
});
