import Fastify from 'fastify';
import { SignJWT, UnsecuredJWT } from 'jose';
import { createHmac, generateKeyPairSync } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { auth } from '../../src/http/plugins/auth.ts';
import { createQueueService } from '../../src/jobs/index.ts';
import { testRedis } from '../support/services.ts';
import { PLATFORM_KEY, startApi, text, type Api, type Call } from './support/api.ts';

let api: Api;
const credentials: Record<string, string | null> = { none: null, nonsense: 'nonsense', platform: PLATFORM_KEY };
let contactId = '';
let keyId: string;
let eventId = '';
let failureId: string;
let templateId: string;

beforeAll(async () => {
  const { url } = await testRedis();
  api = await startApi({ queues: createQueueService({ redis: { url }, attempts: 3, backoffMs: 2000 }) });
  for (const role of ['viewer', 'operator', 'admin'] as const) credentials[role] = await api.token(role);
  await api.record.tenants.create({ id: 'salon1' });
  await api.record.tenants.create({ id: 'salon2' });
  for (const tenant of ['default', 'salon1']) await api.bookings.create(tenant, 'booking1', BOOKING, []);
  await api.record.eventsOut.setDefault('https://events.example.org');
  await api.record.eventsOut.add({
    source: 'test',
    tenant: 'salon1',
    sender: null,
    type: 'message.received',
    data: { from: PERSON, text: { body: WORDS } },
    occurredAtMs: 0,
  });
  eventId = (await api.record.eventsOut.list({})).items[0]?.id ?? '';
  const template = await api.record.templates.add({
    tenant: null,
    key: 'reminder',
    language: 'en',
    provider: 'cloud',
    account: 'waba',
    sender: null,
    name: 'reminder',
    category: 'UTILITY',
    components: [{ type: 'BODY', text: 'See you tomorrow.' }],
    status: 'APPROVED',
    reason: null,
    providerId: null,
  });
  templateId = template.id;
  const body = text({ tenant: 'salon1', to: PERSON, conversation: PERSON, text: { body: WORDS } });
  const doomed = await api.call({ method: 'POST', url: '/v1/messages', body });
  failureId = doomed.json<{ id: string }>().id;
  api.queue.fail(failureId, { code: 'X', providerCode: '131026', title: 'X', detail: `${PERSON}?`, retryable: false });
  await api.recorded();
  const key = await api.record.apiKeys.create({ tenant: 'salon1', name: 'test' });
  credentials['tenant'] = key.key;
  await api.call({ method: 'POST', url: '/v1/messages', body: text({ tenant: 'salon1', conversation: 'known' }) });
  await api.recorded();
  contactId = (await api.record.conversations.find({ tenant: 'salon1', id: 'known' }))?.contactId ?? '';
  keyId = (await api.record.apiKeys.create({ tenant: null, name: 'to be revoked' })).id;
});
afterAll(() => api.close());

const PERSON = '+447700900321';
const WORDS = 'Only Mina may read this.';
const BOOKING = {
  customerPhone: '+4915112345678',
  customerName: null,
  serviceName: 'Haircut',
  startsAtMs: Date.parse('2099-02-02T10:30:00Z'),
  startsAtWritten: '2099-02-02T10:30:00Z',
  timeZone: null,
  sender: null,
  message: null,
  locale: null,
  metadata: {},
};

