import type { InjectOptions, LightMyRequestResponse } from 'fastify';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { hashPassword } from '../../../src/util/passwords.ts';
import { createPageSessions } from '../../../src/http/sign-in/sessions.ts';
import { JWT_SECRET, startApi, type Api } from '../support/api.ts';

const PASSWORD = 'correct horse battery staple';
const ORIGIN = 'http://localhost';
const PAGE = { accept: 'text/html,application/xhtml+xml' };

let api: Api;
beforeAll(async () => {
  api = await startApi();
  const passwordHash = await hashPassword(PASSWORD);
  for (const role of ['viewer', 'operator', 'admin'] as const) {
    await api.record.people.add({ name: role, role, passwordHash });
  }
});
afterAll(() => api.close());

const post = (url: string, form: Record<string, string>, more: InjectOptions = {}, from = api) =>
  from.app.inject({
    method: 'POST',
    url,
    remoteAddress: '198.51.100.1',
    ...more,
    headers: {
      'content-type': 'application/x-www-form-urlencoded',
      origin: ORIGIN,
      host: 'localhost',
      ...more.headers,
    },
    payload: new URLSearchParams(form).toString(),
  });
const cookieOf = (answer: LightMyRequestResponse) => {
  const cookie = answer.cookies[0];
  if (cookie === undefined) throw new Error(`no cookie with ${answer.statusCode}`);
  return `${cookie.name}=${cookie.value}`;
};
const signIn = async (name: string, from = api) =>
  cookieOf(await post('/login', { name, password: PASSWORD }, {}, from));
const read = (cookie: string, url = '/admin/keys', from = api) => from.app.inject({ url, headers: { cookie } });

test('the bare address leads a browser to a page, and is nothing to a program', async () => {
  const page = await api.app.inject({ url: '/', headers: PAGE });
  expect([page.statusCode, page.headers.location]).toEqual([302, '/docs']);
  const answer = await api.app.inject({ url: '/' });
  expect(answer.statusCode).toBe(404);
  expect(answer.json()).toMatchObject({ code: 'NOT_FOUND' });
});

