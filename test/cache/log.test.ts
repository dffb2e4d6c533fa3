import { Writable } from 'node:stream';
import pino from 'pino';
import { expect, it } from 'vitest';
import { loadConfig } from '../../src/config/index.ts';
import { openCaches } from '../../src/program/caches.ts';
import { dataFolder } from '../cli/harness.ts';
import { eventually, testRedis } from '../support/services.ts';

/* What the log says of the caches. */

async function opened(level = 'info') {
  const lines: { readonly msg: string; readonly level: number; readonly key?: string }[] = [];
  const sink = new Writable({
    write(line: Buffer, _encoding, done) {
      lines.push(JSON.parse(line.toString()) as (typeof lines)[number]);
      done();
    },
  });
  const loaded = loadConfig({}, dataFolder());
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
  const server = await testRedis();
  const caches = await openCaches(loaded.config, server.url, pino({ level }, sink));
  return { lines, caches, server };
}

it('T4 · a spike of one key is logged without the number or the address of a person', async () => {
  const { lines, caches } = await opened();
  for (const key of ['conversation:+4915112345678', 'user:ada@example.com', 'menu:42']) {
    for (let n = 0; n < 30; n += 1) await caches.service.get(key);
  }
  caches.stop();
  const keys = lines.filter(({ msg }) => msg === 'miss rate above its threshold').map(({ key }) => key);
  expect(keys).toEqual([undefined, 'conversation:+…5678', 'user:…@example.com', 'menu:42']);
});

it('C6 · the log says when the cache Redis is away, and when it is back', async () => {
  const { lines, caches, server } = await opened();
  await server.kill('SIGKILL');
  const said = (text: string) => () => lines.some(({ msg, level }) => level >= 30 && msg.includes(text));
  await eventually(said('the cache Redis is away'));
  await server.restart();
  await eventually(said('the cache Redis is back'));
  caches.stop();
});

it('Q11 · LOG_LEVEL=debug prints every hit and miss, and names nobody', async () => {
  const { lines, caches } = await opened('debug');
  const { conversation } = caches.service.named;
  await conversation.get('+4915112345678');
  await conversation.set(['+4915112345678'], { said: 'hello' });
  await conversation.get('+4915112345678');
  caches.metrics.recordCacheHit('welcome', null, 'HX1');
  caches.stop();
  const looks = lines.filter(({ msg }) => msg === 'cache hit' || msg === 'cache miss');
  expect(looks.map(({ msg, key }) => [msg, key])).toEqual([
    ['cache miss', 'conversation:+…5678'],
    ['cache hit', 'conversation:+…5678'],
    ['cache hit', 'welcome'],
  ]);
});
