import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { eventually, testRedis } from '../support/services.ts';
import { watchStandstill } from '../support/standstill.ts';
import { startQueues, startWorkers } from './support.ts';

test('Q1 · the job of a worker that is killed runs again within 10 s on another one', { timeout: 60_000 }, async () => {
  const { url } = await testRedis();
  const queues = startQueues(url);
  const child = spawn(process.execPath, ['--import', 'tsx', join(import.meta.dirname, 'processes/worker.ts'), url], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  await queues.addWebhookJob({ salonId: 'salon1', payload: {}, receivedAt: new Date() });
  await once(child.stdout, 'data');
  const ran: number[] = [];
  const { events } = await startWorkers(url, { webhook: () => Promise.resolve(void ran.push(performance.now())) });

  const standstill = watchStandstill(() => queues.getQueueStats('webhook'));
  const killedAtMs = performance.now();
  child.kill('SIGKILL');
  await eventually(() => ran.length === 1, { timeoutMs: 30_000 });

  expect((ran[0] ?? 0) - killedAtMs).toBeLessThan(10_000 + standstill.ms());
  await eventually(async () => (await queues.getQueueStats('webhook')).completed === 1);
  expect(events.map(({ event }) => event.kind)).toContain('stalled');
});
