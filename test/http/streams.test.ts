import { expect, test } from 'vitest';
import { text } from './support/api.ts';
import { apiOverEngine } from './support/over-engine.ts';

const { queue, api } = await apiOverEngine();
const admin = await api.token('admin');

const accept = async () =>
  (await api.call({ method: 'POST', url: '/v1/messages', body: text() })).json<{ id: string }>().id;
const audits = async () => (await api.record.audit.list({ action: 'stream' })).items;

test('R8 · health has the fields that operators know, and says that nobody takes the work', async () => {
  await accept();
  await accept();
  const answer = await api.call({ url: '/admin/streams/health', as: await api.token('viewer') });
  expect(answer.json()).toMatchObject({
    ...{ status: 'degraded', queue_depth: 0, consumers_count: 0, pending: 0, dlq_depth: 0, backlog: 2 },
    last_delivered_id: '0-0',
    shards: [{ shard: 0, status: 'degraded', backlog: 2, detail: { waiting: 2, outside: 0, inFlight: 0 } }],
  });
});

test('R8 · what discards or sends again tells what it would touch until it is confirmed', async () => {
  for (const [method, act] of [
    ['POST', 'reset-to-latest'],
    ['POST', 'reset-to-begin'],
    ['DELETE', 'destroy-recreate'],
  ] as const) {
    const refused = await api.call({ method, url: `/admin/streams/${act}?shard=0`, as: admin });
    expect(refused.statusCode).toBe(409);
    expect(refused.json()).toMatchObject({
      code: 'CONFIRMATION_NEEDED',
      detail: expect.stringContaining('confirm=0') as string,
      touches: { waiting: 2, outside: 0, inFlight: 0 },
    });
    const wrong = await api.call({ method, url: `/admin/streams/${act}?shard=0&confirm=all`, as: admin });
    expect(wrong.json()).toMatchObject({ code: 'REQUEST_INVALID', field: 'confirm' });
  }
  expect(await audits()).toEqual([]);
  expect((await queue.counters()).queued).toBe(2);
});

test('R8 · confirmed by body or query it is done and written down: who, when, how many', async () => {
  const id = await accept();
  await api.recorded();
  const done = await api.call({
    method: 'POST',
    url: '/admin/streams/reset-to-latest',
    body: { shard: 0, sender: 'default', confirm: '0' },
    as: admin,
  });
  expect(done.json()).toEqual({ shard: '0', cancelled: 3, kept: 0 });
  await api.recorded();
  expect((await api.call({ url: `/v1/messages/${id}` })).json()).toMatchObject({ status: 'cancelled' });
  expect((await api.call({ url: `/v1/messages/${id}/explain` })).json()).toMatchObject({
    status: 'cancelled',
    sentence: 'It was cancelled before it was sent.',
    position: null,
  });
  const [entry] = await audits();
  expect(entry).toMatchObject({
    actor: 'admin@example.com',
    action: 'stream.reset-to-latest',
    target: 'sender default',
    detail: { cancelled: 3, kept: 0, shard: 0 },
  });
  const others = [
    await api.call({ method: 'POST', url: '/admin/streams/reset-to-begin?confirm=all', as: admin }),
    await api.call({ method: 'DELETE', url: '/admin/streams/destroy-recreate', body: { confirm: true }, as: admin }),
    await api.call({ method: 'DELETE', url: '/admin/streams/destroy-recreate?shard=0&confirm=true', as: admin }),
    await api.call({ method: 'POST', url: '/admin/streams/claim-pending-to-worker', as: admin }),
  ];
  expect(others.map((answer) => [answer.statusCode, answer.json<{ shard: string }>().shard])).toEqual([
    [200, 'all'],
    [200, 'all'],
    [200, '0'],
    [200, 'all'],
  ]);
  expect((await audits()).map(({ action }) => action)).toEqual([
    'stream.claim',
    'stream.destroy-recreate',
    'stream.destroy-recreate',
    'stream.reset-to-begin',
    'stream.reset-to-latest',
  ]);
});

test.each([
  ['shard=7', 'shard'],
  ['shard=x', 'shard'],
  ['sender=nobody', undefined],
])('R8 · %s is refused', async (query, field) => {
  const answer = await api.call({ url: `/admin/streams/health?${query}`, as: admin });
  expect([400, 404]).toContain(answer.statusCode);
  if (field !== undefined) expect(answer.json()).toMatchObject({ field });
});

test('a forecast over HTTP: the sender must be one that the tenant may use', async () => {
  const { key } = await api.record.apiKeys.create({ tenant: null, name: 'p' });
  const good = await api.call({ url: '/v1/senders/default/forecast?messages=10', as: key });
  expect(good.json()).toMatchObject({ sender: 'default', messages: 10, doneAt: null, attempt: { measured: false } });
  expect(good.json<{ sentence: string }>().sentence).toMatch(/no worker is running/);
  expect((await api.call({ url: '/v1/senders/nobody/forecast?messages=10' })).statusCode).toBe(404);
  expect((await api.call({ url: '/v1/senders/default/forecast?messages=0' })).statusCode).toBe(400);
  expect((await api.call({ url: '/v1/senders/default/forecast?messages=5&tenant=ghost' })).statusCode).toBe(404);
});

test('a tenant that was just asked for in vain is created by its first message', async () => {
  const forecast = await api.call({ url: '/v1/senders/default/forecast?messages=5&tenant=newcomer' });
  expect(forecast.statusCode).toBe(404);
  const answer = await api.call({ method: 'POST', url: '/v1/messages', body: text({ tenant: 'newcomer' }) });
  expect(answer.statusCode, answer.body).toBe(202);
});