describe('signing in with a password', () => {
  test('sets a strict cookie that scripts cannot read, and goes on to the page that was asked for', async () => {
    const answer = await post('/login', { name: 'Viewer', password: PASSWORD, next: '/admin/keys?limit=5' });
    expect(answer.statusCode).toBe(303);
    expect(answer.headers.location).toBe('/admin/keys?limit=5');
    expect(answer.cookies).toMatchObject([{ name: 'waxwing', httpOnly: true, sameSite: 'Strict', path: '/' }]);
    expect(answer.cookies[0]?.secure).toBeUndefined();
    expect((await read(cookieOf(answer))).statusCode).toBe(200);
  });

  test.each(['viewer', 'operator', 'admin'] as const)('%s may with the cookie what the role may', async (role) => {
    const cookie = await signIn(role);
    const headers = { cookie, origin: ORIGIN, host: 'localhost' };
    const pause = await api.app.inject({ method: 'POST', url: '/admin/senders/default/pause', headers });
    const key = { method: 'POST', url: '/admin/keys', headers, payload: { tenant: null, name: 'x' } } as const;
    expect((await read(cookie)).statusCode).toBe(200);
    expect(pause.statusCode).toBe(role === 'viewer' ? 403 : 200);
    expect((await api.app.inject(key)).statusCode).toBe(role === 'admin' ? 201 : 403);
    await api.call({ method: 'POST', url: '/admin/senders/default/resume', as: await api.token('operator') });
  });

  test('a report is read with the cookie, the API of messages is not', async () => {
    const cookie = await signIn('viewer');
    expect((await read(cookie, '/api/v1/queues/stats')).statusCode).toBe(200);
    expect((await read(cookie, '/v1/messages')).statusCode).toBe(401);
  });

  test('is written down, and what was done with the session has its name', async () => {
    const cookie = await signIn('admin');
    const headers = { cookie, origin: ORIGIN, host: 'localhost' };
    const payload = { tenant: null, name: 'of a session' };
    await api.app.inject({ method: 'POST', url: '/admin/keys', headers, payload });
    const acts = (await read(cookie, '/admin/audit?actor=admin')).json<{ items: { action: string }[] }>().items;
    expect(acts.map(({ action }) => action)).toEqual(expect.arrayContaining(['key.create', 'session.open']));
  });

  test('a wrong password, an unknown name and a disabled person get one answer', async () => {
    const passwordHash = await hashPassword(PASSWORD);
    await api.record.people.add({ name: 'gone', role: 'admin', passwordHash });
    await api.record.people.update('gone', { isDisabled: true });
    const pages = [];
    for (const form of [
      { name: 'viewer', password: 'wrong' },
      { name: 'nobody', password: PASSWORD },
      { name: 'gone', password: PASSWORD },
    ]) {
      const answer = await post('/login', form, { remoteAddress: '198.51.100.2' });
      expect(answer.statusCode).toBe(401);
      expect(answer.cookies).toEqual([]);
      pages.push(answer.body.replaceAll(form.name, 'NAME'));
    }
    expect(new Set(pages).size).toBe(1);
  });

  test.each([
    '',
    '{}',
    'name=viewer',
    'name=&password=x',
    `name=viewer&password=${'x'.repeat(201)}`,
    'name=%00&password=x',
  ])('an incomplete form is asked for again: %s', async (payload) => {
    const headers = { 'content-type': 'application/x-www-form-urlencoded', origin: ORIGIN, host: 'localhost' };
    const remoteAddress = '198.51.100.3';
    const answer = await api.app.inject({ method: 'POST', url: '/login', headers, payload, remoteAddress });
    expect(answer.statusCode).toBe(400);
    expect(answer.body).toContain('<form');
  });

  test('a form of another type or size is refused', async () => {
    const json = await post('/login', {}, { headers: { 'content-type': 'application/json' } });
    expect(json.statusCode).toBe(400);
    expect((await post('/login', { name: 'x'.repeat(17_000) })).statusCode).toBe(413);
  });
});

describe('signing in with a token', () => {
  test('opens a session with the role and name of the token, no longer than the token', async () => {
    const answer = await post('/login', { token: ` ${await api.token('operator')} ` });
    expect(answer.statusCode).toBe(303);
    expect(answer.cookies[0]?.maxAge).toBeLessThanOrEqual(8 * 3600);
    const acts = await read(cookieOf(answer), '/admin/audit?actor=operator@example.com');
    expect(acts.json()).toMatchObject({
      items: expect.arrayContaining([expect.objectContaining({ action: 'session.open' })]) as unknown,
    });
  });

  test('a token that is not good gets the answer of a wrong password', async () => {
    const answer = await post('/login', { token: 'a.b.c' });
    expect(answer.statusCode).toBe(401);
    expect(answer.body).toContain('That is not right.');
    expect(answer.body).not.toContain('a.b.c');
  });
});

