import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createQueueService, JobImpossible, type QueueService } from '../../src/jobs/index.ts';
import { startWorkers } from '../jobs/support.ts';
import { eventually, testRedis, type TestRedis } from '../support/services.ts';
import { startApi, text, type Api } from './support/api.ts';

/* What the board's page asks for behind the scenes. */

const QUEUES = '/admin/queues/api/queues';
let redis: TestRedis;
let api: Api;
let queues: QueueService;
let tokens: Record<'operator' | 'admin', string>;
let failedId: string;
let messageId: string;

beforeAll(async () => {
  redis = await testRedis();
  queues = createQueueService({ redis: { url: redis.url }, attempts: 1, backoffMs: 10 });
  api = await startApi({ queues, boardPath: '/admin/queues' });
  tokens = { operator: await api.token('operator'), admin: await api.token('admin') };
  const { workers } = await startWorkers(redis.url, {
    webhook: async (job) => {
      await job.progress(40);
      await job.log('looked at it');
      throw new JobImpossible('nobody knows it');
    },
  });
  failedId = (await queues.addWebhookJob({ salonId: 'salon1', payload: {}, receivedAt: new Date() })).id;
  await eventually(async () => (await queues.getQueueStats('webhook')).failed === 1);
  await workers.stop(1000);
  const accepted = await api.call({ method: 'POST', url: '/v1/messages', body: text() });
  messageId = accepted.json<{ id: string }>().id;
  await api.recorded();
});
afterAll(() => api.close());

const get = (path: string) => api.call({ url: `${QUEUES}${path}`, as: tokens.admin });
const put = (role: keyof typeof tokens, path: string) =>
  api.app.inject({ method: 'PUT', url: `${QUEUES}${path}`, headers: { authorization: `Bearer ${tokens[role]}` } });

describe('Bull Board', () => {
  test('Q8 · a failed job is shown with its data, progress, error and log', async () => {
    const { job } = (await get(`/whatsapp-webhook/${failedId}`)).json<{ job: Record<string, unknown> }>();
    expect(job).toMatchObject({ id: failedId, progress: 40, failedReason: 'nobody knows it' });
    expect(job['data']).toMatchObject({ salonId: 'salon1' });
    expect((await get(`/whatsapp-webhook/${failedId}/logs`)).body).toContain('looked at it');
  });

  test.each([
    ['a job', () => `/whatsapp-webhook/${failedId}/flow`],
    ['a message', () => `/whatsapp-send/${messageId}/flow`],
  ])('Q8 · %s that belongs to no flow is said to belong to none', async (_, path) => {
    const answer = await get(path());
    expect(answer.statusCode).toBe(200);
    expect(answer.json()).toMatchObject({ isFlowNode: false });
  });

  test('Q8 · what the state of a job does not allow is refused as 409, and changes nothing', async () => {
    const job = await queues.addEmailJob({ to: 'ada@example.com', template: 'salon_welcome', data: {} });
    const answer = await put('operator', `/notification-email/${job.id}/promote`);
    expect(answer.statusCode).toBe(409);
    expect(answer.json()).toMatchObject({ code: 'CONFLICT', error: expect.stringContaining('state') as string });
    expect(await queues.getQueueStats('email')).toMatchObject({ waiting: 1 });
  });

  test('Q8 · an operator retries a failed job, and an admin removes it', async () => {
    expect((await put('operator', `/whatsapp-webhook/${failedId}/retry`)).statusCode).toBe(204);
    expect(await queues.getQueueStats('webhook')).toMatchObject({ waiting: 1, failed: 0 });
    expect((await put('admin', `/whatsapp-webhook/${failedId}/clean`)).statusCode).toBe(204);
    expect(await queues.getQueueStats('webhook')).toMatchObject({ waiting: 0 });
    expect((await get(`/whatsapp-webhook/${failedId}`)).statusCode).toBe(404);
  });

  test('Q8 · an admin removes a message from the send queue, which cancels it', async () => {
    expect((await put('admin', `/whatsapp-send/${messageId}/clean`)).statusCode).toBe(204);
    await api.recorded();
    expect((await api.call({ url: `/v1/messages/${messageId}` })).json()).toMatchObject({ status: 'cancelled' });
  });

  test('Q8 · while Redis is away the board says so at once, and works again when it is back', async () => {
    await redis.kill('SIGKILL');
    const answer = await get('?activeQueue=whatsapp-webhook&status=failed&page=1');
    expect(answer.statusCode).toBe(503);
    expect((await put('operator', '/notification-email/pause')).statusCode).toBe(503);
    await redis.restart();
    await eventually(async () => (await get('')).statusCode === 200);
  });
});