/** Every route, with a request that an allowed caller gets through, and who is allowed. */
const KEYS = ['platform', 'tenant'];
const ALL_ROLES = ['viewer', 'operator', 'admin'];
const ROUTES: [Call, allowed: string[]][] = [
  [{ method: 'POST', url: '/v1/messages', body: text() }, KEYS],
  [{ method: 'POST', url: '/v1/messages/batch', body: { messages: [text()] } }, KEYS],
  [{ url: '/v1/messages' }, KEYS],
  [{ url: '/v1/messages/:id' }, KEYS],
  [{ url: '/v1/messages/:id/timeline' }, KEYS],
  [{ url: '/v1/messages/:id/explain' }, KEYS],
  [{ url: '/v1/senders/default/forecast?messages=5' }, KEYS],
  [{ method: 'DELETE', url: '/v1/messages/:id' }, KEYS],
  [{ method: 'POST', url: '/api/whatsapp/send', body: { phoneNumber: '+4915112345678', text: 'x' } }, KEYS],
  [{ url: '/api/v1/queues/stats' }, ['platform', ...ALL_ROLES]],
  [{ url: '/metrics' }, ['platform', ...ALL_ROLES]],
  [{ url: '/api/workers/whatsapp' }, ['platform', ...ALL_ROLES]],
  [{ url: '/api/webhooks/whatsapp/health' }, ['platform', ...ALL_ROLES]],
  [{ url: '/admin/alerts' }, ALL_ROLES],
  [{ url: '/api/cache/metrics' }, ['platform', ...ALL_ROLES]],
  [{ url: '/api/cache/metrics/history' }, ['platform', ...ALL_ROLES]],
  [{ url: '/api/cache/metrics/history.svg' }, ['platform', ...ALL_ROLES]],
  [{ url: '/admin/tenants' }, ALL_ROLES],
  [{ url: '/admin/tenants/salon1' }, ALL_ROLES],
  [{ method: 'POST', url: '/admin/tenants', body: { id: 'new' } }, ['admin']],
  [{ method: 'PATCH', url: '/admin/tenants/salon1', body: { name: 'x' } }, ['admin']],
  [{ method: 'POST', url: '/admin/tenants/salon1/pause' }, ['operator', 'admin']],
  [{ method: 'POST', url: '/admin/tenants/salon1/resume' }, ['operator', 'admin']],
  [{ url: '/admin/senders' }, ALL_ROLES],
  [{ url: '/admin/senders/default' }, ALL_ROLES],
  [{ method: 'POST', url: '/admin/senders', body: {} }, ['admin']],
  [{ method: 'PATCH', url: '/admin/senders/default', body: {} }, ['admin']],
  [{ method: 'POST', url: '/admin/senders/default/pause' }, ['operator', 'admin']],
  [{ method: 'POST', url: '/admin/senders/default/resume' }, ['operator', 'admin']],
  [{ method: 'POST', url: '/v1/bookings', body: {} }, KEYS],
  [{ url: '/v1/bookings' }, KEYS],
  [{ url: '/v1/bookings/booking1' }, KEYS],
  [{ method: 'PATCH', url: '/v1/bookings/booking1', body: {} }, KEYS],
  [{ method: 'DELETE', url: '/v1/bookings/booking1' }, KEYS],
  [{ url: '/v1/stats' }, KEYS],
  [{ url: '/v1/templates' }, KEYS],
  [{ method: 'POST', url: '/v1/templates', body: {} }, KEYS],
  [{ method: 'POST', url: '/v1/templates/sync', body: { sender: 1 } }, KEYS],
  [{ url: '/v1/templates/:template' }, KEYS],
  [{ method: 'POST', url: '/v1/templates/:template/preview', body: {} }, KEYS],
  [{ url: '/admin/queue/stats/webhook' }, ALL_ROLES],
  [{ url: '/admin/queue/health' }, ALL_ROLES],
  [{ method: 'POST', url: '/admin/queue/pause/webhook' }, ['operator', 'admin']],
  [{ method: 'POST', url: '/admin/queue/resume/webhook' }, ['operator', 'admin']],
  [{ method: 'POST', url: '/admin/queue/clean/webhook' }, ['admin']],
  [{ method: 'POST', url: '/admin/queue/test', body: { queueName: 'webhook' } }, ['admin']],
  [{ url: '/admin/streams/health' }, ALL_ROLES],
  [{ method: 'POST', url: '/admin/streams/reset-to-latest' }, ['admin']],
  [{ method: 'POST', url: '/admin/streams/reset-to-begin' }, ['admin']],
  [{ method: 'DELETE', url: '/admin/streams/destroy-recreate' }, ['admin']],
  [{ method: 'POST', url: '/admin/streams/claim-pending-to-worker' }, ['operator', 'admin']],
  [{ url: '/admin/failures' }, ALL_ROLES],
  [{ url: '/admin/failures/summary' }, ALL_ROLES],
  [{ url: '/admin/failures/:failure' }, ALL_ROLES],
  [{ url: '/admin/dead-letters' }, ALL_ROLES],
  [{ url: '/admin/dead-letters/export' }, ALL_ROLES],
  [{ url: '/admin/dead-letters/:failure' }, ALL_ROLES],
  [{ method: 'POST', url: '/admin/dead-letters/redrive', body: { filter: {}, dryRun: true } }, ['operator', 'admin']],
  [{ method: 'POST', url: '/admin/dead-letters/discard', body: { filter: {}, dryRun: true } }, ['operator', 'admin']],
  [{ url: '/v1/conversations' }, KEYS],
  [{ url: '/v1/conversations/:conversation' }, KEYS],
  [{ url: '/v1/conversations/:conversation/messages' }, KEYS],
  [{ method: 'POST', url: '/v1/conversations/:conversation/read' }, KEYS],
  [{ url: '/v1/contacts/:contact' }, KEYS],
  [
    {
      method: 'POST',
      url: '/admin/webhooks/replay',
      body: { from: '2026-01-01T00:00:00Z', to: '2026-01-02T00:00:00Z', dryRun: true },
    },
    ['operator', 'admin'],
  ],
  [{ url: '/admin/events' }, ALL_ROLES],
  [{ url: '/admin/events/:event' }, ['operator', 'admin']],
  [{ method: 'POST', url: '/admin/events/replay', body: { tenant: 'salon1', dryRun: true } }, ['operator', 'admin']],
  [{ url: '/admin/events/endpoints' }, ALL_ROLES],
  [{ url: '/admin/events/endpoints/salon1/secret' }, ['admin']],
  [{ method: 'POST', url: '/admin/events/endpoints/:endpoint/enable' }, ['operator', 'admin']],
  [{ url: '/admin/keys' }, ALL_ROLES],
  [{ method: 'POST', url: '/admin/keys', body: { tenant: null, name: 'x' } }, ['admin']],
  [{ method: 'POST', url: '/admin/keys/:key/rotate', body: {} }, ['admin']],
  [{ method: 'DELETE', url: '/admin/keys/:key' }, ['admin']],
  [{ url: '/admin/audit' }, ALL_ROLES],
];
const OPEN = ['/health', '/ready', '/openapi.json', '/docs', '/docs/json', '/webhooks/whatsapp/cloud'];