describe('a session', () => {
  test('F46 · ends with signing out: the cookie that was kept is good for nothing', async () => {
    const cookie = await signIn('viewer');
    const out = await post('/logout', {}, { headers: { cookie } });
    expect(out.statusCode).toBe(303);
    expect(out.cookies).toMatchObject([{ name: 'waxwing', value: '' }]);
    expect((await read(cookie)).statusCode).toBe(401);
  });

  test('F46 · is no bearer token, and a bearer token is no session', async () => {
    const cookie = await signIn('admin');
    const value = cookie.slice('waxwing='.length);
    expect((await api.call({ url: '/admin/keys', as: value })).statusCode).toBe(401);
    expect((await read(`waxwing=${await api.token('admin')}`)).statusCode).toBe(401);
  });

  test('ends when the person is disabled or gets a new password; a new role counts', async () => {
    const passwordHash = await hashPassword(PASSWORD);
    await api.record.people.add({ name: 'moving', role: 'viewer', passwordHash });
    const first = await signIn('moving');
    await api.record.people.update('moving', { role: 'operator' });
    const pause = { method: 'POST', url: '/admin/senders/default/resume' } as const;
    const headers = { cookie: first, origin: ORIGIN, host: 'localhost' };
    expect((await api.app.inject({ ...pause, headers })).statusCode).toBe(200);
    await api.record.people.update('moving', { passwordHash });
    // As another process sees it at once; this one may believe for five seconds what it knew.
    const elsewhere = createPageSessions({ store: api.record.sessions, secret: JWT_SECRET });
    expect(await elsewhere.read(first.slice('waxwing='.length))).toBeNull();
  });

  test.each([
    ['another site', { origin: 'https://evil.example' }],
    ['a neighbour on the same site', { origin: 'http://other.localhost', 'sec-fetch-site': 'same-site' }],
    ['another port', { origin: 'http://localhost:8080' }],
    ['a page without an origin', { origin: 'null' }],
    ['nobody that says', {}],
    ['a browser that says cross-site', { origin: ORIGIN, 'sec-fetch-site': 'cross-site' }],
  ])('changes nothing for %s', async (_what, marks) => {
    const cookie = await signIn('admin');
    for (const [method, url] of [
      ['POST', '/admin/senders/default/pause'],
      ['DELETE', '/admin/keys/01890000-0000-7000-8000-000000000000'],
      ['PATCH', '/admin/senders/default'],
      ['POST', '/logout'],
    ] as const) {
      const answer = await api.app.inject({ method, url, headers: { cookie, host: 'localhost', ...marks } });
      expect(answer.statusCode, url).toBe(403);
    }
    expect((await read(cookie)).statusCode).toBe(200);
    expect(await api.record.senders.get('default')).toMatchObject({ pausedReason: null });
  });

  test('a form of another site signs nobody in', async () => {
    const form = { name: 'viewer', password: PASSWORD };
    expect((await post('/login', form, { headers: { origin: 'https://evil.example' } })).statusCode).toBe(403);
  });
});

describe('a browser without a session', () => {
  test('is led to the sign-in page and back to where it wanted to go', async () => {
    const answer = await api.app.inject({ url: '/admin/keys?limit=5', headers: PAGE });
    expect(answer.statusCode).toBe(302);
    expect(answer.headers.location).toBe('/login?next=%2Fadmin%2Fkeys%3Flimit%3D5');
    const page = await api.app.inject({ url: String(answer.headers.location), headers: PAGE });
    expect(page.body).toContain('name="next" value="/admin/keys?limit=5"');
  });

  test('that came by a link of another site tries once more from here, so that its strict cookie comes along', async () => {
    const answer = await api.app.inject({ url: '/admin/keys', headers: { ...PAGE, 'sec-fetch-site': 'cross-site' } });
    expect(answer.statusCode).toBe(200);
    expect(answer.body).toContain('http-equiv="refresh" content="0;url=/admin/keys"');
  });

  test('programs and scripts of pages hear 401', async () => {
    for (const headers of [
      { accept: 'application/json' },
      { accept: '*/*' },
      { ...PAGE, authorization: 'Bearer x.y.z' },
    ]) {
      expect((await api.app.inject({ url: '/admin/keys', headers })).statusCode).toBe(401);
    }
    expect((await api.app.inject({ method: 'POST', url: '/admin/keys', headers: PAGE })).statusCode).toBe(401);
  });

  test.each([
    '//evil.example',
    '/\\evil.example',
    'https://evil.example',
    'javascript:alert(1)',
    '/%0d%0aset-cookie:x=1\r\nx: y',
    '\t//evil.example',
    '/..//evil.example',
    '/x/../..//evil.example/',
    '',
  ])('is never led elsewhere: %j', async (next) => {
    const answer = await post('/login', { name: 'viewer', password: PASSWORD, next });
    expect(answer.statusCode).toBe(303);
    expect(new URL(String(answer.headers.location), 'http://localhost').host).toBe('localhost');
    const page = await api.app.inject({ url: `/login?next=${encodeURIComponent(next)}` });
    expect(page.body).not.toContain('evil.example');
  });

  test('what is typed comes back as text', async () => {
    const answer = await post('/login', { name: '"><script>alert(1)</script>', password: 'x' });
    expect(answer.body).not.toContain('<script');
    expect(answer.body).toContain('&quot;&gt;&lt;script&gt;');
  });

  test('who is signed in already goes straight on, and can sign out', async () => {
    const cookie = await signIn('viewer');
    const page = await read(cookie, '/login?next=/admin/audit');
    expect([page.statusCode, page.headers.location]).toEqual([303, '/admin/audit']);
    expect((await read(cookie, '/logout')).body).toContain('You are signed in as <strong>viewer</strong>');
  });
});

