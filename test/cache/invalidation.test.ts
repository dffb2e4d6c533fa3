import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Program } from '../../src/program/start-program.ts';
import { signJwt } from '../../src/http/index.ts';
import { runProgram } from '../support/program.ts';
import { eventually, testDatabase, testRedis } from '../support/services.ts';

/* C4 · Every write that the API has, and what both processes read after it. */

/** Of each cache: what keeps a value there, its setting, a value that is nobody's default, and that in s. */
const LIFETIMES: readonly [
  key: string,
  setting: string,
  value: number,
  seconds: number,
  (named: Named) => Promise<void>,
][] = [
  ['dashboard:stats:u', 'DASHBOARD_CACHE_TTL_SECONDS', 1100, 1100, (named) => named.dashboard.set(['u'], {})],
  ['salon:t', 'SALON_CACHE_TTL_SECONDS', 1300, 1300, (named) => named.salon.set(['t'], {})],
  ['template:t', 'TEMPLATE_CACHE_TTL_SECONDS', 1500, 1500, (named) => named.template.set(['t'], {})],
  ['conversation:c', 'CONVERSATION_CACHE_TTL_SECONDS', 1700, 1700, (named) => named.conversation.set(['c'], {})],
  ['user:mapping:u', 'CACHE_USER_MAPPING_TTL', 2_000_000, 2000, (named) => named.userMapping.set(['u'], {})],
  ['whatsapp:config:s', 'CACHE_CONFIG_TTL', 2_300_000, 2300, (named) => named.whatsappConfig.set(['s'], {})],
  ['user:projects:t', 'CACHE_PROJECTS_TTL', 2_600_000, 2600, (named) => named.userProjects.set(['t'], {})],
  [
    'conversation:history:c',
    'CACHE_CONVERSATION_TTL',
    2_900_000,
    2900,
    (named) => named.conversationHistory.set(['c'], {}),
  ],
];
type Named = Program['caches']['service']['named'];

let a: Program;
let b: Program;
let redis: Redis;
let admin: string;
const JWT = { secret: 'jwt-secret-of-these-tests-32-characters', audience: undefined, issuer: undefined };

beforeAll(async () => {
  const server = await testRedis();
  const { url: databaseUrl } = await testDatabase();
  redis = new Redis(server.url);
  const settings = {
    REDIS_URL: `${server.url}/1`,
    DATABASE_URL: databaseUrl,
    WAXWING_API_KEY: 'platform-key-of-these-tests',
    JWT_SECRET: JWT.secret,
    WAXWING_SECRET_KEY: 'secret-key-of-these-tests-32-chars-long',
    PORT: '0',
    ...Object.fromEntries(LIFETIMES.map(([, setting, value]) => [setting, String(value)])),
  };
  a = await runProgram(settings, 'web');
  b = await runProgram(settings, 'web');
  admin = await signJwt({ role: 'admin', name: 'admin@example.com' }, JWT);
});
afterAll(async () => {
  redis.disconnect();
  await Promise.all([a.stop(), b.stop()]);
});

async function call(program: Program, method: string, path: string, body?: object, as = admin) {
  const answer = await fetch(`${program.server?.url ?? ''}${path}`, {
    method,
    headers: { authorization: `Bearer ${as}`, ...(body && { 'content-type': 'application/json' }) },
    ...(body && { body: JSON.stringify(body) }),
  });
  return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
}

async function picture(program: Program, path: string) {
  const answer = await fetch(`${program.server?.url ?? ''}${path}`, { headers: { authorization: `Bearer ${admin}` } });
  return { status: answer.status, headers: answer.headers, body: await answer.text() };
}

/** What the accept path of a process takes a sender to be: from memory, cache or record. */
const sender = async (program: Program, tenant: string, named?: string) =>
  (await program.accepting.senders.choose(tenant, named)).externalId;
const limit = async (program: Program, tenant: string) => (await program.accepting.tenants.resolve(tenant)).concurrency;