test('the matrix below names every route that is not open', () => {
  const listed = new Set(
    ROUTES.map(
      ([{ method = 'GET', url }]) =>
        `${method} ${url
          .replace(/\/(salon1|default|booking1|:key)(?=\/|$)/, '/{id}')
          .replace(/(\/queue\/\w+)\/webhook$/, '$1/{queue}')
          .replace(/:(conversation|contact)/, '{id}')
          .replace(/\?.*/, '')
          .replace(/:id|:failure|:event|:endpoint|:template/, '{id}')}`,
    ),
  );
  const document = api.app.swagger() as { paths: Record<string, Record<string, { security?: unknown[] }>> };
  const guarded = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods)
      .filter(([, operation]) => (operation.security ?? []).length > 0)
      .map(([method]) => `${method.toUpperCase()} ${path}`),
  );
  expect(guarded.sort()).toEqual([...listed].sort());
});

describe.each(ROUTES)('$method $url', (call, allowed) => {
  const name = `${call.method ?? 'GET'} ${call.url}`;

  test(`${name} lets through ${allowed.join(', ')} and nobody else`, async () => {
    for (const [who, credential] of Object.entries(credentials)) {
      const created = await api.call({ method: 'POST', url: '/v1/messages', body: text({ tenant: 'salon1' }) });
      const url = call.url
        .replace(':id', created.json<{ id: string }>().id)
        .replace(':event', eventId)
        .replace(':endpoint', '*')
        .replace(':key', keyId)
        .replace(':conversation', 'known')
        .replace(':contact', contactId)
        .replace(':template', templateId)
        .replace(':failure', failureId);
      const answer = await api.call({ ...call, url, as: credential });
      if (allowed.includes(who)) {
        expect([401, 403, 404], `${name} as ${who}`).not.toContain(answer.statusCode);
        continue;
      }
      // A role that is too small is 403; a credential of the wrong kind is none: 401.
      const isTooSmall = ALL_ROLES.includes(who) && ALL_ROLES.includes(allowed[0] ?? '');
      expect(answer.statusCode, `${name} as ${who}`).toBe(isTooSmall ? 403 : 401);
      expect(answer.headers['content-type']).toMatch(/^application\/problem\+json/);
      expect(answer.json()).toMatchObject({ code: isTooSmall ? 'FORBIDDEN' : 'UNAUTHORIZED' });
      if (!isTooSmall) expect(answer.headers['www-authenticate']).toBe('Bearer');
    }
  });
});

