import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startServer, type HttpServer } from '../../src/http/index.ts';
import { watchStandstill } from '../support/standstill.ts';
import { PLATFORM_KEY, startApi, text, type Api } from './support/api.ts';

let api: Api;
let server: HttpServer;
beforeAll(async () => {
  api = await startApi();
  server = await startServer(api.app, { host: '127.0.0.1', port: 0 });
});
afterAll(async () => {
  await server.stop(1000);
  await api.close();
});

interface ProblemBody {
  type: string;
  title: string;
  status: number;
  code: string;
  detail: string;
  field?: string;
  requestId: string;
}

function expectProblem(
  answer: { statusCode: number; headers: Record<string, unknown>; body: string },
  status: number,
  code: string,
): ProblemBody {
  expect(answer.statusCode, answer.body).toBe(status);
  expect(answer.headers['content-type']).toMatch(/^application\/problem\+json/);
  const problem = JSON.parse(answer.body) as ProblemBody;
  expect(problem).toMatchObject({ type: `urn:waxwing:error:${code}`, status, code });
  expect(problem.title.length).toBeGreaterThan(0);
  expect(problem.detail.length).toBeGreaterThan(0);
  expect(problem.requestId).toBe(answer.headers['x-request-id']);
  expect(
    Object.keys(problem).filter(
      (key) => !['type', 'title', 'status', 'code', 'detail', 'field', 'requestId'].includes(key),
    ),
  ).toEqual([]);
  return problem;
}

const post = (body: unknown, headers: Record<string, string> = {}) =>
  api.call({ method: 'POST', url: '/v1/messages', body, headers });
const raw = (body: string | Buffer, type = 'application/json') => post(body, { 'content-type': type });

describe('fields', () => {
  test.each<[string, unknown, string]>([
    ['no recipient', text({ to: undefined }), 'to'],
    ['two recipients', text({ recipient: 'US.1349' }), 'recipient'],
    ['a number without +', text({ to: '4915112345678' }), 'to'],
    ['a number of letters', text({ to: 'call me' }), 'to'],
    ['a number that is too short', text({ to: '+49' }), 'to'],
    ['a number as a number', text({ to: 4915112345678 }), 'to'],
    ['a user id of no form', text({ to: undefined, recipient: 'nobody' }), 'recipient'],
    ['no type', text({ type: undefined }), 'type'],
    ['an unknown type', text({ type: 'fax' }), 'type'],
    ['the object of another type', text({ image: { id: '1' } }), 'image'],
    ['no object', text({ text: undefined }), 'text'],
    ['an empty text', text({ text: { body: '' } }), 'text.body'],
    ['a text that is too long', text({ text: { body: 'x'.repeat(4097) } }), 'text.body'],
    ['a text that is no text', text({ text: { body: { $ne: null } } }), 'text.body'],
    ['an unknown field', text({ urgent: true }), 'urgent'],
    ['an unknown inner field', text({ text: { body: 'x', bold: true } }), 'text.bold'],
    ['priority 0', text({ priority: 0 }), 'priority'],
    ['priority 11', text({ priority: 11 }), 'priority'],
    ['priority 5.5', text({ priority: 5.5 }), 'priority'],
    ['priority "5"', text({ priority: '5' }), 'priority'],
    ['a sendAt without a zone', text({ sendAt: '2030-01-01T00:00:00' }), 'sendAt'],
    ['a sendAt in ms', text({ sendAt: 1893456000000 }), 'sendAt'],
    ['a sendAt too far ahead', text({ sendAt: '2999-01-01T00:00:00Z' }), 'sendAt'],
    ['an expiresAt in the past', text({ expiresAt: '2020-01-01T00:00:00Z' }), 'expiresAt'],
    ['an expiresAt before sendAt', text({ sendAt: soon(20), expiresAt: soon(10) }), 'expiresAt'],
    ['a tenant with a space', text({ tenant: 'salon 1' }), 'tenant'],
    ['a tenant with the separator of keys', text({ tenant: 'a|b' }), 'tenant'],
    ['an empty tenant', text({ tenant: '' }), 'tenant'],
    ['a tenant that is too long', text({ tenant: 'x'.repeat(129) }), 'tenant'],
    ['a conversation with a line break', text({ conversation: 'a\nb' }), 'conversation'],
    ['a conversation that is too long', text({ conversation: 'x'.repeat(201) }), 'conversation'],
    ['a sender with a slash', text({ sender: '../x' }), 'sender'],
    ['metadata that is a list', text({ metadata: [] }), 'metadata'],
    ['metadata that is too large', text({ metadata: { x: 'y'.repeat(17_000) } }), 'metadata'],
    ['dedupe as text', text({ dedupe: 'yes' }), 'dedupe'],
    ['NUL in the text', text({ text: { body: 'a\u0000b' } }), 'text.body'],
    ['NUL in metadata', text({ metadata: { a: ['x', '\u0000'] } }), 'metadata.a[1]'],
    ['NUL in a name', text({ metadata: { 'a\u0000': 1 } }), 'metadata'],
    ['half a surrogate pair', text({ text: { body: '\ud83d' } }), 'text.body'],
    ['nesting beyond 32 levels', text({ metadata: nested(40) }), `metadata${'.a'.repeat(31)}`],
  ])('%s: 400 that names the field, and nothing is stored', async (_what, body, field) => {
    const before = api.queue.accepted.length;
    const problem = expectProblem(await post(body), 400, 'REQUEST_INVALID');
    expect(problem.field).toBe(field);
    expect(problem.detail).not.toMatch(/zod|invalid input|expected string/i);
    expect(api.queue.accepted.length).toBe(before);
  });

  test('never repeats what was sent', async () => {
    const answer = await post(
      text({ to: '+4915112345678999999', text: { body: 'my secret text', surprise: 'hunter2' } }),
    );
    expect(answer.body).not.toMatch(/4915112345678|my secret text|hunter2/);
  });

  test('takes what is unusual and fine', async () => {
    const body = text({
      tenant: 'org_1.eu:2@x+y-z',
      conversation: 'Tisch 7 | Müller 👩‍🍳 "quoted" \\ {}',
      to: '+49 (151) 1234-5678',
      text: { body: '👍'.repeat(4096) },
      metadata: { deep: nested(20), empty: {}, null: null, ünïcode: '✓' },
    });
    const answer = await post(body);
    expect(answer.statusCode, answer.body).toBe(202);
    const { id } = answer.json<{ id: string }>();
    await api.recorded();
    expect((await api.call({ url: `/v1/messages/${id}` })).json()).toMatchObject({
      conversation: body['conversation' as keyof typeof body],
      metadata: { ünïcode: '✓', empty: {}, null: null },
    });
  });
});