/** In the writing process at once, in the other one within 100 ms (the deadline here is for a busy machine). */
async function bothRead(read: (program: Program) => Promise<unknown>, value: unknown) {
  expect(await read(a)).toEqual(value);
  await eventually(async () => (expect(await read(b)).toEqual(value), true));
}

describe('C4 · no stale read after a write, in any process', () => {
  it('tenants: created, changed, paused, resumed', async () => {
    await call(a, 'POST', '/admin/tenants', { id: 'salon1', concurrency: 3 });
    await bothRead((program) => limit(program, 'salon1'), 3);
    expect(await redis.exists('salon:salon1')).toBe(1);
    await call(a, 'PATCH', '/admin/tenants/salon1', { concurrency: 7 });
    await bothRead((program) => limit(program, 'salon1'), 7);
    const paused = async (program: Program) => (await program.accepting.tenants.resolve('salon1')).pausedReason;
    await call(a, 'POST', '/admin/tenants/salon1/pause', { reason: 'holiday' });
    await bothRead(paused, 'holiday');
    await call(a, 'POST', '/admin/tenants/salon1/resume');
    await bothRead(paused, null);
  });

  it('senders: created, changed, and which one a tenant owns', async () => {
    const body = {
      id: 'w1',
      tenant: 'salon1',
      provider: 'cloud',
      externalId: '111',
      credentials: { accessToken: 'x' },
    };
    for (const program of [a, b])
      await expect(sender(program, 'salon1')).rejects.toMatchObject({ code: 'SENDER_MISSING' });
    expect((await call(a, 'POST', '/admin/senders', body)).status).toBe(201);
    await bothRead((program) => sender(program, 'salon1'), '111');
    await bothRead((program) => sender(program, 'salon1', 'w1'), '111');
    expect((await call(a, 'PATCH', '/admin/senders/w1', { ratePerSecond: 7 })).status).toBe(200);
    const rate = (named?: string) => async (program: Program) =>
      (await program.accepting.senders.choose('salon1', named)).ratePerSecond;
    await bothRead(rate('w1'), 7);
    await bothRead(rate(), 7);
    expect(await redis.get('whatsapp:config:w1')).not.toContain('accessToken');
  });

  it('a tenant that was asked for in vain is there in every process once its first message has made it', async () => {
    const known = (id: string) => async (program: Program) => (await program.accepting.tenants.known(id))?.id ?? null;
    for (const program of [a, b]) expect(await known('walk-in')(program)).toBeNull();
    expect((await a.accepting.tenants.resolve('walk-in')).id).toBe('walk-in');
    await bothRead(known('walk-in'), 'walk-in');
    expect(await a.caches.service.getSalon('walk-in')).toMatchObject({ id: 'walk-in' });
  });

  it('keys: a revoked one ends at once', async () => {
    const made = await call(a, 'POST', '/admin/keys', { tenant: 'salon1', name: 'k' });
    const { key, id } = made.body as { key: string; id: string };
    const read = async (program: Program) => (await call(program, 'GET', '/v1/messages', undefined, key)).status;
    await bothRead(read, 200);
    await call(a, 'DELETE', `/admin/keys/${id}`);
    await bothRead(read, 401);
  });

  it('keys: one with a successor and no time of overlap ends at once', async () => {
    const made = await call(a, 'POST', '/admin/keys', { tenant: 'salon1', name: 'k' });
    const { key, id } = made.body as { key: string; id: string };
    const read = async (program: Program) => (await call(program, 'GET', '/v1/messages', undefined, key)).status;
    await bothRead(read, 200);
    expect((await call(a, 'POST', `/admin/keys/${id}/rotate`, { overlapHours: 0 })).status).toBe(201);
    await bothRead(read, 401);
  });
});

describe('C2 · P2 · how long a cache keeps its values', () => {
  it.each(LIFETIMES)('%s is what %s=%d says: %d s', async (key, _setting, _value, seconds, set) => {
    await set(a.caches.service.named);
    // Header, then until when the value is fresh; up to a tenth less, so that not all end together.
    const freshSeconds = (Number((await redis.get(key))?.split('|')[3]) - Date.now()) / 1000;
    expect(freshSeconds).toBeGreaterThan(seconds * 0.89);
    expect(freshSeconds).toBeLessThanOrEqual(seconds + 1);
  });
});