describe('what people wrote and are called by', () => {
  /** Every route of /admin that shows messages or events. Others name ids, codes and counts only. */
  const SHOWING = [
    '/admin/failures',
    '/admin/failures/:failure',
    '/admin/dead-letters',
    '/admin/dead-letters/export',
    '/admin/dead-letters/:failure',
    '/admin/events',
    '/admin/events/:event',
  ];
  const read = async (url: string, as: string | null | undefined) => {
    const path = url.replace(':failure', failureId).replace(':event', eventId);
    return await api.call({ url: path, as: as ?? null });
  };
  const acts = async () => (await api.record.audit.list({ action: 'texts.reveal', limit: 100 })).items;

  test.each(SHOWING)('%s is masked for every role', async (url) => {
    for (const role of ALL_ROLES) {
      const answer = await read(url, credentials[role]);
      if (answer.statusCode === 403) continue;
      expect(answer.statusCode, role).toBe(200);
      expect(answer.body, role).not.toContain('447700900321');
      expect(answer.body, role).not.toContain('Mina');
    }
  });

  test.each(SHOWING.filter((url) => url !== '/admin/dead-letters'))(
    '%s shows them to an admin who asks, and the audit says so; to nobody else',
    async (url) => {
      const asked = `${url}?reveal=true`;
      const before = (await acts()).length;
      for (const role of ['viewer', 'operator']) {
        const answer = await read(asked, credentials[role]);
        expect(answer.statusCode, role).toBe(403);
        expect(answer.body, role).not.toContain('Mina');
      }
      expect(await acts()).toHaveLength(before);
      const answer = await read(asked, credentials['admin']);
      expect(answer.statusCode).toBe(200);
      // The list of events tells no content.
      if (url !== '/admin/events') {
        expect(answer.body).toContain(PERSON);
        expect(answer.body).toContain(WORDS);
      }
      const after = await acts();
      expect(after).toHaveLength(before + 1);
      expect(after[0]?.actor).toBe('admin@example.com');
    },
  );

  test('no other route of /admin shows them, whatever the role', async () => {
    const gets = ROUTES.filter(([call]) => (call.method ?? 'GET') === 'GET' && call.url.startsWith('/admin'));
    for (const [{ url }] of gets.filter(([{ url }]) => !SHOWING.includes(url))) {
      const answer = await api.call({ url, as: credentials['admin'] ?? null });
      expect(answer.body, url).not.toContain('447700900321');
      expect(answer.body, url).not.toContain('Mina');
    }
  });

  test("a platform key reads them in /v1: they are the product's own", async () => {
    const answer = await api.call({ url: `/v1/messages/${failureId}` });
    expect(answer.body).toContain(WORDS);
  });
});

test.each(OPEN)('%s is open', async (url) => {
  const answer = await api.call({ url, as: null });
  expect(answer.statusCode).not.toBe(401);
});

test('a body is not even read for a caller without a key', async () => {
  const answer = await api.call({
    method: 'POST',
    url: '/v1/messages',
    body: '{',
    as: null,
    headers: { 'content-type': 'application/json' },
  });
  expect(answer.statusCode).toBe(401);
});

