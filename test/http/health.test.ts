import { createServer } from 'node:net';
import { once } from 'node:events';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startServer } from '../../src/http/index.ts';
import { PLATFORM_KEY, startApi, text, type Api } from './support/api.ts';

let api: Api;
beforeAll(async () => {
  api = await startApi();
});
afterAll(() => api.close());

describe('/health', () => {
  test('says that the process lives and what a 2xx means', async () => {
    const answer = await api.call({ url: '/health', as: null });
    expect(answer.json()).toEqual({ status: 'ok', durability: 'disk' });
  });
});

describe('/ready', () => {
  test('is 200 when every part can work', async () => {
    const answer = await api.call({ url: '/ready', as: null });
    expect(answer.statusCode).toBe(200);
    expect(answer.json()).toEqual({ status: 'ready', checks: { redis: 'ok', database: 'ok' } });
  });

  test.each<[string, () => Promise<void>]>([
    ['fails', () => Promise.reject(new Error('connect ECONNREFUSED 10.0.0.7:6379 password=hunter2'))],
    [
      'throws',
      () => {
        throw new Error('bug');
      },
    ],
    ['never answers', () => new Promise(() => undefined)],
  ])('is 503 within some seconds when a part %s, and tells its name only', async (_what, check) => {
    const { redis } = api.ready;
    api.ready['redis'] = check;
    try {
      const answer = await api.call({ url: '/ready', as: null });
      expect(answer.statusCode).toBe(503);
      expect(answer.json()).toEqual({ status: 'not-ready', checks: { redis: 'failed', database: 'ok' } });
      expect(answer.headers['retry-after']).toBeDefined();
    } finally {
      if (redis) api.ready['redis'] = redis;
    }
  });
});

test('a process that takes its leave serves everything but readiness, and asks callers not to keep their connections', async () => {
  api.isStopping = true;
  api.isClosing = false;
  try {
    expect((await api.call({ url: '/ready', as: null })).statusCode).toBe(503);
    const served = await api.call({ method: 'POST', url: '/v1/messages', body: text() });
    expect(served.statusCode).toBe(202);
    expect(served.headers.connection).toBe('close');
  } finally {
    api.isStopping = false;
  }
});

test('a process that stops answers its health, and refuses work with 503', async () => {
  api.isStopping = true;
  try {
    expect((await api.call({ url: '/health', as: null })).statusCode).toBe(200);
    expect((await api.call({ url: '/ready', as: null })).json()).toMatchObject({ status: 'stopping' });
    const refused = await api.call({ method: 'POST', url: '/v1/messages', body: text() });
    expect(refused.statusCode).toBe(503);
    expect(refused.json()).toMatchObject({ code: 'SHUTTING_DOWN' });
    expect(refused.headers['retry-after']).toBe('1');
  } finally {
    api.isStopping = false;
  }
});

describe('startServer()', () => {
  test('a port that is taken gives a sentence that says what to do', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as { port: number };
    const second = await startApi();
    await expect(startServer(second.app, { host: '127.0.0.1', port })).rejects.toThrow(
      /is taken by another program; set PORT/,
    );
    await second.close();
    other.close();
  });

  test('stopping lets an answer under way finish and then closes', async () => {
    const own = await startApi();
    const server = await startServer(own.app, { host: '127.0.0.1', port: 0 });
    const before = own.queue.accepted.length;
    const waiting = fetch(`${server.url}/v1/messages`, {
      method: 'POST',
      headers: { authorization: `Bearer ${PLATFORM_KEY}`, 'content-type': 'application/json', prefer: 'wait=20' },
      body: JSON.stringify(text()),
    });
    await expect.poll(() => own.queue.accepted.length, { interval: 5 }).toBe(before + 1);
    const stopped = server.stop(10_000);
    expect(server.stop(10_000)).toBe(stopped);
    own.queue.send(own.queue.accepted.at(-1)?.id ?? '');
    expect((await waiting).status).toBe(200);
    await stopped;
    await expect(fetch(`${server.url}/health`)).rejects.toThrow();
    await own.close();
  });

  test('an answer that does not come is cut when the grace is over', async () => {
    const own = await startApi();
    const server = await startServer(own.app, { host: '127.0.0.1', port: 0 });
    const waiting = fetch(`${server.url}/v1/messages`, {
      method: 'POST',
      headers: { authorization: `Bearer ${PLATFORM_KEY}`, 'content-type': 'application/json', prefer: 'wait=20' },
      body: JSON.stringify(text()),
    }).catch(() => 'cut');
    await expect.poll(() => own.queue.accepted.length, { interval: 5 }).toBe(1);
    await server.stop(50);
    expect(await waiting).toBe('cut');
    await own.close();
  });
});

test('F49 · neither secrets nor texts nor phone numbers reach the log', async () => {
  const lines: string[] = [];
  const logger = pino({ level: 'trace' }, { write: (line: string) => lines.push(line) });
  const own = await startApi({ logger });
  const headers = { 'idempotency-key': 'planted-key' };
  await own.call({
    method: 'POST',
    url: '/v1/messages',
    body: text({ text: { body: 'planted text' }, metadata: { a: 'planted' } }),
    headers,
  });
  await own.call({ method: 'POST', url: '/v1/messages', body: text({ to: '+4915112345678999', surprise: 'planted' }) });
  await own.call({
    method: 'POST',
    url: '/v1/messages',
    body: '{"planted":',
    headers: { 'content-type': 'application/json' },
  });
  await own.call({
    url: '/webhooks/whatsapp/cloud?hub.mode=subscribe&hub.verify_token=planted&hub.challenge=1',
    as: null,
  });
  await own.call({ url: '/v1/messages?conversation=planted', as: 'planted-credential' });
  await own.call({ url: '/nothing/planted' });
  own.ready['redis'] = () => Promise.reject(new Error('refused'));
  await own.call({ url: '/ready' });
  await own.close();
  expect(lines.length).toBeGreaterThan(5);
  expect(lines.join('')).not.toMatch(/planted|4915112345678|platform-key-of/);
});

test('an error of ours is 500, tells nothing, and stands in the log with its request id', async () => {
  const lines: string[] = [];
  const logger = pino({ level: 'info' }, { write: (line: string) => lines.push(line) });
  const own = await startApi({
    logger,
    extend: (app) => {
      app.get('/broken', { config: { access: 'open' } }, () => {
        throw new Error('select * from secrets');
      });
      app.get('/broken-shape', { config: { access: 'open' } }, async () => {
        await Promise.resolve();
        // eslint-disable-next-line @typescript-eslint/only-throw-error
        throw 'a text';
      });
    },
  });
  for (const url of ['/broken', '/broken-shape']) {
    const answer = await own.call({ url, as: null });
    expect(answer.statusCode).toBe(500);
    expect(answer.json()).toMatchObject({ code: 'INTERNAL' });
    expect(answer.body).not.toMatch(/select|a text|\.ts/);
    expect(lines.join('')).toContain(answer.headers['x-request-id']);
  }
  await own.close();
});