describe('T5 · GET /api/cache/metrics', () => {
  it('has the figures of the content ids, of the record and of every cache', async () => {
    let created = 0;
    const creator = () => Promise.resolve(`HX${(created += 1)}`);
    const get = (program: Program) => program.contentSids.get('booking', creator, { data: { b: 1, a: 2 } });
    expect(await Promise.all([get(a), get(b), get(a), get(b)])).toEqual(['HX1', 'HX1', 'HX1', 'HX1']);
    expect(created).toBe(1);
    const { body } = await call(a, 'GET', '/api/cache/metrics', undefined, 'platform-key-of-these-tests');
    const one = {
      hits: expect.any(Number) as number,
      misses: expect.any(Number) as number,
      creations: expect.any(Number) as number,
      hitRate: expect.any(Number) as number,
      missRate: expect.any(Number) as number,
    };
    expect(body).toMatchObject({
      runtime: { cumulative: one, window: { metrics: one }, byKey: { booking: one } },
      health: { missRateAboveThreshold: false },
      caches: { salon: { cumulative: one } },
    });
    const { cumulative, window, byKey } = body['runtime'] as {
      readonly cumulative: object;
      readonly window: { readonly metrics: object };
      readonly byKey: Readonly<Record<string, object>>;
    };
    for (const figures of [cumulative, window.metrics, byKey['booking']]) expect(figures).toEqual(one);
    const number = expect.any(Number) as number;
    expect(body['database']).toMatchObject({
      entries: number,
      keys: number,
      refreshedAt: expect.any(String) as string,
    });
    const history = await call(a, 'GET', '/api/cache/metrics/history?hours=1');
    expect(history.status).toBe(200);
  });

  it('P2, P5 · a tenant and its sender that memory knows are hits of their caches, and no spike of misses', async () => {
    await call(a, 'POST', '/admin/tenants', { id: 'salon2' });
    const of = (cache: string) => a.caches.service.caches.metricsOf(cache).cumulative();
    const before = { salon: of('salon').hits, own: of('user-projects').hits };
    for (let n = 0; n < 30; n += 1) {
      await a.accepting.tenants.resolve('salon2');
      await a.accepting.senders.choose('salon2', undefined).catch(() => null);
    }
    // The first look-up is none, and one that took long may have ended the five seconds.
    expect(of('salon').hits - before.salon).toBeGreaterThanOrEqual(25);
    expect(of('user-projects').hits - before.own).toBeGreaterThanOrEqual(25);
  });

  it('T9 · the history of a cache comes as a small picture too', async () => {
    const { status, headers, body } = await picture(a, '/api/cache/metrics/history.svg?hours=24&cache=salon');
    expect(status).toBe(200);
    expect(headers.get('content-type')).toContain('image/svg+xml');
    expect(body).toMatch(/^<svg [^>]+role="img"[\s\S]+<\/svg>$/);
    expect(body).toContain('salon: ');
    expect(body.match(/<rect /g)).toHaveLength(48); // hits and misses of each hour
  });

  it('T1 · the record knows a content id when every cache has forgotten it', async () => {
    await a.caches.service.reset();
    const sid = await a.contentSids.get('booking', () => Promise.reject(new Error('made again')), {
      data: { a: 2, b: 1 },
    });
    expect(sid).toBe('HX1');
    expect(a.caches.metrics.lastEvent('booking')).toMatchObject({ sid: 'HX1', source: 'database' });
    await a.contentSids.get('booking', () => Promise.reject(new Error('made again')), { data: { a: 2, b: 1 } });
    expect(a.caches.metrics.lastEvent('booking')).toMatchObject({ source: 'memory' });
  });

  it('T1 · a creator that throws is not kept', async () => {
    const failing = () => Promise.reject(new Error('no such template'));
    await expect(a.contentSids.get('broken', failing)).rejects.toThrow('no such template');
    expect(await a.contentSids.get('broken', () => Promise.resolve('HX9'))).toBe('HX9');
  });
});
