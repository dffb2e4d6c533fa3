import { mkdtempSync, readdirSync, readFileSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { afterEach, expect, inject, it } from 'vitest';
import { identify, waitForEnd } from '../../src/embedded/process-identity.ts';
import { startRedis, type RedisServer } from '../../src/embedded/redis-server.ts';
import { eventually } from '../support/eventually.ts';

let server: RedisServer | undefined;
afterEach(async () => {
  await server?.stop();
  server = undefined;
});

async function killed({ pid }: RedisServer): Promise<void> {
  const identity = identify(pid);
  process.kill(pid, 'SIGKILL');
  if (identity === undefined || !(await waitForEnd(identity, 10_000))) throw new Error(`Redis ${pid} does not end.`);
}

async function ask<T>(url: string, question: (client: Redis) => Promise<T>): Promise<T> {
  const client = new Redis(url, { maxRetriesPerRequest: 3 });
  try {
    return await question(client);
  } finally {
    client.disconnect();
  }
}

const setAll = (value: string) => (client: Redis) =>
  client.eval(`for _, key in ipairs({'a', 'b', 'c'}) do redis.call('SET', key, '${value}') end`, 0);

it('F20 · what a rewriting of the log left when it was killed takes no space after the next start', async () => {
  const folder = mkdtempSync(join(inject('waxwingRunFolder'), 'unfinished-'));
  const start = () => startRedis({ folder, isSupervised: false, settings: { 'rdb-key-save-delay': '1000' } });
  server = await start();
  await ask(server.url, (client) => client.mset(Object.fromEntries(Array.from({ length: 5000 }, (_, n) => [n, 'x']))));
  await ask(server.url, (client) => client.bgrewriteaof());
  const unfinished = () => readdirSync(folder).filter((name) => name.startsWith('temp-'));
  await eventually(() => unfinished().length > 0, { what: 'the rewriting to begin' });
  const children = readFileSync(`/proc/${server.pid}/task/${server.pid}/children`, 'utf8')
    .trim()
    .split(' ')
    .map(Number);
  await killed(server);
  for (const pid of children) process.kill(pid, 'SIGKILL');
  server = await start();
  expect(unfinished()).toEqual([]);
  expect(await ask(server.url, (client) => client.dbsize())).toBe(5000);
});

it('F16 · half of a script that a torn log has kept does not come to life at a later start', async () => {
  const folder = mkdtempSync(join(inject('waxwingRunFolder'), 'torn-'));
  const said: string[] = [];
  const start = () => startRedis({ folder, isSupervised: false, onProgress: (sentence) => said.push(sentence) });
  server = await start();
  await ask(server.url, setAll('whole'));
  await ask(server.url, setAll('torn'));
  await killed(server);
  const logs = join(folder, 'appendonlydir');
  const log = join(logs, readdirSync(logs).find((name) => name.endsWith('.incr.aof')) ?? '');
  // Within the last command but one of the second script.
  truncateSync(log, statSync(log).size - 20);
  server = await start();
  expect(said.filter((sentence) => sentence.includes('torn off'))).toHaveLength(1);
  expect(await ask(server.url, (client) => client.mget('a', 'b', 'c'))).toEqual(['whole', 'whole', 'whole']);
  await ask(server.url, (client) => client.set('d', 'later'));
  await killed(server);
  server = await start();
  expect(await ask(server.url, (client) => client.mget('a', 'b', 'c', 'd'))).toEqual([
    'whole',
    'whole',
    'whole',
    'later',
  ]);
  // A log that is whole is left alone.
  expect(said.filter((sentence) => sentence.includes('torn off'))).toHaveLength(1);
});
