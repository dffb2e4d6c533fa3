import { createServer as createHttpServer } from 'node:http';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createGuardedFetch, GuardedFetchError, isPublicAddress } from '../../../src/util/guarded-fetch/index.ts';
import { FORBIDDEN_URLS } from './corpus.ts';

/** Listens on every address of this machine: a call that gets past the guard is counted here. */
let canary: Server;
let port = 0;
let hits = 0;
beforeAll(async () => {
  canary = createServer((socket) => {
    hits += 1;
    socket.destroy();
  });
  await new Promise<void>((resolve) => canary.listen(0, '::', resolve));
  port = (canary.address() as AddressInfo).port;
});
afterAll(() => new Promise((resolve) => canary.close(resolve)));

const reasonOf = async (call: Promise<unknown>) => {
  const error = await call.then(
    () => new Error('it was answered'),
    (thrown: unknown) => thrown,
  );
  return error instanceof GuardedFetchError ? error.reason : error;
};

describe('F48 · a call to an address of somebody else’s choice', () => {
  test(`reaches nobody of our own with ${FORBIDDEN_URLS.length} forbidden addresses`, async () => {
    const fetch = createGuardedFetch({ ports: [443, 8443, port], timeoutMs: 10_000 });
    const before = hits;
    const passed: string[] = [];
    for (const url of FORBIDDEN_URLS) {
      const reason = await reasonOf(fetch(url.replace('PORT', String(port))));
      if (reason !== 'url' && reason !== 'address' && reason !== 'dns') passed.push(`${url}: ${String(reason)}`);
    }
    expect(passed).toEqual([]);
    expect(hits - before).toBe(0);
    expect(FORBIDDEN_URLS.length).toBeGreaterThanOrEqual(60);
    await fetch.close();
  });

  test('the listener of these tests does notice a call that is let through', async () => {
    const fetch = createGuardedFetch({ allowPrivate: true, timeoutMs: 10_000 });
    const before = hits;
    for (const host of ['127.0.0.1', '[::1]', 'localhost', '[::ffff:127.0.0.1]', '0.0.0.0']) {
      expect(await reasonOf(fetch(`https://${host}:${port}/`))).toBe('network');
    }
    expect(hits - before).toBeGreaterThanOrEqual(5);
    await fetch.close();
  });

  test('a name that leads elsewhere the second time is looked up once, and only what was checked is called', async () => {
    let lookups = 0;
    const fetch = createGuardedFetch({
      ports: [port],
      timeoutMs: 300,
      // 198.51.100.1 would be refused; 1.1.1.1 is public and not reachable on this port.
      resolve: () => Promise.resolve(++lookups === 1 ? ['1.1.1.1'] : ['127.0.0.1']),
    });
    const before = hits;
    const reason = await reasonOf(fetch(`https://rebinding.example:${port}/`));
    expect(['timeout', 'network']).toContain(reason);
    expect(lookups).toBe(1);
    expect(hits - before).toBe(0);
    expect(await reasonOf(fetch(`https://rebinding.example:${port}/`))).toBe('address');
    expect(hits - before).toBe(0);
    await fetch.close();
  });

  test.each([
    ['private after public', ['1.1.1.1', '10.0.0.1']],
    ['public after private', ['127.0.0.1', '1.1.1.1']],
    ['mapped', ['::ffff:127.0.0.1']],
    ['with a zone', ['fe80::1%lo']],
    ['no address at all', ['localhost']],
  ])('refuses a name with one bad address: %s', async (_what, addresses) => {
    const fetch = createGuardedFetch({ ports: [port], resolve: () => Promise.resolve(addresses) });
    const before = hits;
    expect(await reasonOf(fetch(`https://several.example:${port}/`))).toBe('address');
    expect(hits - before).toBe(0);
    await fetch.close();
  });

  test('a name without an address can be called later', async () => {
    const fetch = createGuardedFetch({ resolve: () => Promise.resolve([]) });
    const error: unknown = await fetch('https://nobody.example/').catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ reason: 'dns', retryable: true });
    await fetch.close();
  });

  test('no message holds the address, which may carry a secret in its query', async () => {
    const fetch = createGuardedFetch({ resolve: () => Promise.reject(new Error('ENOTFOUND planted-host')) });
    for (const url of ['http://planted-host/?key=planted', 'https://planted-host/?key=planted', 'planted']) {
      const error = (await fetch(url).catch((thrown: unknown) => thrown)) as Error;
      expect(error.message).not.toContain('planted');
    }
    await fetch.close();
  });
});

describe('with private addresses allowed', () => {
  const fetch = createGuardedFetch({ allowPrivate: true, timeoutMs: 10_000, answerBytesMax: 1000 });
  const impatient = createGuardedFetch({ allowPrivate: true, timeoutMs: 500 });
  let base = '';
  const server = createHttpServer((request, response) => {
    switch (request.url) {
      case '/echo': {
        const chunks: Buffer[] = [];
        request.on('data', (chunk: Buffer) => chunks.push(chunk));
        request.on('end', () =>
          response.end([request.method, request.headers['x-word'], Buffer.concat(chunks).toString()].join(' ')),
        );
        break;
      }
      case '/fault':
        response.writeHead(500).end('broken');
        break;
      case '/redirect':
        response.writeHead(302, { location: '/echo' }).end();
        break;
      case '/large':
        response.end('x'.repeat(1001));
        break;
      case '/slow':
        break;
      case '/drip':
        response.write('x');
        break;
      default:
        response.end('x'.repeat(1000));
    }
  });
  beforeAll(async () => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(async () => {
    await fetch.close();
    await impatient.close();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  test('answers with status and text, whatever the status', async () => {
    const request = { headers: { 'x-word': 'w' }, body: 'hello' };
    expect(await fetch(`${base}/echo`, request)).toMatchObject({ status: 200, body: 'POST w hello' });
    expect(await fetch(`${base}/fault`)).toMatchObject({ status: 500, body: 'broken' });
    expect((await fetch(`${base}/whole`, { method: 'GET' })).body).toHaveLength(1000);
  });

  test.each([
    ['/redirect', 'redirect'],
    ['/large', 'too-large'],
    ['/slow', 'timeout'],
    ['/drip', 'timeout'],
  ])('%s is refused: %s', async (path, reason) => {
    expect(await reasonOf((reason === 'timeout' ? impatient : fetch)(`${base}${path}`))).toBe(reason);
  });

  test('a caller that gives up ends the call', async () => {
    const abort = new AbortController();
    const call = reasonOf(fetch(`${base}/slow`, { signal: abort.signal }));
    abort.abort();
    expect(await call).toBe('network');
  });

  test('other schemes than http stay refused', () => {
    expect(fetch.faultOf('file:///etc/passwd')).toMatch(/must begin with/);
    expect(fetch.faultOf('http://user:pass@localhost/')).toMatch(/user name/);
    expect(fetch.faultOf('http://localhost:3000/hook')).toBeNull();
  });
});

test.each(['1.1.1.1', '8.8.8.8', '172.15.255.255', '172.32.0.1', '100.63.255.255', '100.128.0.1', '2606:4700::1111'])(
  '%s is on the public internet',
  (address) => {
    expect(isPublicAddress(address)).toBe(true);
  },
);