describe('bodies', () => {
  test.each<[string, string | Buffer]>([
    ['an empty body', ''],
    ['blanks', '   '],
    ['half an object', '{"to":'],
    ['a trailing comma', '{"to":"x",}'],
    ['single quotes', "{'to':'x'}"],
    ['a comment', '{/* */}'],
    ['two values', '{} {}'],
    ['a byte order mark alone', '\uFEFF'],
    ['NaN', '{"priority":NaN}'],
    ['a control character in a text', '{"to":"a\u0001"}'],
    ['bytes that are no UTF-8 in place of a name', Buffer.from([0x7b, 0xff, 0xfe, 0x7d])],
    ['XML', '<to>x</to>'],
    ['a text in Latin-1', Buffer.from(JSON.stringify(text({ text: { body: 'Grüße' } })), 'latin1')],
    ['100,000 open brackets', '['.repeat(100_000)],
  ])('%s is 400 REQUEST_NOT_JSON', async (_what, body) => {
    expectProblem(await raw(body), 400, 'REQUEST_NOT_JSON');
  });

  test.each<[string, string]>([
    ['__proto__', JSON.stringify(text()).replace('{', '{"__proto__":{"isAdmin":true},')],
    [
      '__proto__ deep inside',
      `{"metadata":{"a":{"__proto__":{"x":1}}},"to":"+4915112345678","type":"text","text":{"body":"x"}}`,
    ],
    ['constructor.prototype', JSON.stringify(text()).replace('{', '{"constructor":{"prototype":{"isAdmin":true}},')],
    ['__proto__ in escapes', JSON.stringify(text()).replace('{', '{"\\u005f_proto__":{"isAdmin":true},')],
  ])('%s is refused and changes no prototype', async (_what, body) => {
    expectProblem(await raw(body), 400, 'REQUEST_NOT_JSON');
    expect(({} as { isAdmin?: boolean }).isAdmin).toBeUndefined();
  });

  test.each<[string, string]>([
    ['null', 'null'],
    ['a number', '5'],
    ['a text', '"x"'],
    ['a list', '[]'],
    ['an empty object', '{}'],
    ['100,000 levels of lists', '['.repeat(100_000) + ']'.repeat(100_000)],
    ['100,000 levels of objects', '{"a":'.repeat(40_000) + '1' + '}'.repeat(40_000)],
    ['a number beyond all doubles', JSON.stringify(text()).replace('}', ',"x":1e999}')],
  ])('%s is 400, at once', async (_what, body) => {
    const standstill = watchStandstill();
    const startMs = performance.now();
    expectProblem(await raw(body), 400, 'REQUEST_INVALID');
    expect(performance.now() - startMs).toBeLessThan(1000 + standstill.ms());
  });

  test.each([
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'image/png',
    'nonsense',
  ])('the content type %s is 400 REQUEST_NOT_JSON', async (type) => {
    expectProblem(await raw(JSON.stringify(text()), type), 400, 'REQUEST_NOT_JSON');
  });

  test('JSON with a charset is taken, and of a name that comes twice the last one counts', async () => {
    const answer = await raw(
      '{"to":"x","to":"+4915112345678","type":"text","text":{"body":"x"}}',
      'application/json; charset=utf-8',
    );
    expect(answer.statusCode).toBe(202);
  });

  test('one byte over the limit is 413, the limit itself is not', async () => {
    const limit = 256 * 1024;
    const fill = (size: number) => {
      const start = JSON.stringify(text());
      return start + ' '.repeat(size - start.length);
    };
    expect((await raw(fill(limit))).statusCode).toBe(202);
    expectProblem(await raw(fill(limit + 1)), 413, 'BODY_TOO_LARGE');
  });

  test('a batch has its tenants in its items: a name beside them is refused', async () => {
    const body = { tenant: 'salon', messages: [text()] };
    const answer = await api.call({ method: 'POST', url: '/v1/messages/batch', body });
    expect(expectProblem(answer, 400, 'REQUEST_INVALID').field).toBe('tenant');
  });
  test('a batch may have 4 MiB, and no more', async () => {
    const batch = (size: number) => {
      const body = JSON.stringify({
        messages: Array.from({ length: 1000 }, () => text({ text: { body: 'x'.repeat(4000) } })),
      });
      return body + ' '.repeat(size - body.length);
    };
    const send = (body: string) =>
      api.call({ method: 'POST', url: '/v1/messages/batch', body, headers: { 'content-type': 'application/json' } });
    const limit = 4 * 1024 * 1024;
    // 1,000 messages of 4 kB come to more than that with their names and quotes: the limit is for the bytes.
    const smaller = JSON.stringify({
      messages: Array.from({ length: 900 }, () => text({ text: { body: 'x'.repeat(4000) } })),
    });
    const taken = await send(smaller + ' '.repeat(limit - smaller.length));
    expect(taken.statusCode).toBe(200);
    expectProblem(await send(batch(limit + 1)), 413, 'BODY_TOO_LARGE');
  });
});

