import pino from 'pino';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { loadConfig } from '../../src/config/index.ts';
import { type Emulator, startEmulator } from '../../src/emulator/index.ts';
import { type Program, startProgram } from '../../src/program/start-program.ts';
import { newId } from '../../src/util/ids.ts';
import { dataFolder } from '../cli/harness.ts';
import { callProgram, programSettings } from '../support/program.ts';
import { eventually, testDatabase, testRedis } from '../support/services.ts';

/* Q4 · Jobs with statuses of messages that a whole program sent; the provider itself tells nothing. */

let emulator: Emulator;
let program: Program;
const lines: Record<string, unknown>[] = [];

beforeAll(async () => {
  const [redis, database] = await Promise.all([testRedis(), testDatabase()]);
  emulator = await startEmulator();
  const loaded = loadConfig(
    programSettings({ redis, database, emulator }, { QUEUE_BACKOFF_DELAY: '20' }),
    dataFolder(),
  );
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
  const log = pino(
    { level: 'info' },
    { write: (line: string) => lines.push(JSON.parse(line) as (typeof lines)[number]) },
  );
  program = await startProgram(loaded.config, 'all', log);
});
afterAll(async () => {
  await program.stop();
  await emulator.stop();
});

type Fields = Readonly<Record<string, unknown>>;

async function ask<T = Fields>(path: string): Promise<T> {
  return (await (await callProgram(program, path)).json()) as T;
}

/** A message that the provider has taken. */
async function sentTo(to: string): Promise<{ readonly id: string; readonly providerMessageId: string }> {
  const answer = await callProgram(program, '/v1/messages', { to, type: 'text', text: { body: 'hi' } });
  const { id } = (await answer.json()) as { id: string };
  const read = () => ask<{ providerMessageId: string | null }>(`/v1/messages/${id}`);
  return { id, providerMessageId: await eventually(async () => (await read()).providerMessageId) };
}

const job = async (messageId: string, status: string, more: Fields = {}) =>
  await program.queues.addMessageStatusJob({ messageId, status, timestamp: new Date(), ...more });
/** When something last happened in a conversation; undefined before it is recorded. */
const movedAt = async (to: string) =>
  (await ask<{ updatedAt?: string }>(`/v1/conversations/${encodeURIComponent(to)}`)).updatedAt;

it('Q4 · sent, delivered and read move the message, named by the provider´s id or by ours, and the time of its conversation', async () => {
  const to = '+447700900301';
  const { id, providerMessageId } = await sentTo(to);
  let before = await eventually(() => movedAt(to));
  const times = { deliveredAt: '2030-01-01T00:00:01.000Z', readAt: '2030-01-01T00:00:02.000Z' };
  for (const [name, word, timestamp, shown] of [
    [providerMessageId, 'sent', '2030-01-01T00:00:00.000Z', { deliveredAt: null, readAt: null }],
    [id, 'Delivered', times.deliveredAt, { ...times, readAt: null }],
    [providerMessageId, 'read', times.readAt, times],
  ] as const) {
    await job(name, word, { timestamp });
    await eventually(async () => {
      expect(await ask(`/v1/messages/${id}`)).toMatchObject({ status: word.toLowerCase(), ...shown });
      return true;
    });
    before = await eventually(async () => {
      const at = await movedAt(to);
      return at !== undefined && at > before ? at : undefined;
    });
  }
  const { items } = await ask(`/v1/messages/${id}/timeline`);
  const told = (items as { event: string; detail: { source: string } }[]).filter(
    ({ detail }) => detail.source === 'provider',
  );
  expect(told.map(({ event }) => event)).toEqual(['sent', 'delivered', 'read']);
});

it('Q4 · failed moves the message and its conversation with the reason, which stands in the logs of job and program', async () => {
  const to = '+447700900302';
  const { id, providerMessageId } = await sentTo(to);
  const before = await eventually(() => movedAt(to));
  const added = await job(providerMessageId, 'failed', { error: { code: 131026, title: 'Message undeliverable' } });
  const failed = await eventually(async () => {
    const message = await ask(`/v1/messages/${id}`);
    return message['status'] === 'failed' ? message : undefined;
  });
  expect(failed['error']).toMatchObject({
    code: 'DELIVERY_FAILED',
    providerCode: '131026',
    title: 'Message undeliverable',
  });
  expect(Date.parse((await movedAt(to)) ?? '')).toBeGreaterThan(Date.parse(before));
  const { logs } = await program.queues.bullQueue('message-status').getJobLogs(added.id);
  expect(logs.join()).toContain('131026 Message undeliverable');
  expect(lines).toContainEqual(
    expect.objectContaining({
      msg: 'a message was not delivered',
      messageId: `…${providerMessageId.slice(-12)}`, // all of it may hold the recipient's number
      providerCode: '131026',
    }),
  );
});

it('Q4 · a job of a message that is not there is tried five times, and failed with the reason', async () => {
  const added = await job(newId(), 'delivered');
  const kept = await eventually(async () => {
    const found = await program.queues.bullQueue('message-status').getJob(added.id);
    return found?.finishedOn === undefined ? undefined : found;
  });
  expect(await kept.getState()).toBe('failed');
  expect(kept.attemptsMade).toBe(5);
  expect(kept.failedReason).toBe('There is no message with this id (yet).');
});
