import { afterEach, onTestFinished, test } from 'vitest';
import { LinkProxy } from '../support/link-proxy.ts';
import { eventually, testRedis } from '../support/services.ts';
import { startQueues, startWorkers, stopAll } from './support.ts';

const job = { payload: { entry: [] }, receivedAt: new Date('2027-01-31T09:30:00Z') };

afterEach(stopAll);

test('Q2 · adds and workers whose path to Redis is dead without a word open another one', async () => {
  const redis = await testRedis();
  const proxy = await LinkProxy.open(() => redis.port);
  onTestFinished(() => proxy.close());
  const url = `redis://127.0.0.1:${proxy.port}`;
  const far = startQueues(url);
  const done: string[] = [];
  await startWorkers(url, {
    webhook: ({ data }) => {
      done.push(data.salonId);
      return Promise.resolve();
    },
  });
  await far.addWebhookJob({ salonId: 'before', ...job });
  await eventually(() => done.includes('before'));
  proxy.strand();
  await eventually(() => far.addWebhookJob({ salonId: 'after', ...job }), { timeoutMs: 15_000 });
  await eventually(() => done.includes('after'), { timeoutMs: 25_000 });
});
