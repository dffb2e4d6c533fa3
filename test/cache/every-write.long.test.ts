import { createHmac } from 'node:crypto';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DUE } from '../../src/cache/keys.ts';
import { type Emulator, startEmulator } from '../../src/emulator/index.ts';
import type { Program } from '../../src/program/start-program.ts';
import { programSettings, runProgram } from '../support/program.ts';
import { eventually, testDatabase, testRedis } from '../support/services.ts';

/*
 * C4 · Every write that shows on a dashboard, a conversation, a contact or a template, through its route or the
 * provider's webhook, and what both processes have after it. Tenants, senders and keys are in invalidation.test.ts.
 */

const KEY = 'platform-key-of-these-tests';
const SECRET = 'app-secret';
let emulator: Emulator;
let redis: Redis;
/** `a` writes and works, `b` is read. */
let a: Program;
let b: Program;

beforeAll(async () => {
  const [server, database] = await Promise.all([testRedis(), testDatabase()]);
  redis = new Redis(server.url);
  emulator = await startEmulator({
    appSecret: SECRET,
    accessToken: 'token',
    settings: { statuses: { enabled: false } },
  });
  const settings = programSettings(
    { redis: { url: `${server.url}/1` }, database, emulator },
    {
      WAXWING_API_KEY: KEY,
      WAXWING_SECRET_KEY: 'secret-key-of-these-tests-32-chars-long',
      JWT_SECRET: 'jwt-secret-of-these-tests-32-characters',
      WHATSAPP_PHONE_NUMBER_ID: '1000',
      WHATSAPP_BUSINESS_ACCOUNT_ID: emulator.settings().businessAccountId,
    },
  );
  a = await runProgram(settings);
  b = await runProgram(settings, 'web');
  emulator.patch({ webhook: { url: `${a.server?.url ?? ''}/webhooks/whatsapp/cloud` } });
});
afterAll(async () => {
  redis.disconnect();
  await Promise.all([a.stop(), b.stop()]);
  await emulator.stop();
});

async function call(method: string, path: string, body?: object, program = a) {
  const answer = await fetch(`${program.server?.url ?? ''}${path}`, {
    method,
    headers: { authorization: `Bearer ${KEY}`, ...(body && { 'content-type': 'application/json' }) },
    ...(body && { body: JSON.stringify(body) }),
  });
  const told = { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
  expect(told).toMatchObject({ status: expect.toSatisfy((status: number) => status < 300) as number });
  return told.body;
}

/** Meta's POST for one change. */
async function webhook(field: string, value: object) {
  const metadata = { phone_number_id: '1000' };
  const change = { field, value: { messaging_product: 'whatsapp', metadata, ...value } };
  const entry = [{ id: emulator.settings().businessAccountId, changes: [change] }];
  const body = JSON.stringify({ object: 'whatsapp_business_account', entry });
  const signature = `sha256=${createHmac('sha256', SECRET).update(body).digest('hex')}`;
  const answer = await fetch(`${a.server?.url ?? ''}/webhooks/whatsapp/cloud`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-hub-signature-256': signature },
    body,
  });
  expect(answer.status).toBe(200);
}

const seconds = () => String(Math.floor(Date.now() / 1000));
/** No eviction is owed, so that none of an earlier write can pass for one of the next. */
const isQuiet = () => eventually(async () => (expect(await redis.zcard(DUE)).toBe(0), true), { timeoutMs: 8000 });

interface Shown {
  readonly dashboards?: string;
  readonly conversation?: string;
  readonly contact?: string;
}

