import { afterAll, beforeAll, expect, it } from 'vitest';
import { startEmulator, type Emulator } from '../../src/emulator/index.ts';
import type { Program } from '../../src/program/start-program.ts';
import { sql } from '../support/postgres.ts';
import { callProgram, programSettings, runProgram } from '../support/program.ts';
import { eventually, testDatabase, testRedis } from '../support/services.ts';
import { cloudBody, cloudMessage, signatureOf } from './support/cloud.ts';

/* One process takes webhooks in and makes senders, another one reads the webhooks. */

let emulator: Emulator;
let web: Program;
let worker: Program;
let databaseUrl: string;

beforeAll(async () => {
  const [redis, database] = await Promise.all([testRedis(), testDatabase()]);
  databaseUrl = database.url;
  emulator = await startEmulator({ appSecret: 'app-secret' });
  const settings = programSettings({ redis, database, emulator });
  web = await runProgram(settings, 'web');
  worker = await runProgram(settings, 'worker');
});
afterAll(async () => {
  await Promise.all([web.stop(), worker.stop()]);
  await emulator.stop();
});

/** @returns whose the message is: its sender, or `foreign` when it is nobody's */
async function writtenTo(externalId: string): Promise<string> {
  const message = cloudMessage();
  const foreignBefore = await countForeign();
  const body = cloudBody({ messages: [message] }, externalId);
  const answer = await fetch(`${web.server?.url ?? ''}/webhooks/whatsapp/cloud`, {
    method: 'POST',
    body,
    headers: { 'content-type': 'application/json', 'x-hub-signature-256': signatureOf(body, 'app-secret') },
  });
  expect(answer.status).toBe(200);
  return await eventually(async () => {
    const [row] = await sql<{ sender: string }>(
      databaseUrl,
      'select sender from inbound_messages where provider_message_id = $1',
      [message['id']],
    );
    return row?.sender ?? ((await countForeign()) > foreignBefore ? 'foreign' : undefined);
  });
}

async function countForeign(): Promise<number> {
  const rows = await sql<{ n: number }>(
    databaseUrl,
    `select count(*)::integer as n from provider_events where kind = 'foreign'`,
  );
  return rows[0]?.n ?? 0;
}

it("C4 · Q3 · what comes in for a number that was nobody's is its sender's as soon as it has one", async () => {
  expect(await writtenTo('200')).toBe('foreign');
  const sender = { id: 'first', provider: 'cloud', externalId: '200', credentials: { accessToken: 'x' } };
  expect((await callProgram(web, '/admin/senders', sender)).status).toBe(201);
  expect(await writtenTo('200')).toBe('first');
});