describe('queries', () => {
  const someId = '0199f0a4-6d2c-7c1e-8f6a-2f0d5a3b9c18';
  test.each([
    ['GET', '/v1/messages?tenat=salon', 'tenat', undefined],
    ['GET', '/v1/conversations?limit=2&statuss=open', 'statuss', undefined],
    ['GET', '/v1/stats?days=7', 'days', undefined],
    ['POST', '/v1/messages?dryRun=true', 'dryRun', text()],
    // Of routes that know no name at all.
    ['GET', '/admin/failures/summary?tenant=salon', 'tenant', undefined],
    ['POST', '/admin/dead-letters/redrive?dryRun=true', 'dryRun', { filter: {} }],
    ['DELETE', `/admin/keys/${someId}?dryRun=true`, 'dryRun', undefined],
  ] as const)('%s %s: a name that is not known is refused, as in a body', async (method, url, field, body) => {
    const as = url.startsWith('/admin') ? await api.token('admin') : PLATFORM_KEY;
    const answer = await api.call({ method, url, as, ...(body === undefined ? {} : { body }) });
    expect(expectProblem(answer, 400, 'REQUEST_INVALID').field).toBe(field);
  });
  test('what a provider adds to its verification call does no harm', async () => {
    const url = '/webhooks/whatsapp/cloud?hub.mode=subscribe&hub.challenge=1&hub.verify_token=wrong&hub.more=1';
    expectProblem(await api.call({ url }), 403, 'FORBIDDEN');
  });
});

