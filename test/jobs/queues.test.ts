import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { afterEach, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { AppError } from '../../src/errors/app-error.ts';
import { JobImpossible, JobLater, JOB_QUEUE_IDS, JOB_QUEUES, type QueueService } from '../../src/jobs/index.ts';
import { eventually, testRedis, type TestRedis } from '../support/services.ts';
import { watchStandstill } from '../support/standstill.ts';
import { emptied, startQueues, startWorkers, stopAll } from './support.ts';

let redis: TestRedis;
let queues: QueueService;
beforeAll(async () => {
  redis = await testRedis();
});
beforeEach(async () => {
  await emptied(redis.url);
  queues = startQueues(redis.url, { backoffMs: 20 });
});
afterEach(stopAll);

const webhook = (salonId: string) => ({
  salonId,
  payload: { entry: [] },
  receivedAt: new Date('2027-01-31T09:30:00Z'),
});
const status = { messageId: 'wamid.1', status: 'delivered', timestamp: 1_800_000_000_000 };
const email = {
  to: 'ada@example.com',
  subject: 'Booked',
  template: 'booking_confirmation',
  data: { customerName: 'Ada', serviceName: 'Cut', serviceDate: '2027-02-01T10:00:00Z' },
};

describe('Q1 · names', () => {
  test('Q1 · a queue is known by its API name and its short ones, and an unknown name lists those that exist', async () => {
    await queues.addWebhookJob(webhook('salon1'));
    for (const name of ['whatsapp:webhook', 'webhook']) {
      expect(await queues.getQueueStats(name)).toEqual({ waiting: 1, active: 0, completed: 0, failed: 0 });
    }
    for (const id of JOB_QUEUE_IDS) {
      const { apiName, shortNames } = JOB_QUEUES[id];
      for (const name of [apiName, ...shortNames]) await queues.getQueueStats(name);
    }
    const error: unknown = await queues.getQueueStats('webhok').catch((one: unknown) => one);
    expect(error).toBeInstanceOf(AppError);
    expect(error).toMatchObject({ code: 'NOT_FOUND', detail: expect.stringContaining('whatsapp:webhook') as string });
  });
});

describe('Q2 · QueueService', () => {
  test('Q2 · every kind of job is stored with its data, times as ISO, and its own default priority', async () => {
    const added = [
      await queues.addWebhookJob(webhook('salon1'), 9),
      await queues.addMessageStatusJob(status),
      await queues.scheduleBookingReminder(
        {
          bookingId: 'b1',
          salonId: 'salon1',
          customerPhone: '+4915112345678',
          serviceDate: '2027-02-01T10:00:00Z',
          serviceName: 'Cut',
          reminderType: 'day_before',
        },
        new Date(Date.now() + 3_600_000),
      ),
      await queues.addEmailJob({ ...email, priority: 10 }),
    ];
    // `respond` has no method of its own: the receiving side fills it.
    const ids = JOB_QUEUE_IDS.filter((id) => id !== 'respond');
    expect(added.map((job) => job.queue)).toEqual(ids.map((id) => JOB_QUEUES[id].apiName));
    const stored = await Promise.all(
      added.map((job, index) => queues.bullQueue(ids[index] ?? 'webhook').getJob(job.id)),
    );
    expect(stored.map((job) => job?.opts.priority)).toEqual([2, 3, 4, 1]);
    expect(stored.map((job) => job?.opts.attempts)).toEqual([3, 5, 3, 3]);
    expect(stored[0]?.data).toEqual({
      salonId: 'salon1',
      payload: { entry: [] },
      receivedAt: '2027-01-31T09:30:00.000Z',
    });
    expect(stored[1]?.data).toMatchObject({ timestamp: '2027-01-15T08:00:00.000Z' });
    expect(stored[3]?.data).toMatchObject({ subject: 'Booked', template: 'booking_confirmation' });
    expect(await queues.getQueueDetail('reminder')).toMatchObject({ waiting: 0, delayed: 1, paused: false });
  });

  test('Q7 · jobs keep the defaults: backoff, and how many finished ones are kept for how long', async () => {
    const { id } = await queues.addWebhookJob(webhook('salon1'));
    const mail = await queues.addEmailJob(email);
    const job = await queues.bullQueue('webhook').getJob(id);
    expect(job?.opts).toMatchObject({
      attempts: 3,
      backoff: { type: 'exponential', delay: 20 },
      removeOnComplete: { count: 1000, age: 86_400 },
      removeOnFail: { count: 5000, age: 604_800 },
    });
    expect((await queues.bullQueue('email').getJob(mail.id))?.opts).toMatchObject({
      attempts: 3,
      backoff: { type: 'exponential', delay: 5000 },
    });
  });

  test('Q7 · 10 goes first, and equals go in the order in which they came', async () => {
    const order = [3, 10, 5, 10, 1];
    for (const [index, priority] of order.entries()) await queues.addWebhookJob(webhook(`s${index}`), priority);
    const done: string[] = [];
    await startWorkers(redis.url, {
      webhook: ({ data }) => {
        done.push(data.salonId);
        return Promise.resolve();
      },
    });
    await eventually(() => done.length === order.length);
    expect(done).toEqual(['s1', 's3', 's2', 's0', 's4']);
  });

  test.each([0, 11, 2.5, Number.NaN])('Q7 · a priority of %d is refused with its field', async (priority) => {
    await expect(queues.addWebhookJob(webhook('s'), priority)).rejects.toMatchObject({ field: 'priority' });
  });

  test('Q2 · a time that is none is refused with its field', async () => {
    await expect(queues.addWebhookJob({ ...webhook('s'), receivedAt: 'soon' })).rejects.toMatchObject({
      code: 'REQUEST_INVALID',
      field: 'receivedAt',
    });
  });

  test.each([
    ['jobId', { jobId: 'a:b' }],
    ['jobId', { jobId: '12' }],
    ['jobId', { jobId: '' }],
    ['delayMs', { delayMs: Number.NaN }],
    ['attempts', { attempts: 0 }],
    ['attempts', { attempts: Number.NaN }],
  ])('Q2 · a job with a wrong %s is refused and not called retryable: %j', async (field, options) => {
    const refused = { code: 'REQUEST_INVALID', retryable: false, field };
    await expect(queues.addEmailJob(email, options)).rejects.toMatchObject(refused);
    await expect(
      queues.addJobs('email', [{ data: { ...email, data: {} } }, { data: { ...email, data: {} }, options }]),
    ).rejects.toMatchObject(refused);
    expect(await queues.getQueueDetail('email')).toMatchObject({ waiting: 0, delayed: 0 });
  });

  test('Q6 · an e-mail to nobody, or without data, is refused where it is added', async () => {
    const { to, data, ...rest } = email;
    const add = (job: Partial<typeof email>) => queues.addEmailJob(job as typeof email);
    await expect(add({ ...rest, data })).rejects.toMatchObject({ code: 'REQUEST_INVALID', field: 'to' });
    await expect(add({ ...rest, data, to: 'Ada' })).rejects.toMatchObject({ field: 'to' });
    await expect(add({ ...rest, to })).rejects.toMatchObject({ code: 'REQUEST_INVALID', field: 'data' });
    expect(await queues.getQueueStats('email')).toMatchObject({ waiting: 0 });
  });

  test.each([1_800_000_000, '1800000000', 1_800_000_000_000, '1800000000000', '2027-01-15T08:00:00Z'])(
    'Q2 · a time given as %j is understood, in seconds and in milliseconds',
    async (timestamp) => {
      const { id } = await queues.addMessageStatusJob({ ...status, timestamp });
      const job = await queues.bullQueue('message-status').getJob(id);
      expect(job?.data).toMatchObject({ timestamp: '2027-01-15T08:00:00.000Z' });
    },
  );

  test('Q6 · an e-mail of a template that does not exist is refused where it is added', async () => {
    await expect(queues.addEmailJob({ ...email, template: 'booking_confirmed' })).rejects.toMatchObject({
      code: 'REQUEST_INVALID',
      field: 'template',
      detail: expect.stringContaining('booking_confirmation') as string,
    });
    expect(await queues.getQueueStats('email')).toMatchObject({ waiting: 0 });
  });

  test("Q2 · a state that cannot be cleaned is refused, and BullMQ's own word for waiting is understood", async () => {
    await expect(queues.cleanQueue('email', 0, 'active' as 'failed')).rejects.toMatchObject({ field: 'state' });
    await queues.addEmailJob(email);
    expect(await queues.cleanQueue('email', 0, 'wait')).toBe(1);
  });

  test('Q2 · a paused queue starts no job until it is resumed', async () => {
    const done: string[] = [];
    await startWorkers(redis.url, { email: ({ id }) => Promise.resolve(void done.push(id)) });
    await queues.pauseQueue('notification:email');
    await queues.addEmailJob(email);
    expect(await queues.getQueueDetail('email')).toMatchObject({ waiting: 1, paused: true });
    expect(done).toEqual([]);
    await queues.resumeQueue('email');
    await eventually(() => done.length === 1);
  });

  test('Q2 · cleaning removes jobs of the state that are older than the grace', async () => {
    const work = startWorkers(redis.url, {
      webhook: ({ data }) =>
        data.salonId === 'bad' ? Promise.reject(new JobImpossible('not a webhook')) : Promise.resolve(),
    });
    for (const salon of ['a', 'b', 'bad']) await queues.addWebhookJob(webhook(salon));
    await work;
    await eventually(async () => {
      const { completed, failed } = await queues.getQueueStats('webhook');
      return completed === 2 && failed === 1;
    });
    expect(await queues.cleanQueue('webhook', 3_600_000)).toBe(0);
    expect(await queues.cleanQueue('webhook', 0, 'failed')).toBe(1);
    expect(await queues.cleanQueue('webhook', 0)).toBe(2);
    expect(await queues.getQueueStats('webhook')).toEqual({ waiting: 0, active: 0, completed: 0, failed: 0 });
    await queues.pauseQueue('webhook');
    await queues.addWebhookJob(webhook('c'));
    expect(await queues.cleanQueue('webhook', 0, 'waiting')).toBe(1);
  });

  test('Q2 · many jobs are added in one step, and one that exists under its id is not added again', async () => {
    const jobs = ['x', 'y', 'x'].map((id) => ({
      data: { ...status, timestamp: '2027-01-01T00:00:00Z' },
      options: { jobId: `s-${id}` },
    }));
    await queues.addJobs('message-status', jobs);
    expect(await queues.getQueueStats('message-status')).toMatchObject({ waiting: 2 });
  });

  test('Q2 · data that JSON cannot hold is told as a fault of the program, not as a Redis that is away', async () => {
    const payload: Record<string, unknown> = {};
    payload['itself'] = payload;
    await expect(queues.addWebhookJob({ ...webhook('salon1'), payload })).rejects.toBeInstanceOf(TypeError);
    await expect(queues.addEmailJob({ ...email, data: { amount: 10n } })).rejects.toBeInstanceOf(TypeError);
    await queues.addWebhookJob(webhook('salon1'));
    expect(await queues.getQueueStats('webhook')).toMatchObject({ waiting: 1 });
  });

  test('Q2 · while Redis is away an add fails at once and says so, and works again when it is back', async () => {
    await queues.addWebhookJob(webhook('a'));
    await redis.kill('SIGKILL');
    const standstill = watchStandstill();
    const startMs = performance.now();
    await eventually(async () => {
      const error: unknown = await queues.addWebhookJob(webhook('b')).catch((one: unknown) => one);
      return error instanceof AppError && error.code === 'QUEUE_UNAVAILABLE';
    });
    expect(performance.now() - startMs).toBeLessThan(4000 + standstill.ms());
    await redis.restart();
    await eventually(async () => (await queues.addWebhookJob(webhook('c'))).id, { timeoutMs: 10_000 });
    expect((await queues.getQueueStats('webhook')).waiting).toBe(2);
  });
});

describe('jobs that fail', () => {
  test('Q7 · a job that throws is tried again after the backoff, and failed after its last attempt', async () => {
    const { events } = await startWorkers(redis.url, { webhook: () => Promise.reject(new Error('no luck')) });
    await queues.addWebhookJob(webhook('a'));
    await eventually(async () => (await queues.getQueueStats('webhook')).failed === 1);
    expect(events.map(({ event }) => event.kind)).toEqual([
      'processing',
      'retrying',
      'processing',
      'retrying',
      'processing',
      'failed',
    ]);
  });

  test("a caller's mistake is not tried again", async () => {
    const { events } = await startWorkers(redis.url, {
      webhook: () => Promise.reject(new AppError('REQUEST_INVALID', { field: 'to' })),
    });
    await queues.addWebhookJob(webhook('a'));
    await eventually(async () => (await queues.getQueueStats('webhook')).failed === 1);
    expect(events.map(({ event }) => event.kind)).toEqual(['processing', 'failed']);
  });

  test('a job that is put off waits for its time without losing an attempt', async () => {
    const attempts: number[] = [];
    await startWorkers(redis.url, {
      webhook: ({ attempt }) => {
        attempts.push(attempt);
        return attempts.length === 1 ? Promise.reject(new JobLater(Date.now() + 50)) : Promise.resolve();
      },
    });
    await queues.addWebhookJob(webhook('a'));
    await eventually(async () => (await queues.getQueueStats('webhook')).completed === 1);
    expect(attempts).toEqual([1, 1]);
  });
});

test('Q11 · 100 webhook jobs over 100 tenants never run above the configured concurrency, each in less than a second', async () => {
  let running = 0;
  let most = 0;
  const { events } = await startWorkers(redis.url, {
    webhook: async () => {
      most = Math.max(most, (running += 1));
      // None ends before as many run as may.
      await eventually(() => most >= 5);
      running -= 1;
    },
  });
  await queues.addJobs(
    'webhook',
    Array.from({ length: 100 }, (_, index) => ({
      data: { ...webhook(`salon${index}`), receivedAt: '2027-01-01T00:00:00Z' },
    })),
  );
  await eventually(async () => (await queues.getQueueStats('webhook')).completed === 100, { timeoutMs: 15_000 });
  expect(most).toBe(5);
  const durations = events.flatMap(({ event }) => (event.kind === 'completed' ? [event.durationMs] : []));
  expect(durations.length).toBe(100);
  expect(durations.reduce((a, b) => a + b) / 100).toBeLessThan(1000);
});

test('Q11 · 100 adds at the very start wait for the connection together, and Node warns of no leak', async () => {
  const warnings: string[] = [];
  const onWarning = ({ message }: Error) => warnings.push(message);
  process.on('warning', onWarning);
  const fresh = startQueues(redis.url, { backoffMs: 20 });
  await Promise.all(Array.from({ length: 100 }, (_, index) => fresh.addWebhookJob(webhook(`salon${index}`))));
  process.off('warning', onWarning);
  expect(warnings).toEqual([]);
  expect((await fresh.getQueueStats('webhook')).waiting).toBe(100);
});

test('Q2 · queues whose connection breaks in the moment in which they open work as soon as it stands again', async () => {
  const { hostname, port } = new URL(redis.url);
  let asked = 0;
  const door = createServer((inside) => {
    const outside = connect(Number(port), hostname);
    for (const socket of [inside, outside]) socket.on('error', () => socket.destroy());
    inside.on('close', () => outside.destroy());
    outside.on('close', () => inside.destroy());
    inside.on('data', (bytes: Buffer) => {
      // The first question is the client's own: is the server ready. The next one is asked by the queues.
      asked += bytes.toString('latin1').match(/\binfo\b/gi)?.length ?? 0;
      if (asked >= 2 && asked < 100) {
        asked = 100;
        inside.destroy();
      } else outside.write(bytes);
    });
    outside.pipe(inside);
  });
  await once(door.listen(0, '127.0.0.1'), 'listening');
  onTestFinished(() => void door.close());
  const opened = startQueues(`redis://127.0.0.1:${(door.address() as AddressInfo).port}`);
  await eventually(async () => (await opened.addWebhookJob(webhook('a')).catch(() => null)) !== null);
  expect(asked).toBeGreaterThanOrEqual(100);
  expect(await opened.getQueueStats('webhook')).toMatchObject({ waiting: 1 });
});

test('a worker that stops finishes the job under way and takes no more', async () => {
  let finish: (() => void) | undefined;
  const { workers } = await startWorkers(redis.url, {
    email: () => new Promise<void>((resolve) => (finish = resolve)),
  });
  await queues.addEmailJob(email);
  await eventually(() => finish !== undefined);
  const stopped = workers.stop(10_000);
  await queues.addEmailJob(email);
  finish?.();
  await stopped;
  expect(await queues.getQueueStats('email')).toEqual({ waiting: 1, active: 0, completed: 1, failed: 0 });
});

test('S10 · workers without a job under way leave while Redis is away, whatever the grace', async () => {
  const { workers } = await startWorkers(redis.url, { email: () => Promise.resolve() });
  await redis.kill('SIGKILL');
  const standstill = watchStandstill();
  const startMs = performance.now();
  await workers.stop(30_000);
  expect(performance.now() - startMs).toBeLessThan(10_000 + standstill.ms());
  await redis.restart();
});