test('a route that does not say who may call it stops the boot', async () => {
  await expect(startApi({ extend: (app) => app.get('/forgotten', () => 'x') })).rejects.toThrow(
    /GET \/forgotten does not say who may call it/,
  );
});

test('a route whose policy was lost after the boot is closed', async () => {
  const app = Fastify({ exposeHeadRoutes: false });
  await app.register(auth, {
    checkKey: () => Promise.resolve(null),
    checkJwt: () => Promise.resolve({ kind: 'invalid' as const }),
    openPrefixes: [],
  });
  app.setErrorHandler((error: { status?: number }, _request, reply) => reply.code(error.status ?? 500).send({}));
  app.get('/x', { config: { access: 'open' } }, (request) => {
    return request.routeOptions.url;
  });
  app.addHook('onRoute', (route) => {
    if (route.url === '/y') delete (route.config as { access?: string }).access;
  });
  app.get('/y', { config: { access: 'open' } }, () => 'y');
  expect((await app.inject('/x')).statusCode).toBe(200);
  expect((await app.inject('/y')).statusCode).toBe(401);
  await app.close();
});

describe('keys', () => {
  const read = (as: string | null, headers?: Record<string, string>) =>
    api.call({ url: '/v1/messages?limit=1', as, ...(headers && { headers }) });

  test('a revoked key ends within five seconds, at once in a process that never saw it', async () => {
    const { key, id } = await api.record.apiKeys.create({ tenant: 'salon1', name: 'short' });
    await api.record.apiKeys.revoke(id);
    expect((await read(key)).statusCode).toBe(401);
  });

  test('a platform key of the record acts for every tenant', async () => {
    const { key } = await api.record.apiKeys.create({ tenant: null, name: 'second backend' });
    const answer = await api.call({ method: 'POST', url: '/v1/messages', body: text({ tenant: 'salon2' }), as: key });
    expect(answer.json()).toMatchObject({ tenant: 'salon2' });
  });

  test.each([
    ['Basic', `Basic ${Buffer.from(`x:${PLATFORM_KEY}`).toString('base64')}`],
    ['no scheme', PLATFORM_KEY],
    ['empty', 'Bearer '],
    ['two keys', `Bearer ${PLATFORM_KEY} ${PLATFORM_KEY}`],
    ['a prefix', `Bearer ${PLATFORM_KEY.slice(0, -1)}`],
    ['a longer one', `Bearer ${PLATFORM_KEY}x`],
    ['another case', `Bearer ${PLATFORM_KEY.toUpperCase()}`],
    ['too long', `Bearer ${'x'.repeat(9000)}`],
  ])('refuses %s', async (_what, authorization) => {
    expect((await read(null, { authorization })).statusCode).toBe(401);
  });

  test('the scheme is read without regard to case', async () => {
    expect((await read(null, { authorization: `bearer ${PLATFORM_KEY}` })).statusCode).toBe(200);
  });
});