/** Puts what shows these into the caches of both processes, writes, and waits until nobody has any of it. */
async function evicts({ dashboards, conversation, contact }: Shown, write: () => Promise<unknown>) {
  await isQuiet();
  const kept = ({ caches: { service } }: Program) => [
    ...(dashboards === undefined
      ? []
      : [
          service.getDashboardStats('owner1'),
          service.getDashboardStats('owner1', dashboards),
          service.named.dashboardRange.get('owner1', dashboards, '1', '2', 'UTC'),
        ]),
    ...(conversation === undefined
      ? []
      : [service.getConversation(conversation), service.named.conversationHistory.get(conversation)]),
    ...(contact === undefined ? [] : [service.named.userMapping.get(contact)]),
  ];
  const { service } = a.caches;
  if (dashboards !== undefined) {
    await service.setDashboardStats('owner1', { old: true });
    await service.setDashboardStats('owner1', { old: true }, dashboards);
    await service.named.dashboardRange.set(['owner1', dashboards, '1', '2', 'UTC'], { old: true });
  }
  if (conversation !== undefined) {
    await service.setConversation(conversation, { old: true });
    await service.named.conversationHistory.set([conversation], { old: true });
  }
  if (contact !== undefined) await service.named.userMapping.set([contact], { old: true });
  for (const program of [a, b]) expect(await Promise.all(kept(program))).not.toContain(undefined);
  await write();
  for (const program of [a, b]) {
    const gone = async () => (expect(new Set(await Promise.all(kept(program)))).toEqual(new Set([undefined])), true);
    await eventually(gone);
  }
}

interface Figures {
  readonly messages: { readonly total: number; readonly received: number; readonly byStatus: Record<string, number> };
  readonly bookings: { readonly active: number; readonly cancelled: number };
}
const TOMORROW = new Date(Date.now() + 86_400_000).toISOString();
/** What `GET /v1/stats` says in both processes, of a range that has tomorrow's bookings in it too. */
async function shows(tenant: string, read: (figures: Figures) => unknown, wanted: unknown) {
  for (const program of [a, b]) {
    const same = async () => {
      const path = `/v1/stats?tenant=${tenant}&to=${TOMORROW}`;
      const figures = await call('GET', path, undefined, program);
      return (expect(read(figures as unknown as Figures)).toEqual(wanted), true);
    };
    await eventually(same);
  }
}

describe('C4 · no stale bookings', () => {
  const TENANT = 'booked';
  const counts = ({ bookings }: Figures) => [bookings.active, bookings.cancelled];
  const at = (minutes: number) => new Date(Date.now() + minutes * 60_000).toISOString();
  it('made, changed, cancelled', async () => {
    await shows(TENANT, counts, [0, 0]);
    const fields = { customerPhone: '+4915112345678', serviceName: 'Cut', serviceDate: at(10) };
    const booking = { tenant: TENANT, id: 'b1', ...fields };
    await evicts({ dashboards: TENANT }, () => call('POST', '/v1/bookings', booking));
    await shows(TENANT, counts, [1, 0]);
    const change = { serviceName: 'Colour', serviceDate: at(20) };
    await evicts({ dashboards: TENANT }, () => call('PATCH', `/v1/bookings/b1?tenant=${TENANT}`, change));
    await shows(TENANT, counts, [1, 0]);
    await evicts({ dashboards: TENANT }, () => call('DELETE', `/v1/bookings/b1?tenant=${TENANT}`));
    await shows(TENANT, counts, [0, 1]);
  });
});

