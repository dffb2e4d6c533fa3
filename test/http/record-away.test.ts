import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AppError } from '../../src/errors/app-error.ts';
import { createApiKeyCheck } from '../../src/http/index.ts';
import { watchStandstill } from '../support/standstill.ts';
import { startApi, sign, text, type Api } from './support/api.ts';
import { Gate } from './support/gate.ts';

let api: Api;
let tenantKey: string;
const gate = new Gate();
beforeAll(async () => {
  api = await startApi({ viaGate: gate });
  const as = await api.token('admin');
  tenantKey = (await api.call({ method: 'POST', url: '/admin/tenants', body: { id: 'salon1' }, as })).json<{
    key: string;
  }>().key;
  expect((await post({ tenant: 'salon1' })).statusCode).toBe(202);
  expect((await post({}, tenantKey)).statusCode).toBe(202);
  await api.recorded();
  await gate.shut();
});
afterAll(async () => {
  await gate.open();
  await api.close();
});

const post = (body: Record<string, unknown>, as?: string) =>
  api.call({ method: 'POST', url: '/v1/messages', body: text(body), ...(as === undefined ? {} : { as }) });

describe('while PostgreSQL is away', () => {
  test('messages of a known tenant and sender are accepted, and readable at once', async () => {
    for (const as of [undefined, tenantKey]) {
      const answer = await post({ tenant: 'salon1' }, as);
      expect(answer.statusCode, answer.body).toBe(202);
      // Not through the recorder's own connection yet, or through it already: the second needs PostgreSQL.
      const read = await api.call({ url: `/v1/messages/${answer.json<{ id: string }>().id}` });
      expect([200, 503]).toContain(read.statusCode);
    }
  });

  test('an unknown tenant is 503 within about two seconds, and nothing is stored', async () => {
    const before = api.queue.accepted.length;
    const standstill = watchStandstill();
    const startMs = performance.now();
    const answer = await post({ tenant: 'never-seen' });
    expect(performance.now() - startMs).toBeLessThan(4000 + standstill.ms());
    expect(answer.statusCode).toBe(503);
    expect(answer.json()).toMatchObject({ code: 'RECORD_UNAVAILABLE' });
    expect(answer.headers['retry-after']).toMatch(/^\d+$/);
    expect(api.queue.accepted.length).toBe(before);
  });

  test('lists and administration are 503', async () => {
    expect((await api.call({ url: '/v1/messages' })).json()).toMatchObject({ code: 'RECORD_UNAVAILABLE' });
    const as = await api.token('admin');
    expect((await api.call({ url: '/admin/tenants', as })).json()).toMatchObject({ code: 'RECORD_UNAVAILABLE' });
  });

  test('a key that was never seen is 503, not 401: nobody can know', async () => {
    const answer = await api.call({ url: '/v1/messages', as: 'wxt_unknown' });
    expect(answer.json()).toMatchObject({ code: 'RECORD_UNAVAILABLE' });
  });

  test('webhooks are taken: what people wrote waits as a job, which needs no record', async () => {
    const send = (value: object) => {
      const body = JSON.stringify({
        entry: [
          {
            id: 'w',
            changes: [{ field: 'messages', value: { metadata: { phone_number_id: '100200300' }, ...value } }],
          },
        ],
      });
      const headers = { 'content-type': 'application/json', 'x-hub-signature-256': sign(body) };
      return api.call({ method: 'POST', url: '/webhooks/whatsapp/cloud', body, as: null, headers });
    };
    expect((await send({ statuses: [{ id: 'wamid.1', status: 'read', timestamp: '1700000000' }] })).statusCode).toBe(
      200,
    );
    const before = api.webhookJobs.length;
    expect((await send({ messages: [{ id: 'wamid.2' }] })).statusCode).toBe(200);
    expect(api.webhookJobs.length).toBe(before + 1);
  });

  test('/ready says so, /health does not care', async () => {
    expect((await api.call({ url: '/ready', as: null })).json()).toMatchObject({
      status: 'not-ready',
      checks: { database: 'failed' },
    });
    expect((await api.call({ url: '/health', as: null })).statusCode).toBe(200);
  });

  test('all works again when it is back, without a restart', async () => {
    await gate.open();
    expect((await post({ tenant: 'never-seen' })).statusCode).toBe(202);
    expect((await api.call({ url: '/v1/messages' })).statusCode).toBe(200);
    await gate.shut();
  });
});

describe('createApiKeyCheck()', () => {
  test('asks again after five seconds; a key that was known stays good while the record is away', async () => {
    let nowMs = 0;
    let answer: () => Promise<{ tenant: string } | null> = () => Promise.resolve({ tenant: 't' });
    let asked = 0;
    const check = createApiKeyCheck({
      platformKey: 'p'.repeat(20),
      store: {
        verify: () => {
          asked++;
          return answer();
        },
      },
      now: () => nowMs,
    });
    expect([await check('k'), await check('k')]).toEqual([
      { kind: 'tenant', tenant: 't' },
      { kind: 'tenant', tenant: 't' },
    ]);
    expect(asked).toBe(1);
    nowMs = 5001;
    answer = () => Promise.reject(new AppError('RECORD_UNAVAILABLE'));
    expect(await check('k')).toEqual({ kind: 'tenant', tenant: 't' });
    await expect(check('other')).rejects.toMatchObject({ code: 'RECORD_UNAVAILABLE' });
    // Revoked: it ends with the first answer after the five seconds.
    answer = () => Promise.resolve(null);
    nowMs = 20_000;
    expect(await check('k')).toBeNull();
  });

  test('a key that has a successor ends at its time, also while the record is away', async () => {
    let [nowMs, wallMs] = [0, 1_000_000];
    let answer = () => Promise.resolve({ tenant: 't', expiresAtMs: 1_003_000 });
    const check = createApiKeyCheck({
      platformKey: 'p'.repeat(20),
      store: { verify: () => answer() },
      now: () => nowMs,
      wallNow: () => wallMs,
    });
    expect(await check('k')).toEqual({ kind: 'tenant', tenant: 't' });
    [nowMs, wallMs] = [2999, 1_002_999];
    expect(await check('k')).toEqual({ kind: 'tenant', tenant: 't' });
    [nowMs, wallMs] = [3000, 1_003_000];
    expect(await check('k')).toBeNull();
    answer = () => Promise.reject(new AppError('RECORD_UNAVAILABLE'));
    [nowMs, wallMs] = [8001, 1_008_001];
    expect(await check('k')).toBeNull();
  });
});
