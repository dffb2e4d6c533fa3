import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Emulator, startEmulator } from '../../src/emulator/index.ts';
import type { Program } from '../../src/program/start-program.ts';
import { createTwilioTemplates } from '../../src/providers/twilio/templates.ts';
import { programSettings, runProgram } from '../support/program.ts';
import { eventually, testDatabase, testRedis } from '../support/services.ts';

/* T1 · The whole way: API, registry, a provider (the emulator), webhooks, engine, worker. */

let program: Program;
let emulator: Emulator;

beforeAll(async () => {
  const [server, database] = await Promise.all([testRedis(), testDatabase()]);
  emulator = await startEmulator({
    appSecret: 'app-secret',
    accessToken: 'token',
    settings: { statuses: { enabled: false } },
  });
  const settings = programSettings(
    { redis: { url: `${server.url}/1` }, database, emulator },
    {
      WAXWING_API_KEY: 'platform-key-of-these-tests',
      WAXWING_SECRET_KEY: 'secret-key-of-these-tests-32-chars-long',
      JWT_SECRET: 'jwt-secret-of-these-tests-32-characters',
      WHATSAPP_PHONE_NUMBER_ID: '1000',
      WHATSAPP_BUSINESS_ACCOUNT_ID: emulator.settings().businessAccountId,
      WHATSAPP_QUEUE_INTERVAL: '5',
    },
  );
  program = await runProgram(settings);
  emulator.patch({ webhook: { url: `${program.server?.url ?? ''}/webhooks/whatsapp/cloud` } });
});
afterAll(async () => {
  await program.stop();
  await emulator.stop();
});

interface Answer {
  readonly status: number;
  readonly body: Record<string, unknown>;
}
async function call(method: string, path: string, body?: object, key = 'platform-key-of-these-tests'): Promise<Answer> {
  const answer = await fetch(`${program.server?.url ?? ''}${path}`, {
    method,
    headers: { authorization: `Bearer ${key}`, ...(body && { 'content-type': 'application/json' }) },
    ...(body && { body: JSON.stringify(body) }),
  });
  return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
}
async function review(name: string, status: string, webhook = true) {
  const answer = await fetch(`${emulator.url}/_emulator/templates/status`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ name, language: 'en', status, reason: 'QUALITY', webhook }),
  });
  expect(answer.status).toBe(200);
}
async function made(key: string, body = 'Dear {{name}}, see you at {{time}}.') {
  const names = [...body.matchAll(/\{\{(\w+)\}\}/g)].map((found) => found[1] ?? '');
  const examples: Record<string, string> = {};
  for (const name of names) examples[name] = 'Ada';
  const answer = await call('POST', '/v1/templates', { key, language: 'en', category: 'UTILITY', body, examples });
  expect(answer).toMatchObject({ status: 201, body: { key, status: 'PENDING', provider: 'cloud' } });
  return String(answer.body['id']);
}
const until = (id: string, status: string) =>
  eventually(async () => expect((await call('GET', `/v1/templates/${id}`)).body['status']).toBe(status), {
    timeoutMs: 5000,
  });
let people = 0;
async function send(message: object) {
  people += 1;
  const to = `+4915112${String(100000 + people)}`;
  const { status, body } = await call('POST', '/v1/messages', { tenant: 'salon1', to, ...message });
  expect(status).toBe(202);
  return String(body['id']);
}
const templateMessage = (name: string) => ({ type: 'template', template: { name, language: { code: 'en' } } });
const view = async (id: string) => (await call('GET', `/v1/messages/${id}`)).body;
const becomes = (id: string, wanted: object) =>
  eventually(async () => expect(await view(id)).toMatchObject(wanted), { timeoutMs: 8000 });