describe('C4 · no stale messages', () => {
  const TENANT = 'written';
  const to = '+4915112345001';
  const text = (body: string, more: object = {}) => ({ tenant: TENANT, to, type: 'text', text: { body }, ...more });
  const counts = ({ messages }: Figures) => [messages.total, messages.received];
  const becomes = (id: unknown, status: string) =>
    eventually(async () => expect(await call('GET', `/v1/messages/${String(id)}`)).toMatchObject({ status }), {
      timeoutMs: 8000,
    });

  it('sent alone, in a batch, later; cancelled; delivered', async () => {
    await shows(TENANT, counts, [0, 0]);
    const shown = { dashboards: TENANT, conversation: to };
    let id: unknown;
    await evicts(shown, async () => {
      ({ id } = await call('POST', '/v1/messages', text('Hello')));
    });
    await becomes(id, 'sent');
    await shows(TENANT, counts, [1, 0]);
    await evicts(shown, () => call('POST', '/v1/messages/batch', { messages: [text('One'), text('Two')] }));
    await shows(TENANT, ({ messages }) => [messages.total, messages.byStatus['sent']], [3, 3]);
    const sendAt = new Date(Date.now() + 3_600_000).toISOString();
    let later: unknown;
    await evicts(shown, async () => {
      ({ id: later } = await call('POST', '/v1/messages', text('Later', { sendAt })));
    });
    await shows(TENANT, ({ messages }) => [messages.total, messages.byStatus['scheduled']], [4, 1]);
    await evicts(shown, () => call('DELETE', `/v1/messages/${String(later)}`));
    await shows(TENANT, ({ messages }) => [messages.byStatus['scheduled'], messages.byStatus['cancelled']], [0, 1]);
    const { providerMessageId } = await call('GET', `/v1/messages/${String(id)}`);
    const status = { id: providerMessageId, status: 'delivered', timestamp: seconds(), recipient_id: to.slice(1) };
    await evicts(shown, () => webhook('messages', { statuses: [status] }));
    await shows(TENANT, ({ messages }) => [messages.byStatus['sent'], messages.byStatus['delivered']], [2, 1]);
  });

  it('received, read, of a person whose name or wish is another one', async () => {
    const shown = { dashboards: TENANT, conversation: to, contact: to };
    const wa_id = to.slice(1);
    const writes = (id: string, name: string) =>
      webhook('messages', {
        contacts: [{ wa_id, profile: { name } }],
        messages: [{ id, from: wa_id, timestamp: seconds(), type: 'text', text: { body: 'Hi' } }],
      });
    await evicts(shown, () => writes('wamid.in1', 'Ada'));
    await shows(TENANT, counts, [4, 1]);
    await evicts(shown, () => writes('wamid.in2', 'Ada Lovelace'));
    await shows(TENANT, counts, [4, 2]);
    const path = `/v1/conversations/${encodeURIComponent(to)}`;
    const found = await call('GET', `/v1/conversations?tenant=${TENANT}`);
    const [conversation] = found['items'] as { sender: string; unread: number }[];
    expect(conversation?.unread).toBe(2);
    const of = `tenant=${TENANT}&sender=${conversation?.sender ?? ''}`;
    await evicts({ conversation: to }, () => call('POST', `${path}/read?${of}`, {}));
    const wish = { wa_id, category: 'marketing_messages', value: 'stop', timestamp: seconds() };
    await evicts({ contact: to }, () => webhook('user_preferences', { user_preferences: [wish] }));
  });
});

describe('C4 · no stale templates', () => {
  const status = async (id: unknown, program: Program) =>
    (await call('GET', `/v1/templates/${String(id)}`, undefined, program))['status'];
  const both = async (id: unknown, wanted: string) => {
    for (const program of [a, b]) {
      const same = async () => (expect(await status(id, program)).toBe(wanted), true);
      await eventually(same);
    }
  };
  const review = (word: string, isTold: boolean) =>
    fetch(`${emulator.url}/_emulator/templates/status`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ name: 'welcome', language: 'en', status: word, reason: 'QUALITY', webhook: isTold }),
    });

  it('made, told of by the webhook, synced', async () => {
    const draft = { key: 'welcome', language: 'en', category: 'UTILITY', body: 'Hello.' };
    const { id } = await call('POST', '/v1/templates', draft);
    await both(id, 'PENDING');
    await review('APPROVED', true);
    await both(id, 'APPROVED');
    await review('PAUSED', false);
    await both(id, 'APPROVED');
    await call('POST', '/v1/templates/sync', {});
    await both(id, 'PAUSED');
  });
});