describe('JWT', () => {
  const SECRET = 'jwt-secret-of-these-tests-32-characters';
  const key = new TextEncoder().encode(SECRET);
  const claims = { role: 'admin', sub: 'x' };
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const hmac = (input: string, secret = SECRET, hash = 'sha256') =>
    createHmac(hash, secret).update(input).digest('base64url');
  const raw = (header: object, payload: object, secret = SECRET) => {
    const input = `${part(header)}.${part(payload)}`;
    return `${input}.${hmac(input, secret)}`;
  };
  const status = async (token: string) => (await api.call({ url: '/admin/keys', as: token })).statusCode;
  const seconds = (delta: number) => Math.floor(Date.now() / 1000) + delta;

  test('takes a token that some other program made with the secret', async () => {
    expect(await status(raw({ alg: 'HS256' }, { role: 'viewer' }))).toBe(200);
    expect(
      await status(raw({ alg: 'HS256', typ: 'JWT' }, { role: 'admin', exp: seconds(60), nbf: seconds(-60) })),
    ).toBe(200);
  });

  test('a valid token without a known role is 403', async () => {
    expect(await status(raw({ alg: 'HS256' }, {}))).toBe(403);
    expect(await status(raw({ alg: 'HS256' }, { role: 'root' }))).toBe(403);
    expect(await status(raw({ alg: 'HS256' }, { role: ['admin'] }))).toBe(403);
  });

  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  test.each<[string, () => string | Promise<string>]>([
    ['alg none', () => new UnsecuredJWT(claims).encode()],
    ['alg None by hand', () => `${part({ alg: 'None' })}.${part(claims)}.`],
    ['alg nOnE with a signature', () => raw({ alg: 'nOnE' }, claims)],
    ['no alg', () => raw({}, claims)],
    ['HS512', () => new SignJWT(claims).setProtectedHeader({ alg: 'HS512' }).sign(key)],
    ['RS256', () => new SignJWT(claims).setProtectedHeader({ alg: 'RS256' }).sign(privateKey)],
    [
      'HS256 with a public key as the secret',
      () => raw({ alg: 'HS256' }, claims, publicKey.export({ type: 'spki', format: 'pem' }) as string),
    ],
    ['another secret', () => raw({ alg: 'HS256' }, claims, 'another-secret')],
    ['an empty secret', () => raw({ alg: 'HS256' }, claims, '')],
    ['the platform key as the secret', () => raw({ alg: 'HS256' }, claims, PLATFORM_KEY)],
    ['an empty signature', () => `${part({ alg: 'HS256' })}.${part(claims)}.`],
    ['two parts', () => `${part({ alg: 'HS256' })}.${part(claims)}`],
    [
      'a changed claim',
      () => raw({ alg: 'HS256' }, { role: 'viewer' }).replace(part({ role: 'viewer' }), part({ role: 'admin' })),
    ],
    ['expired', () => raw({ alg: 'HS256' }, { ...claims, exp: seconds(-60) })],
    ['not yet valid', () => raw({ alg: 'HS256' }, { ...claims, nbf: seconds(60) })],
    ['an exp that is no number', () => raw({ alg: 'HS256' }, { ...claims, exp: 'never' })],
    ['another typ', () => raw({ alg: 'HS256', typ: 'refresh' }, claims)],
    ['a typ that is no text', () => raw({ alg: 'HS256', typ: 5 }, claims)],
    ['a crit that nobody knows', () => raw({ alg: 'HS256', crit: ['x'], x: 1 }, claims)],
    [
      'a key in the header',
      () => raw({ alg: 'HS256', jwk: { kty: 'oct', k: Buffer.from('mine').toString('base64url') } }, claims, 'mine'),
    ],
    ['a key address in the header', () => raw({ alg: 'HS256', jku: 'http://127.0.0.1:1/keys' }, claims, 'mine')],
    ['a kid that is a path', () => raw({ alg: 'HS256', kid: '../../../../dev/null' }, claims, '')],
    ['a kid that is SQL', () => raw({ alg: 'HS256', kid: "' or '1'='1" }, claims, "' or '1'='1")],
    ['a payload that is no object', () => raw({ alg: 'HS256' }, ['admin'])],
    ['a header that is no object', () => raw([], claims)],
    ['dots', () => '...'],
    ['an encrypted token', () => 'a.b.c.d.e'],
  ])('refuses %s', async (_what, make) => {
    expect(await status(await make())).toBe(401);
  });

  test('refuses every single changed character', async () => {
    const token = raw({ alg: 'HS256' }, { role: 'admin' });
    const signatureAt = token.lastIndexOf('.') + 1;
    for (let at = 0; at < token.length; at++) {
      // The last character of a base64url text holds bits that nothing reads.
      if (token[at] === '.' || at === token.length - 1 || at === signatureAt - 2) continue;
      const changed = `${token.slice(0, at)}${token[at] === 'A' ? 'B' : 'A'}${token.slice(at + 1)}`;
      expect(await status(changed), `character ${at}`).toBe(401);
    }
  });
});

