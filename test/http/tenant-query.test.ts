import { afterAll, beforeAll, expect, test } from 'vitest';
import { startApi, text, type Api } from './support/api.ts';

let api: Api;
let salon: string;
beforeAll(async () => {
  api = await startApi();
  await api.record.tenants.create({ id: 'salon' });
  salon = (await api.record.apiKeys.create({ tenant: 'salon', name: 'test' })).key;
});
afterAll(() => api.close());

const post = (url: string, body: unknown, as?: string) =>
  api.call({ method: 'POST', url, body, ...(as === undefined ? {} : { as }) });

test('a platform key names the tenant in the query as well as in the body', async () => {
  const message = (await post('/v1/messages?tenant=salon', text())).json<{ tenant: string }>();
  expect(message.tenant).toBe('salon');
  const { results } = (await post('/v1/messages/batch?tenant=salon', { messages: [text(), text()] })).json<{
    results: { tenant: string }[];
  }>();
  expect(results.map(({ tenant }) => tenant)).toEqual(['salon', 'salon']);
  const short = await post('/api/whatsapp/send?tenant=salon', { phoneNumber: '+4915112345678', text: 'x' });
  const { jobId } = short.json<{ jobId: string }>();
  expect((await api.call({ url: `/v1/messages/${jobId}` })).json()).toMatchObject({ tenant: 'salon' });
});

test('the same tenant twice is fine, two tenants are refused, and so is no tenant at all', async () => {
  expect((await post('/v1/messages?tenant=salon', text({ tenant: 'salon' }))).statusCode).toBe(202);
  for (const [url, body] of [
    ['/v1/messages?tenant=salon', text({ tenant: 'other' })],
    ['/v1/messages?tenant=salon&tenant=other', text()],
    ['/v1/messages?tenant=', text()],
    ['/v1/messages/batch?tenant=salon', { messages: [text(), text({ tenant: 'other' })] }],
    ['/api/whatsapp/send?tenant=salon', { phoneNumber: '+4915112345678', text: 'x', restaurantId: 'other' }],
  ] as const) {
    const refused = await post(url, body);
    expect([refused.statusCode, refused.json<{ field: string }>().field], url).toEqual([400, 'tenant']);
  }
});

test('another tenant in the query of a tenant key is 403', async () => {
  expect((await post('/v1/messages?tenant=salon', text(), salon)).json()).toMatchObject({ tenant: 'salon' });
  for (const url of ['/v1/messages?tenant=other', '/api/whatsapp/send?tenant=other']) {
    const body = url.startsWith('/v1') ? text() : { phoneNumber: '+4915112345678', text: 'x' };
    const refused = await post(url, body, salon);
    expect([refused.statusCode, refused.json<{ field: string }>().field], url).toEqual([403, 'tenant']);
  }
});

test('a repetition is the same request, wherever it names the tenant', async () => {
  const headers = { 'idempotency-key': 'where-the-tenant-stands' };
  const call = (url: string, body: unknown) => api.call({ method: 'POST', url, body, headers });
  const first = await call('/v1/messages?tenant=salon', text());
  const again = await call('/v1/messages', text({ tenant: 'salon' }));
  expect(again.json()).toMatchObject({ id: first.json<{ id: string }>().id, duplicate: true });
});
