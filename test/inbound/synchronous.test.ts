import { afterAll, beforeAll, expect, it } from 'vitest';
import { sql } from '../support/postgres.ts';
import { eventually } from '../support/services.ts';
import { type Receiver, EVENTS_SECRET, postWebhook, startReceiver, startWorld, type World } from './support.ts';

let world: World;
let product: Receiver;
beforeAll(async () => {
  product = await startReceiver();
  world = await startWorld({ WHATSAPP_ASYNC_PROCESSING: 'false', EVENTS_URL: product.url, EVENTS_SECRET });
});
afterAll(async () => {
  await world.stop();
  await product.close();
});

const rows = () => sql<{ provider_message_id: string }>(world.databaseUrl, 'select * from inbound_messages');

it('P1 · WHATSAPP_ASYNC_PROCESSING=false: the message is in the record before the 200, and is told once', async () => {
  await postWebhook(world.url, '+447700900401', 'wamid.now.1', 'hello');
  expect(await rows()).toHaveLength(1);
  await eventually(() => product.received.length === 1);
  await Promise.all([1, 2, 3].map(() => postWebhook(world.url, '+447700900401', 'wamid.now.1', 'hello')));
  await Promise.all(
    Array.from({ length: 30 }, (_, index) => postWebhook(world.url, '+447700900402', `wamid.now.m${index}`, 'hello')),
  );
  expect(await rows()).toHaveLength(31);
  await eventually(() => product.received.length >= 31);
  expect(new Set(product.received.map(({ body }) => body.data['providerMessageId'])).size).toBe(31);
  expect(product.received).toHaveLength(31);
});

it('P9 · what cannot be done at once is queued all the same, and the answer is 200', async () => {
  await sql(world.databaseUrl, 'alter table inbound_messages rename to inbound_messages_away');
  await postWebhook(world.url, '+447700900403', 'wamid.now.2', 'later');
  await sql(world.databaseUrl, 'alter table inbound_messages_away rename to inbound_messages');
  await eventually(async () => (await rows()).some((row) => row.provider_message_id === 'wamid.now.2'), {
    timeoutMs: 20_000,
  });
});
