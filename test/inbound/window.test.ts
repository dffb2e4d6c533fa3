import { createHmac } from 'node:crypto';
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest';
import { eventually } from '../support/services.ts';
import { cloudBody, cloudMessage } from './support/cloud.ts';
import { PHONE_NUMBER_ID, startWorld, type World } from './support.ts';

let world: World;
beforeAll(async () => {
  world = await startWorld({ ON_WINDOW_CLOSED: 'fail' });
}, 60_000);
afterAll(() => world.stop());

async function write(from: string, atMs: number, to = world): Promise<void> {
  const message = cloudMessage({ from, timestamp: String(Math.floor(atMs / 1000)) });
  const body = cloudBody({ messages: [message] }, PHONE_NUMBER_ID);
  const signature = createHmac('sha256', 'app-secret').update(body).digest('hex');
  const headers = { 'content-type': 'application/json', 'x-hub-signature-256': `sha256=${signature}` };
  const answer = await fetch(`${to.url}/webhooks/whatsapp/cloud`, { method: 'POST', body, headers });
  expect(answer.status).toBe(200);
}
async function call(method: string, path: string, body?: unknown): Promise<Record<string, unknown>> {
  return (await world.call(method, path, body)).body;
}
const windowOf = async (id: string) =>
  (await call('GET', `/v1/conversations/${encodeURIComponent(id)}`))['window'] as { open: boolean } | undefined;
async function end(to: string, more: Record<string, unknown>, conversation?: string) {
  const { id } = await call('POST', '/v1/messages', {
    to,
    ...(conversation === undefined ? {} : { conversation }),
    ...more,
  });
  return await eventually(
    async () => {
      const message = await call('GET', `/v1/messages/${String(id)}`);
      return ['queued', 'sending'].includes(String(message['status'])) ? undefined : message;
    },
    { timeoutMs: 10_000 },
  );
}
const text = { type: 'text', text: { body: 'hi' } };
const DAY_MS = 86_400_000;

it('ON_WINDOW_CLOSED=fail: known to be closed, a free-form message fails before it is sent; a template goes', async () => {
  await write('4915100000011', Date.now() - 2 * DAY_MS);
  await eventually(async () => (await windowOf('+4915100000011'))?.open === false);
  const failed = await end('+4915100000011', text);
  expect(failed).toMatchObject({ status: 'failed', attempts: 0, error: { code: 'WINDOW_CLOSED', retryable: false } });
  // Also in a conversation of the caller's own name: the window is the person's.
  expect(await end('+4915100000011', text, 'order-17')).toMatchObject({ error: { code: 'WINDOW_CLOSED' } });
  expect(world.emulator.ledger().filter(({ to }) => to.includes('4915100000011'))).toEqual([]);
  const template = { type: 'template', template: { name: 'hello', language: { code: 'en' } } };
  expect((await end('+4915100000011', template))['error']).toBeNull();
});

it('when the person writes, the next one goes; a stranger counts as open', async () => {
  await write('4915100000011', Date.now());
  // Whichever of their conversations it goes to, the window is open in each of them.
  for (const id of ['+4915100000011', 'order-17']) await eventually(async () => (await windowOf(id))?.open === true);
  expect((await end('+4915100000011', text))['error']).toBeNull();
  expect((await end('+4915100000012', text))['error']).toBeNull();
});

it('ON_WINDOW_CLOSED=fail holds on the way past the queue too', async () => {
  const past = await startWorld({ ON_WINDOW_CLOSED: 'fail', WHATSAPP_SEND_QUEUE_ENABLED: 'false' });
  onTestFinished(() => past.stop());
  const [closed, unknown] = ['+4915100000013', '+4915100000014'];
  await write('4915100000013', Date.now() - 2 * DAY_MS, past);
  await eventually(
    async () => (await past.call('GET', `/v1/conversations/${encodeURIComponent(closed)}`)).status === 200,
  );
  const send = async (to: string) => await past.call('POST', '/api/whatsapp/send', { phoneNumber: to, text: 'hi' });
  expect(await send(closed)).toMatchObject({ status: 422, body: { code: 'DIRECT_REFUSED' } });
  expect((await send(unknown)).status).toBe(202);
  expect(past.emulator.ledger().map(({ to }) => to)).toEqual([unknown]);
});