describe('T1 · template registry', () => {
  it('makes a template at the provider, follows its review, and shows it filled in', async () => {
    const id = await made('Booking.Reminder');
    await review('booking_reminder', 'APPROVED');
    await until(id, 'APPROVED');
    const { body } = await call('GET', `/v1/templates/${id}`);
    expect(body).toMatchObject({
      name: 'booking_reminder',
      variables: [
        { component: 'body', name: 'name', example: 'Ada' },
        { component: 'body', name: 'time', example: 'Ada' },
      ],
    });
    expect(body['syncedAt']).not.toBeNull();
    const path = `/v1/templates/${id}/preview`;
    const shown = await call('POST', path, { variables: { name: 'Ada', time: '10:30' } });
    expect(shown.body).toMatchObject({ body: 'Dear Ada, see you at 10:30.' });
    const sent = await send({ type: 'template', template: shown.body['template'] });
    await becomes(sent, { status: 'sent' });
    expect(await call('POST', path, { variables: { name: 'Ada' } })).toMatchObject({
      status: 400,
      body: { field: 'variables.time' },
    });
    const twice = { key: 'Booking.Reminder', language: 'en', category: 'UTILITY', body: 'Hello' };
    expect(await call('POST', '/v1/templates', twice)).toMatchObject({ status: 409, body: { code: 'CONFLICT' } });
    const refused = await call('POST', '/v1/templates', { ...twice, key: 'other', name: 'booking_reminder' });
    expect([409, 422]).toContain(refused.status);
  });

  it('a paused template holds its messages alone, with the hold shown, until the provider frees it', async () => {
    const id = await made('promo', 'Ten per cent off.');
    await review('promo', 'APPROVED');
    await until(id, 'APPROVED');
    await review('promo', 'PAUSED');
    await until(id, 'PAUSED');
    const held = await send(templateMessage('promo'));
    const other = await send({ type: 'text', text: { body: 'Hello' } });
    await becomes(other, { status: 'sent' });
    await becomes(held, { status: 'queued', attempts: 0, hold: { kind: 'template-paused', until: null } });
    expect((await call('GET', `/v1/templates/${id}`)).body['reason']).toBe('QUALITY');
    await review('promo', 'APPROVED');
    await becomes(held, { status: 'sent', hold: null });
  });

  it('an attempt that is told "paused" has the same effect, and a sync frees what a lost webhook did not', async () => {
    const id = await made('news', 'News.');
    await review('news', 'APPROVED');
    await until(id, 'APPROVED');
    await review('news', 'PAUSED', false);
    const first = await send(templateMessage('news'));
    await becomes(first, { status: 'queued', attempts: 1, hold: { kind: 'template-paused' } });
    await until(id, 'PAUSED');
    const second = await send(templateMessage('news'));
    await becomes(second, { attempts: 0, hold: { kind: 'template-paused' } });
    await review('news', 'APPROVED', false);
    expect(await call('POST', '/v1/templates/sync', {})).toMatchObject({ status: 200, body: { changed: 1 } });
    await becomes(first, { status: 'sent', attempts: 2 });
    await becomes(second, { status: 'sent' });
  });

  it('a sync adds what was made elsewhere; a tenant sees the platform´s templates and cannot make shared ones', async () => {
    const { templates } = emulator.settings();
    emulator.patch({
      templates: [...(templates ?? []), { name: 'from_manager', language: 'de', body: 'Hallo {{1}}' }],
    });
    expect((await call('POST', '/v1/templates/sync', {})).body).toMatchObject({ added: 1 });
    const page = await call('GET', '/v1/templates?key=from_manager');
    expect(page.body['items']).toMatchObject([{ status: 'APPROVED', tenant: null, variables: [{ name: '1' }] }]);
    const { key } = await program.record.apiKeys.create({ name: 'test', tenant: 'salon1' });
    const seen = await call('GET', '/v1/templates?key=from_manager', undefined, key);
    expect(seen.body['items']).toHaveLength(1);
    const draft = { key: 'mine', language: 'en', category: 'UTILITY', body: 'Hello' };
    expect((await call('POST', '/v1/templates', draft, key)).status).toBe(403);
  });
});

describe('T1 · Twilio Content', () => {
  it('makes a content, hands it in for approval, and reads contents page by page', async () => {
    const seen: { method: string; url: string; body: unknown; authorization: string }[] = [];
    const sid = `HX${'a'.repeat(32)}`;
    const content = (n: number, status: string) => ({
      sid: `HX${String(n).padStart(32, '0')}`,
      friendly_name: `t${n}`,
      language: 'en',
      types: { 'twilio/quick-reply': { body: 'Hi {{1}}', actions: [{ title: 'Yes', id: 'y' }] } },
      approval_requests: { status, category: 'UTILITY', rejection_reason: status === 'rejected' ? 'spam' : '' },
    });
    const server = createServer((request, response) => {
      let text = '';
      request.on('data', (chunk: Buffer) => (text += chunk.toString()));
      request.on('end', () => {
        const url = request.url ?? '';
        const { authorization = '' } = request.headers;
        seen.push({ method: request.method ?? '', url, body: text === '' ? null : JSON.parse(text), authorization });
        const next = { meta: { next_page_url: `https://content.twilio.com/v1/ContentAndApprovals?Page=1` } };
        const answer =
          request.method === 'GET'
            ? url.includes('Page=1')
              ? { contents: [content(2, 'rejected')], meta: { next_page_url: null } }
              : { contents: [content(1, 'approved')], ...next }
            : url.endsWith('/whatsapp')
              ? { status: 'received' }
              : { sid };
        response.setHeader('content-type', 'application/json');
        response.end(JSON.stringify(answer));
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      const twilio = createTwilioTemplates();
      const account = {
        apiUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
        accountId: 'AC1',
        credentials: { accountSid: 'AC1', authToken: 'secret' },
      };
      const body = { type: 'BODY', text: 'Hi {{1}}', example: { body_text: [['Ada']] } };
      const made = await twilio.create(account, {
        name: 'Hello',
        language: 'en',
        category: 'UTILITY',
        components: [body],
      });
      expect(made).toMatchObject({ providerId: sid, status: 'PENDING' });
      expect(seen[0]?.body).toEqual({
        friendly_name: 'Hello',
        language: 'en',
        variables: { 1: 'Ada' },
        types: { 'twilio/text': { body: 'Hi {{1}}' } },
      });
      expect(seen[1]).toMatchObject({ url: `/v1/Content/${sid}/ApprovalRequests/whatsapp`, body: { name: 'hello' } });
      expect(seen[0]?.authorization).toBe(`Basic ${Buffer.from('AC1:secret').toString('base64')}`);
      expect(await twilio.list(account)).toMatchObject([
        { name: 't1', status: 'APPROVED', components: [{ type: 'BODY', text: 'Hi {{1}}' }, { type: 'BUTTONS' }] },
        { name: 't2', status: 'REJECTED', reason: 'spam' },
      ]);
    } finally {
      server.close();
    }
  });
});
