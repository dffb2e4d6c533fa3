import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { createQueueService, type QueueService } from '../../src/jobs/index.ts';
import { emptied } from '../jobs/support.ts';
import { testRedis, type TestRedis } from '../support/services.ts';
import { startApi, type Api, type Call } from './support/api.ts';

let redis: TestRedis;
let queues: QueueService;
let api: Api;
let tokens: Record<'viewer' | 'operator' | 'admin', string>;

beforeAll(async () => {
  redis = await testRedis();
  queues = createQueueService({ redis: { url: redis.url }, attempts: 3, backoffMs: 2000 });
  api = await startApi({ queues });
  tokens = {
    viewer: await api.token('viewer'),
    operator: await api.token('operator'),
    admin: await api.token('admin'),
  };
});
beforeEach(() => emptied(redis.url));
afterAll(() => api.close());

async function call(role: keyof typeof tokens, request: Call) {
  const answer = await api.call({ ...request, as: tokens[role] });
  return { status: answer.statusCode, body: answer.json<Record<string, unknown>>() };
}
const addWebhook = () => queues.addWebhookJob({ salonId: 'salon1', payload: {}, receivedAt: new Date() });

test('Q9 · a viewer reads the figures of a queue by its API name and its short name', async () => {
  await addWebhook();
  for (const name of ['whatsapp:webhook', 'whatsapp%3Awebhook', 'webhook']) {
    const { status, body } = await call('viewer', { url: `/admin/queue/stats/${name}` });
    expect(status).toBe(200);
    expect(body).toEqual({
      queue: 'whatsapp:webhook',
      waiting: 1,
      active: 0,
      completed: 0,
      failed: 0,
      delayed: 0,
      paused: false,
    });
  }
});

test('Q9 · an unknown queue is 404 and the sentence lists all names', async () => {
  const { status, body } = await call('viewer', { url: '/admin/queue/stats/nothing' });
  expect(status).toBe(404);
  expect(body['detail']).toMatch(/whatsapp:webhook.*notification:email.*whatsapp-send/);
});

test('Q9 · pausing and resuming count in all processes and are written into the audit', async () => {
  expect(await call('operator', { method: 'POST', url: '/admin/queue/pause/email' })).toEqual({
    status: 200,
    body: { queue: 'notification:email', paused: true },
  });
  expect(await queues.getQueueDetail('email')).toMatchObject({ paused: true });
  expect((await call('viewer', { url: '/admin/queue/health' })).body['status']).toBe('degraded');
  await call('operator', { method: 'POST', url: '/admin/queue/resume/notification:email' });
  expect(await queues.getQueueDetail('email')).toMatchObject({ paused: false });
  const acts = (await api.record.audit.list()).items.map(({ action, target }) => `${action} ${target}`);
  expect(acts).toEqual(expect.arrayContaining(['queue.pause notification:email', 'queue.resume notification:email']));
});

test('Q9 · pausing whatsapp-send stops hand-overs on all shards, and its figures are those of the send engine', async () => {
  await call('operator', { method: 'POST', url: '/admin/queue/pause/whatsapp-send' });
  expect(api.queue.isStopped).toBe(true);
  expect((await call('viewer', { url: '/admin/queue/stats/whatsapp-send' })).body).toMatchObject({
    queue: 'whatsapp-send',
    paused: true,
  });
  await call('operator', { method: 'POST', url: '/admin/queue/resume/whatsapp-send' });
  expect(api.queue.isStopped).toBe(false);
});

test('Q9 · cleaning takes grace and status; status is completed unless it is said', async () => {
  await addWebhook();
  await queues.pauseQueue('webhook');
  const clean = (query: string) => call('admin', { method: 'POST', url: `/admin/queue/clean/webhook${query}` });
  expect((await clean('')).body).toEqual({ queue: 'whatsapp:webhook', status: 'completed', removed: 0 });
  expect((await clean('?grace=3600000&status=waiting')).body).toMatchObject({ removed: 0 });
  expect((await clean('?grace=0&status=waiting')).body).toMatchObject({ status: 'waiting', removed: 1 });
  expect(await clean('?grace=-1')).toMatchObject({ status: 400, body: { field: 'grace' } });
  expect(await clean('?status=active')).toMatchObject({ status: 400, body: { field: 'status' } });
});

test('Q9 · the send queue cannot be cleaned, and the sentence says what to do instead', async () => {
  const { status, body } = await call('admin', { method: 'POST', url: '/admin/queue/clean/whatsapp-send' });
  expect(status).toBe(409);
  expect(body['detail']).toContain('DELETE /v1/messages/:id');
});

test('Q9 · health is degraded while a queue has work and no worker', async () => {
  await addWebhook();
  const { body } = await call('viewer', { url: '/admin/queue/health' });
  expect(body['status']).toBe('degraded');
  expect(body['queues']).toContainEqual(
    expect.objectContaining({ queue: 'whatsapp:webhook', waiting: 1, workers: 0, paused: false }),
  );
});

test('Q9 · health names every queue with its figures and its workers', async () => {
  const { status, body } = await call('viewer', { url: '/admin/queue/health' });
  expect(status).toBe(200);
  expect(body).toMatchObject({ status: 'healthy', redis: 'connected' });
  const names = (body['queues'] as { queue: string; workers: number | null }[]).map(({ queue }) => queue);
  expect(names).toEqual([
    'whatsapp:webhook',
    'whatsapp:message-status',
    'booking:reminder',
    'notification:email',
    'inbound:respond',
    'whatsapp-send',
  ]);
});

