import pino from 'pino';
import { expect, onTestFinished, test } from 'vitest';
import { loadConfig } from '../../src/config/index.ts';
import { openJobs } from '../../src/program/jobs.ts';
import { dataFolder } from '../cli/harness.ts';
import { eventually, testRedis } from '../support/services.ts';

const QUEUES = ['webhook', 'message-status', 'reminder', 'email'] as const;

test.each([
  ['without settings', {}, { webhook: 5, 'message-status': 10, reminder: 3, email: 5 }],
  [
    'with settings',
    {
      ...{ WEBHOOK_QUEUE_CONCURRENCY: '2', MESSAGE_QUEUE_CONCURRENCY: '3' },
      ...{ BOOKING_QUEUE_CONCURRENCY: '4', EMAIL_QUEUE_CONCURRENCY: '1' },
    },
    { webhook: 2, 'message-status': 3, reminder: 4, email: 1 },
  ],
])('Q1 · a process runs as many jobs of each queue at once as it may, %s: %j', async (_when, settings, wanted) => {
  const redis = await testRedis({ fsync: 'none' });
  const loaded = loadConfig(settings, dataFolder());
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
  const jobs = openJobs(loaded.config, { url: redis.url }, pino({ level: 'silent' }));
  onTestFinished(() => jobs.close());
  const { queues } = jobs;
  const running = { webhook: 0, 'message-status': 0, reminder: 0, email: 0 };
  const most = { ...running };
  const processor = (queue: (typeof QUEUES)[number]) => async () => {
    most[queue] = Math.max(most[queue], (running[queue] += 1));
    // None ends before as many run as may.
    await eventually(() => most[queue] >= wanted[queue], { timeoutMs: 15_000 });
    running[queue] -= 1;
  };
  const at = new Date(0);
  for (let n = 0; n < 25; n += 1) {
    await queues.addWebhookJob({ salonId: 's', payload: {}, receivedAt: at });
    await queues.addMessageStatusJob({ messageId: `wamid.${n}`, status: 'read', timestamp: at });
    await queues.scheduleBookingReminder(
      {
        ...{ bookingId: `b${n}`, salonId: 's', customerPhone: '+447700900123' },
        ...{ serviceDate: at, serviceName: 'Cut', reminderType: 'day_before' },
      },
      at,
    );
    await queues.addEmailJob({
      ...{ to: 'a@example.com', subject: 'x', template: 'booking_confirmation' },
      data: { customerName: 'Ada', serviceName: 'Cut', serviceDate: '2030-01-01T10:00:00Z' },
    });
  }
  const stop = await jobs.startWorkers({
    webhook: processor('webhook'),
    'message-status': processor('message-status'),
    reminder: processor('reminder'),
    email: processor('email'),
  });
  onTestFinished(() => stop());
  for (const queue of QUEUES)
    await eventually(async () => (await queues.getQueueStats(queue)).completed === 25, {
      timeoutMs: 15_000,
      what: queue,
    });
  expect(most).toEqual(wanted);
});

test('Q7 · QUEUE_RETRY_ATTEMPTS and QUEUE_BACKOFF_DELAY are the default of queues that have no figures of their own', async () => {
  const redis = await testRedis({ fsync: 'none' });
  const loaded = loadConfig({ QUEUE_RETRY_ATTEMPTS: '4', QUEUE_BACKOFF_DELAY: '700' }, dataFolder());
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
  const jobs = openJobs(loaded.config, { url: redis.url }, pino({ level: 'silent' }));
  onTestFinished(() => jobs.close());
  const told = (queue: (typeof QUEUES)[number]) => {
    const { attempts, backoff } = jobs.queues.bullQueue(queue).opts.defaultJobOptions ?? {};
    return { attempts, firstWaitMs: typeof backoff === 'object' ? backoff.delay : null };
  };
  expect(Object.fromEntries(QUEUES.map((queue) => [queue, told(queue)]))).toEqual({
    webhook: { attempts: 4, firstWaitMs: 700 },
    'message-status': { attempts: 5, firstWaitMs: 700 },
    reminder: { attempts: 4, firstWaitMs: 700 },
    email: { attempts: 3, firstWaitMs: 5000 },
  });
});
