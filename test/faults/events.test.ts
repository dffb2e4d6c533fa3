import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { Program, type Settings } from './harness/program.ts';
import { sql } from '../support/postgres.ts';
import { eventually, testDatabase, testRedis } from '../support/services.ts';
import { EVENTS_SECRET, PHONE_NUMBER_ID, postWebhook, type Receiver, startReceiver } from '../inbound/support.ts';

let product: Receiver;
let settings: Settings;
let databaseUrl: string;
const running: Program[] = [];
beforeAll(async () => {
  const [redis, database] = await Promise.all([testRedis(), testDatabase()]);
  databaseUrl = database.url;
  product = await startReceiver();
  settings = {
    HOST: '127.0.0.1',
    PORT: '0',
    LOG_LEVEL: 'warn',
    WAXWING_DATA_DIR: mkdtempSync(join(inject('waxwingRunFolder'), 'data-')),
    REDIS_URL: redis.url,
    DATABASE_URL: database.url,
    WAXWING_API_KEY: 'events-test-platform-key-of-32-letters',
    JWT_SECRET: 'events-test-jwt-secret-of-thirty-two-letters',
    WAXWING_SECRET_KEY: 'events-test-secret-key-of-thirty-two-letters',
    WHATSAPP_PHONE_NUMBER_ID: PHONE_NUMBER_ID,
    WHATSAPP_ACCESS_TOKEN: 'token',
    WHATSAPP_APP_SECRET: 'app-secret',
    EVENTS_URL: product.url,
    EVENTS_SECRET,
    DANGEROUSLY_ALLOW_PRIVATE_EVENTS_URL: 'true',
  };
}, 60_000);
afterAll(async () => {
  await Promise.all(running.map((program) => program.stop()));
  await product.close();
});

const MESSAGES = 120;

test('F37 · F01 · a process killed while it delivers events: none is lost, and a repeat has the same webhook-id', async () => {
  // Slow enough that some attempts are always under way.
  product.answer = () => ({ waitMs: 400 });
  const first = await Program.start('all', settings);
  running.push(first);
  for (let index = 0; index < MESSAGES; index += 1) {
    await postWebhook(first.url, `+44770090${String(index).padStart(4, '0')}`, `wamid.killed.${index}`, 'hello');
  }
  await eventually(() => product.received.length >= 20, { timeoutMs: 20_000 });
  await first.kill();
  running.splice(0);
  const told = product.received.length;
  expect(told).toBeLessThan(MESSAGES);

  product.answer = () => ({});
  running.push(await Program.start('all', settings));
  const messages = () => new Set(product.received.map(({ body }) => String(body.data['providerMessageId'])));
  // Jobs that it held are taken over after 8 s at most, events after the 30 s of their lease.
  await eventually(() => messages().size === MESSAGES, { timeoutMs: 60_000 });
  const ids = new Map<string, Set<string>>();
  for (const { headers, body } of product.received) {
    const id = String(body.data['providerMessageId']);
    ids.set(id, (ids.get(id) ?? new Set()).add(String(headers['webhook-id'])));
  }
  expect([...ids.values()].filter((of) => of.size !== 1)).toEqual([]);
  await eventually(
    async () => (await sql(databaseUrl, `select 1 from event_outbox where state <> 'delivered'`)).length === 0,
    { timeoutMs: 40_000 },
  );
  console.info(`${told} told before the kill, ${product.received.length - MESSAGES} told twice`);
}, 150_000);