/** Without those that differ from answer to answer. */
function lasting(headers: LightMyRequestResponse['headers']) {
  const changing = new Set(['x-request-id', 'date', 'content-length']);
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !changing.has(name)));
}

describe('headers', () => {
  test('of the sign-in page: nothing inline, nothing from elsewhere, no frame', async () => {
    const { headers, body } = await api.app.inject('/login');
    expect(body).not.toMatch(/<script|<style|\sstyle=|\son\w+=|https?:\/\//);
    expect(lasting(headers)).toMatchInlineSnapshot(`
      {
        "cache-control": "no-store",
        "connection": "keep-alive",
        "content-security-policy": "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
        "content-type": "text/html; charset=utf-8",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "origin-agent-cluster": "?1",
        "referrer-policy": "same-origin",
        "x-content-type-options": "nosniff",
        "x-dns-prefetch-control": "off",
        "x-download-options": "noopen",
        "x-frame-options": "SAMEORIGIN",
        "x-permitted-cross-domain-policies": "none",
        "x-xss-protection": "0",
      }
    `);
  });

  test('of an answer of the API', async () => {
    const { headers } = await api.call({ url: '/v1/messages' });
    expect(lasting(headers)).toMatchInlineSnapshot(`
      {
        "cache-control": "no-store",
        "connection": "keep-alive",
        "content-security-policy": "default-src 'none';frame-ancestors 'none'",
        "content-type": "application/json; charset=utf-8",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "origin-agent-cluster": "?1",
        "referrer-policy": "same-origin",
        "x-content-type-options": "nosniff",
        "x-dns-prefetch-control": "off",
        "x-download-options": "noopen",
        "x-frame-options": "SAMEORIGIN",
        "x-permitted-cross-domain-policies": "none",
        "x-xss-protection": "0",
      }
    `);
  });

  test('over https the cookie is secure and bound to this host, and browsers stay with https', async () => {
    const behind = await startApi({ publicUrl: 'https://waxwing.example' });
    await behind.record.people.add({ name: 'viewer', role: 'viewer', passwordHash: await hashPassword(PASSWORD) });
    const headers = { origin: 'https://waxwing.example', host: '10.0.0.7:3000' };
    const answer = await post('/login', { name: 'viewer', password: PASSWORD }, { headers }, behind);
    expect(answer.cookies).toMatchObject([{ name: '__Host-waxwing', secure: true, path: '/', sameSite: 'Strict' }]);
    expect(answer.headers['strict-transport-security']).toBe('max-age=31536000');
    const cookie = cookieOf(answer);
    expect((await read(cookie, '/admin/keys', behind)).statusCode).toBe(200);
    expect((await read(cookie.replace('__Host-', ''), '/admin/keys', behind)).statusCode).toBe(401);
    await behind.close();
  });

  test('what a proxy says counts only when the proxy is trusted', async () => {
    const trusting = await startApi({ trustProxy: '10.0.0.7' });
    const headers = { 'x-forwarded-proto': 'https', 'x-forwarded-for': '203.0.113.9' };
    const hsts = async (from: Api, remoteAddress: string) =>
      (await from.app.inject({ url: '/health', headers, remoteAddress })).headers['strict-transport-security'];
    expect(await hsts(trusting, '10.0.0.7')).toBe('max-age=31536000');
    expect(await hsts(trusting, '10.0.0.8')).toBeUndefined();
    expect(await hsts(api, '10.0.0.7')).toBeUndefined();
    await trusting.close();
  });
});