describe('paths', () => {
  test.each([
    '/',
    '/v1',
    '/v2/messages',
    '/v1/messages/x/y/z',
    '/admin',
    '/.env',
    '/docs/../../etc/passwd',
    '/V1/messages',
  ])('%s is 404 in the shape of all errors', async (url) => {
    expectProblem(await api.call({ url }), 404, 'NOT_FOUND');
  });
  test('another method is 404 too', async () => {
    expectProblem(await api.call({ method: 'PATCH', url: '/v1/messages', body: {} }), 404, 'NOT_FOUND');
  });
  test('a path with broken percent-encoding is 400', async () => {
    expectProblem(await api.call({ url: '/v1/messages/%zz' }), 400, 'REQUEST_INVALID');
  });
});

describe('on the wire', () => {
  /** Sends bytes as they are and reads until the server closes or says enough. */
  const wire = (bytes: string | Buffer, isEnough = (text: string) => text.includes('\r\n\r\n') && text.endsWith('}')) =>
    new Promise<string>((resolve, reject) => {
      const socket = connect(server.port, '127.0.0.1', () => socket.write(bytes));
      let received = '';
      const timer = setTimeout(() => socket.destroy(new Error(`no answer: ${received}`)), 5000);
      socket.on('data', (chunk: Buffer) => {
        received += chunk.toString();
        if (isEnough(received)) socket.end();
      });
      socket.on('error', reject);
      socket.on('close', () => {
        clearTimeout(timer);
        resolve(received);
      });
    });
  const head = `POST /v1/messages HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${PLATFORM_KEY}\r\nContent-Type: application/json\r\n`;

  test.each([
    ['no HTTP at all', 'hello\r\n\r\n', 400],
    ['both lengths (smuggling)', `${head}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, 400],
    ['two lengths', `${head}Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef`, 400],
    ['headers without end', `${head}X-Filler: ${'x'.repeat(20_000)}\r\n\r\n`, 431],
  ])('%s is refused in the shape of all errors', async (_what, bytes, status) => {
    const answer = await wire(bytes);
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect(answer).toMatch(/content-type: application\/problem\+json/i);
    expect(JSON.parse(answer.slice(answer.indexOf('\r\n\r\n') + 4))).toMatchObject({ status, code: 'REQUEST_INVALID' });
  });

  test('a body without a length that never ends is cut at the limit', async () => {
    const chunk = `4000\r\n${'x'.repeat(0x4000)}\r\n`;
    const answer = await wire(`${head}Transfer-Encoding: chunked\r\n\r\n${chunk.repeat(20)}`);
    expect(answer).toMatch(/^HTTP\/1\.1 413 /);
  });

  test('honest requests are answered beside all that', async () => {
    const response = await fetch(`${server.url}/v1/messages`, {
      method: 'POST',
      headers: { authorization: `Bearer ${PLATFORM_KEY}`, 'content-type': 'application/json' },
      body: JSON.stringify(text()),
    });
    expect(response.status).toBe(202);
  });

  test('a server has limits for slow and idle connections', () => {
    expect(api.app.server.requestTimeout).toBe(30_000);
    expect(api.app.server.headersTimeout).toBe(10_000);
    expect(api.app.server.timeout).toBe(65_000);
  });

  test('security headers are on every answer', async () => {
    for (const url of ['/health', '/v1/messages', '/nothing']) {
      const { headers } = await api.call({ url });
      expect(headers).toMatchObject({
        'content-security-policy': "default-src 'none';frame-ancestors 'none'",
        'x-content-type-options': 'nosniff',
        'x-frame-options': 'SAMEORIGIN',
      });
      // Over plain http it would mean nothing; behind https see sign-in tests.
      expect(headers['strict-transport-security']).toBeUndefined();
      expect(headers['x-powered-by']).toBeUndefined();
      expect(headers['server']).toBeUndefined();
    }
  });
});

function soon(seconds: number): string {
  return new Date(Date.now() + seconds * 1000).toISOString();
}

function nested(levels: number): Record<string, unknown> {
  let value: Record<string, unknown> = { a: 1 };
  for (let i = 1; i < levels; i++) value = { a: value };
  return value;
}
