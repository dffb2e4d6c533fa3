import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Redis } from 'ioredis';
import pino from 'pino';
import { expect, onTestFinished, test } from 'vitest';
import { startEmulator } from '../../src/emulator/index.ts';
import { loadConfig } from '../../src/config/index.ts';
import { startProgram } from '../../src/program/start-program.ts';
import { callProgram, PHONE_NUMBER_ID, programSettings } from '../support/program.ts';
import { dataFolder } from '../cli/harness.ts';
import { eventually, testDatabase, testRedis } from '../support/services.ts';

test('F49 · a fault of the queue is logged without the message that it met, in a log of the product, too', async () => {
  const [redis, database, emulator] = await Promise.all([testRedis(), testDatabase(), startEmulator()]);
  onTestFinished(() => emulator.stop());
  const lines: string[] = [];
  const loaded = loadConfig(programSettings({ redis, database, emulator }, { SHARDS: '1' }), dataFolder());
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
  const log = pino({ level: 'trace' }, { write: (line: string) => lines.push(line) });
  const program = await startProgram(loaded.config, 'web', log);
  onTestFinished(() => program.stop());
  const send = () =>
    callProgram(program, '/v1/messages', { to: '+4915112345678', type: 'text', text: { body: 'planted text' } });
  expect((await send()).status).toBe(202);
  // The shard's own record is of another type now: a script fails, and the client keeps its arguments on the error.
  const client = new Redis(redis.url, { db: 1 });
  onTestFinished(() => client.disconnect());
  await client.set('{wx:0}g', 'x');
  const answer = await send();
  expect(answer.status).toBe(500);
  const told = lines.find((line) => line.includes('WRONGTYPE'));
  expect(told).toContain(answer.headers.get('x-request-id'));
  expect(lines.join('')).not.toMatch(/planted|4915112345678/);
});

test('F49 · a fault that ends the program stands in its log, without what it met', async () => {
  const script = fileURLToPath(new URL('processes/fault.ts', import.meta.url));
  const ended = await promisify(execFile)(process.execPath, ['--import', 'tsx', script]).then(
    () => expect.unreachable('it should end with a fault'),
    (error: unknown) => error as { code: number; stdout: string; stderr: string },
  );
  expect(ended.code).toBe(1);
  expect(JSON.parse(ended.stdout)).toMatchObject({ level: 60, err: { message: 'a fault', code: 'EFAULT' } });
  expect(ended.stdout + ended.stderr).not.toContain('planted');
});

test('Q11 · LOG_LEVEL=debug prints cache looks, jobs and statuses, and names nobody', async () => {
  const [redis, database] = await Promise.all([testRedis(), testDatabase()]);
  const emulator = await startEmulator({
    appSecret: 'app-secret',
    settings: { statuses: { sentDelayMs: 5, deliveredDelayMs: 20, readDelayMs: 20, jitterMs: 5 } },
  });
  onTestFinished(() => emulator.stop());
  const loaded = loadConfig(programSettings({ redis, database, emulator }), dataFolder());
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
  const lines: { readonly msg: string; readonly status?: string }[] = [];
  const write = (line: string) => lines.push(JSON.parse(line) as (typeof lines)[number]);
  const program = await startProgram(loaded.config, 'all', pino({ level: 'debug' }, { write }));
  onTestFinished(() => program.stop());
  emulator.patch({ webhook: { url: `${program.server?.url ?? ''}/webhooks/whatsapp/cloud` } });
  for (let n = 0; n < 2; n += 1) {
    const answer = await callProgram(program, '/v1/messages', {
      to: '+4915112345678',
      type: 'text',
      text: { body: 'planted text' },
    });
    expect(answer.status).toBe(202);
  }
  await emulator.inbound({ phoneNumberId: PHONE_NUMBER_ID, from: '+4915112345678', text: { body: 'planted too' } });
  const printed = (wanted: string) => lines.some(({ msg }) => msg === wanted);
  for (const msg of ['cache hit', 'cache miss', 'job added', 'job processing', 'job completed', 'status updated']) {
    await eventually(() => printed(msg));
  }
  await eventually(() => lines.some(({ msg, status }) => msg === 'status updated' && status === 'read'));
  expect(JSON.stringify(lines)).not.toMatch(/planted|4915112345678/);
});