test.each([
  ['webhook', { test: true }, { salonId: 'default', payload: { test: true } }],
  ['message-status', { status: 'read' }, { messageId: 'test', status: 'read' }],
  ['booking:reminder', { bookingId: 'b1' }, { bookingId: 'b1', reminderType: 'day_before' }],
  ['email', { to: 'ada@example.com' }, { to: 'ada@example.com', template: 'booking_confirmation' }],
] as const)('Q9 · a test job of %s is added with what was left out filled in', async (queueName, data, stored) => {
  await queues.pauseQueue(queueName);
  const { status, body } = await call('admin', {
    method: 'POST',
    url: '/admin/queue/test',
    body: { queueName, data },
  });
  expect(status).toBe(202);
  const id = {
    webhook: 'webhook',
    'message-status': 'message-status',
    'booking:reminder': 'reminder',
    email: 'email',
  } as const;
  const job = await queues.bullQueue(id[queueName]).getJob(String(body['jobId']));
  expect(job?.data).toMatchObject(stored);
});

test('Q9 · a test job whose data cannot be used is refused with the field', async () => {
  const post = (body: unknown) => call('admin', { method: 'POST', url: '/admin/queue/test', body });
  expect(await post({ queueName: 'email', data: { to: 'nobody' } })).toMatchObject({
    status: 400,
    body: { field: 'data.to', detail: 'It must be an e-mail address such as ada@example.com.' },
  });
  expect(await post({ queueName: 'email', data: {} })).toMatchObject({
    body: { field: 'data.to', detail: 'This field is required.' },
  });
  expect(await post({ queueName: 'email', data: { to: 'ada@example.com', template: 'none' } })).toMatchObject({
    status: 400,
    body: { field: 'template', detail: expect.stringContaining('booking_confirmation') as string },
  });
  expect(await post({ queueName: 'reminder', data: {} })).toMatchObject({ body: { field: 'data.bookingId' } });
  expect(await post({ queueName: 'whatsapp-send', data: {} })).toMatchObject({
    status: 400,
    body: { field: 'queueName' },
  });
  expect(await post({ queueName: 'nothing', data: {} })).toMatchObject({ status: 404 });
  expect(await post({ data: {} })).toMatchObject({ status: 400, body: { field: 'queueName' } });
});

test.each([
  ['GET', '/admin/queue/stats/'],
  ['GET', `/admin/queue/stats/${'x'.repeat(101)}`],
  ['GET', '/admin/queue/stats/__proto__'],
  ['GET', '/admin/queue/stats/constructor'],
  ['GET', '/admin/queue/stats/%7Bwx:jobs%7D:whatsapp-webhook'],
  ['POST', '/admin/queue/pause/nothing'],
  ['POST', '/admin/queue/resume/whatsapp%3Anothing'],
  ['POST', '/admin/queue/clean/webhook%00'],
  ['POST', '/admin/queue/clean/webhook?grace=soon'],
  ['POST', '/admin/queue/clean/webhook?grace=1.5'],
  ['POST', '/admin/queue/clean/webhook?grace=1e99'],
  ['POST', '/admin/queue/clean/webhook?grase=3600000'],
  ['POST', '/admin/queue/clean/webhook?status=all'],
  ['POST', '/admin/queue/clean/webhook?status=completed&status=failed'],
  ['POST', '/admin/queue/test'],
] as const)('Q9 · %s %s is refused with a code and a sentence, and changes nothing', async (method, url) => {
  await addWebhook();
  const { status, body } = await call('admin', { method, url });
  expect([400, 404]).toContain(status);
  expect(body).toMatchObject({ code: expect.any(String) as string, detail: expect.stringMatching(/\w+/) as string });
  expect(await queues.getQueueDetail('webhook')).toMatchObject({ waiting: 1, paused: false });
});

test.each([
  [{ queueName: '', data: {} }, 'queueName'],
  [{ queueName: 7, data: {} }, 'queueName'],
  [{ queueName: 'webhook', data: [] }, 'data'],
  [{ queueName: 'webhook', data: {}, priority: 1 }, 'priority'],
  [{ queueName: 'status', data: { timestamp: 'yesterday' } }, 'data.timestamp'],
  [{ queueName: 'respond', data: {} }, 'queueName'],
])('Q9 · the test job %j is refused with the field %s', async (body, field) => {
  const answer = await call('admin', { method: 'POST', url: '/admin/queue/test', body });
  expect(answer).toMatchObject({ status: 400, body: { field } });
});

test('Q9 · every route of the queues is in OpenAPI, with examples of what it takes and gives', async () => {
  const document = (await api.call({ url: '/openapi.json', as: null })).json<{ paths: Record<string, unknown> }>();
  const routes = ['stats/{queue}', 'pause/{queue}', 'resume/{queue}', 'clean/{queue}', 'health', 'test'];
  for (const route of routes) {
    const path = JSON.stringify(document.paths[`/admin/queue/${route}`] ?? {});
    expect(path, route).toMatch(/"examples?":/);
    expect(path, route).toContain('"responses"');
  }
});

test('Q9 · while Redis is away the answer is 503 with Retry-After', async () => {
  const away = await startApi();
  const answer = await away.call({ url: '/admin/queue/stats/webhook', as: tokens.viewer });
  expect(answer.statusCode).toBe(503);
  expect(answer.headers['retry-after']).toBeDefined();
  await away.close();
});