describe('tenant crossing', () => {
  let foreign: string;
  const MISSING = '01890000-0000-7000-8000-000000000000';
  beforeAll(async () => {
    const created = await api.call({
      method: 'POST',
      url: '/v1/messages',
      body: text({ tenant: 'salon2', conversation: 'secret' }),
      headers: { 'idempotency-key': 'shared-key' },
    });
    foreign = created.json<{ id: string }>().id;
  });

  for (const isRecorded of [false, true]) {
    describe(isRecorded ? 'recorded' : 'not yet recorded', () => {
      beforeAll(async () => {
        if (isRecorded) await api.recorded();
      });
      test.each<[NonNullable<Call['method']>, string]>([
        ['GET', '/v1/messages/:id'],
        ['GET', '/v1/messages/:id/timeline'],
        ['DELETE', '/v1/messages/:id'],
      ])("%s %s: another tenant's id is answered exactly like one that does not exist", async (method, url) => {
        const as = credentials['tenant'] ?? '';
        const [theirs, none] = await Promise.all([
          api.call({ method, url: url.replace(':id', foreign), as }),
          api.call({ method, url: url.replace(':id', MISSING), as }),
        ]);
        const shape = (answer: typeof theirs) => {
          const { requestId, ...problem } = answer.json<{ requestId: string }>();
          const { date, 'x-request-id': id, 'content-length': length, ...headers } = answer.headers;
          return {
            status: answer.statusCode,
            problem,
            headers,
            lengths: [requestId.length, String(id).length, length, typeof date],
          };
        };
        expect(theirs.statusCode).toBe(404);
        expect(shape(theirs)).toEqual(shape(none));
      });
    });
  }

  test('the foreign message was not touched', async () => {
    expect((await api.call({ url: `/v1/messages/${foreign}` })).json()).toMatchObject({ status: 'queued' });
  });

  test('a list of a tenant key holds nothing of others, whatever it asks for', async () => {
    await api.recorded();
    const as = credentials['tenant'] ?? '';
    for (const query of ['', '?conversation=secret', '?sender=default&limit=200']) {
      const answer = await api.call({ url: `/v1/messages${query}`, as });
      const { items } = answer.json<{ items: { tenant: string; id: string }[] }>();
      expect(items.filter((item) => item.tenant !== 'salon1')).toEqual([]);
    }
    expect((await api.call({ url: '/v1/messages?tenant=salon2', as })).statusCode).toBe(403);
    expect((await api.call({ url: `/v1/messages/${foreign}?tenant=salon2`, as })).statusCode).toBe(403);
  });

  test("an idempotency key of another tenant's message gives a new message", async () => {
    const answer = await api.call({
      method: 'POST',
      url: '/v1/messages',
      body: text({ conversation: 'secret' }),
      as: credentials['tenant'] ?? '',
      headers: { 'idempotency-key': 'shared-key' },
    });
    expect(answer.statusCode).toBe(202);
    expect(answer.json<{ id: string }>().id).not.toBe(foreign);
  });

  test("another tenant's sender is answered exactly like one that does not exist", async () => {
    const admin = credentials['admin'] ?? '';
    const body = {
      id: 'salon2-own',
      tenant: 'salon2',
      provider: 'cloud',
      externalId: '900',
      credentials: { accessToken: 'x' },
    };
    expect((await api.call({ method: 'POST', url: '/admin/senders', body, as: admin })).statusCode).toBe(201);
    const details = [];
    for (const sender of ['salon2-own', 'salon9-own']) {
      const answer = await api.call({
        method: 'POST',
        url: '/v1/messages',
        body: text({ sender }),
        as: credentials['tenant'] ?? '',
      });
      expect(answer.statusCode).toBe(404);
      const { code, detail, field, status } = answer.json<Record<string, unknown>>();
      details.push({ code, detail, field, status });
    }
    expect(details[0]).toEqual(details[1]);
  });

  test('the platform key narrows its look with ?tenant=', async () => {
    expect((await api.call({ url: `/v1/messages/${foreign}?tenant=salon2` })).statusCode).toBe(200);
    expect((await api.call({ url: `/v1/messages/${foreign}?tenant=salon1` })).statusCode).toBe(404);
  });
});
