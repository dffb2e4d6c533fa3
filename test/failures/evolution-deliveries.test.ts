import { expect, onTestFinished, test } from 'vitest';
import { startEmulator } from '../../src/emulator/index.ts';
import { callProgram, programSettings, runProgram } from '../support/program.ts';
import { eventually, testDatabase, testRedis } from '../support/services.ts';

test('R5 · an Evolution sender tries fast WA_MAX_DELIVERIES times, then by the slow schedule, then it is a dead letter', async () => {
  const [redis, database] = await Promise.all([testRedis(), testDatabase()]);
  const emulator = await startEmulator({ settings: { evolution: { apiKeys: ['key'] } } });
  onTestFinished(() => emulator.stop());
  const program = await runProgram(
    programSettings(
      { redis, database, emulator },
      {
        EVOLUTION_SERVER_URL: emulator.url,
        EVOLUTION_API_KEY: 'key',
        EVOLUTION_INSTANCE: 'salon',
        WA_MAX_DELIVERIES: '3',
        WA_TOKENS_PER_SECOND: '0',
        QUEUE_RETRY_ATTEMPTS: '1', // of other senders
        QUEUE_BACKOFF_DELAY: '50',
        RETRY_SCHEDULE_SECONDS: '1',
      },
    ),
  );
  onTestFinished(() => program.stop());
  emulator.addRule({ action: { kind: 'error', code: 500, httpStatus: 500 } });
  const message = { to: '+4915112345678', type: 'text', text: { body: 'Your table is ready' }, sender: 'evolution' };
  const { id } = (await (await callProgram(program, '/v1/messages', message)).json()) as { id: string };
  const found = await eventually(
    async () => {
      const read = (await (await callProgram(program, `/v1/messages/${id}`)).json()) as { status: string };
      return read.status === 'failed' && read;
    },
    { timeoutMs: 20_000 },
  );
  expect(found).toMatchObject({ status: 'failed', sender: 'evolution' });
  const attempts = emulator.ledger().filter(({ kind }) => kind === 'message');
  expect(attempts.map(({ phoneNumberId, code }) => [phoneNumberId, code])).toEqual(
    Array.from({ length: 3 + 1 }, () => ['evolution.salon', 500]),
  );
  // The record follows what the queue tells.
  const letters = await eventually(async () => {
    const { items } = (await (await callProgram(program, '/admin/dead-letters')).json()) as { items: { id: string }[] };
    return items.length > 0 && items;
  });
  expect(letters.map((letter) => letter.id)).toEqual([id]);
});
