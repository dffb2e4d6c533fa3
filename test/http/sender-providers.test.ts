import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startApi, type Api } from './support/api.ts';

const SID = `AC${'0a'.repeat(16)}`;
let api: Api;
let admin: string;
beforeAll(async () => {
  api = await startApi();
  admin = await api.token('admin');
});
afterAll(() => api.close());

const create = (body: Record<string, unknown>) => api.call({ method: 'POST', url: '/admin/senders', body, as: admin });
const change = (id: string, body: Record<string, unknown>) =>
  api.call({ method: 'PATCH', url: `/admin/senders/${id}`, body, as: admin });
const send = (sender: string, body: Record<string, unknown>) =>
  api.call({ method: 'POST', url: '/v1/messages', body: { tenant: 'salon', to: '+4915112345678', sender, ...body } });

const evolution = {
  id: 'evo',
  provider: 'evolution',
  externalId: 'salon 1',
  apiUrl: 'http://evolution:8080',
  credentials: { apiKey: 'key', webhookToken: 'word' },
};
const twilio = {
  id: 'tw',
  provider: 'twilio',
  externalId: 'whatsapp:+14155238886',
  apiUrl: 'https://api.twilio.com',
  credentials: { accountSid: SID, authToken: 'token' },
};

describe('R7 · senders of all three providers', () => {
  it('creates them, with write-only credentials and one form of a number', async () => {
    const made = [await create(evolution), await create(twilio)];
    expect(made.map(({ statusCode }) => statusCode)).toEqual([201, 201]);
    expect(made.map((answer) => answer.json<Record<string, unknown>>())).toMatchObject([
      { provider: 'evolution', externalId: 'salon 1', channel: null },
      { provider: 'twilio', externalId: '+14155238886', channel: null },
    ]);
    for (const { body } of made) expect(body).not.toMatch(/"key"|"token"|"word"/);
    expect((await api.record.senders.findByExternalId('twilio', '+14155238886'))?.id).toBe('tw');
    expect((await api.record.senders.getWithCredentials('evo'))?.credentials).toEqual(evolution.credentials);
  });

  it.each<[string, Record<string, unknown>]>([
    ['provider', { ...evolution, id: 'x', provider: 'signal' }],
    ['credentials.apiKey', { ...evolution, id: 'x', credentials: {} }],
    ['credentials', { ...evolution, id: 'x', credentials: { apiKey: 'a', accessToken: 'b' } }],
    ['externalId', { ...evolution, id: 'x', externalId: '../admin' }],
    ['apiUrl', { ...evolution, id: 'x', apiUrl: undefined }],
    ['channel', { ...evolution, id: 'x', channel: 'sms' }],
    ['credentials.accountSid', { ...twilio, id: 'x', credentials: { accountSid: 'AC1', authToken: 't' } }],
    [
      'credentials.apiKeySecret',
      { ...twilio, id: 'x', credentials: { ...twilio.credentials, apiKeySid: `SK${'0a'.repeat(16)}` } },
    ],
    ['externalId', { ...twilio, id: 'x', externalId: '14155238886' }],
  ])('refuses with the field %s', async (field, body) => {
    const refused = await create(body);
    expect(refused.statusCode).toBe(400);
    expect(refused.json<{ field: string }>().field).toMatch(new RegExp(`^${field.replaceAll('.', '\\.')}`));
  });

  it("a change is checked against the sender's provider", async () => {
    expect((await change('evo', { channel: 'cloud', credentials: { apiKey: 'new' } })).json()).toMatchObject({
      channel: 'cloud',
    });
    expect((await api.record.senders.getWithCredentials('evo'))?.credentials).toEqual({ apiKey: 'new' });
    expect((await change('evo', { credentials: twilio.credentials })).json()).toMatchObject({ field: 'credentials' });
    expect((await change('tw', { channel: 'cloud' })).json()).toMatchObject({ field: 'channel' });
    await change('evo', { channel: 'baileys' });
  });

  it('refuses what the provider cannot say, by its name, before anything is stored', async () => {
    const template = { type: 'template', template: { name: 'hello', language: { code: 'en' } } };
    const refused = [
      await send('tw', template),
      await send('evo', template),
      await send('evo', { type: 'image', image: { id: '123' } }),
      await send('tw', { type: 'reaction', reaction: { message_id: 'SM1', emoji: '👍' } }),
    ];
    expect(refused.map((answer) => answer.statusCode)).toEqual([422, 422, 422, 422]);
    const problems = refused.map((answer) => answer.json<{ code: string; field: string; detail: string }>());
    expect(problems.map(({ code }) => code)).toEqual(Array.from({ length: 4 }, () => 'MESSAGE_UNSUPPORTED'));
    expect(problems.map(({ field }) => field)).toEqual(['template.name', 'type', 'image.id', 'type']);
    expect(problems.map(({ detail }) => /Twilio|Evolution/.exec(detail)?.[0])).toEqual([
      'Twilio',
      'Evolution',
      'Evolution',
      'Twilio',
    ]);
    const listed = await api.call({ url: '/v1/messages?tenant=salon' });
    await api.recorded();
    expect(listed.json<{ items: unknown[] }>().items).toEqual([]);
    expect((await send('evo', { type: 'text', text: { body: 'x' } })).statusCode).toBe(202);
    await change('evo', { channel: 'cloud' });
    expect((await send('evo', template)).statusCode).toBe(202);
  });
});
