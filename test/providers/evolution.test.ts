import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { MessageBody } from '../../src/model/message.ts';
import type { ProviderSend, SenderAccount } from '../../src/providers/contract.ts';
import { createEvolutionProvider, type EvolutionProvider } from '../../src/providers/evolution/provider.ts';
import { unsuitable } from '../../src/providers/suitability.ts';
import { answer, FakeServer } from '../conformance/fake-server.ts';
import { providerConformance } from '../conformance/provider.ts';

const KEY = 'B6D711FCDE4D4FD5936544120E713976';
const TEXT = 'Your appointment is at ten.';

function account(origin: string, overrides: Partial<SenderAccount> = {}): SenderAccount {
  return {
    id: 'evo',
    provider: 'evolution',
    externalId: 'salon 1',
    apiUrl: origin,
    credentials: { apiKey: KEY },
    ...overrides,
  };
}
function makeSend(
  origin: string,
  body: Partial<MessageBody> = {},
  overrides: Partial<SenderAccount> = {},
): ProviderSend {
  return {
    account: account(origin, overrides),
    messageId: '01900000-0000-7000-8000-000000000001',
    attempt: 1,
    body: { to: '+4915112345678', type: 'text', content: { body: TEXT }, ...body },
    tag: 'v1.x',
  };
}
const TAKEN = JSON.stringify({
  key: { remoteJid: '4915112345678@s.whatsapp.net', fromMe: true, id: '3EB0C767D097B7C7C030' },
  status: 'PENDING',
  messageType: 'conversation',
});
const refusal = (status: number, message: unknown): string =>
  JSON.stringify({ status, error: 'x', response: { message } });

providerConformance('evolution', () => ({
  createProvider: createEvolutionProvider,
  makeSend: (origin) => makeSend(origin),
  secrets: [KEY, TEXT, '4915112345678'],
  taken: { status: 201, body: TAKEN, providerMessageId: '3EB0C767D097B7C7C030' },
  takenWithoutId: { status: 201, body: '{"status":"PENDING","key":{}}' },
  refusedForGood: {
    status: 400,
    body: refusal(400, [{ jid: '4915112345678@s.whatsapp.net', exists: false, number: '4915112345678' }]),
    providerCode: 'NUMBER_NOT_ON_WHATSAPP',
  },
  serverError: { status: 500, body: refusal(500, 'Internal server error'), providerCode: 'SERVER_ERROR' },
  tooMany: { status: 429, body: refusal(429, 'Too Many Requests') },
}));

describe('R7 · Evolution: what an answer means', () => {
  let server: FakeServer;
  let provider: EvolutionProvider;
  beforeEach(async () => {
    server = await FakeServer.start();
    provider = createEvolutionProvider();
  });
  afterEach(async () => {
    await server.stop();
    await provider.close();
  });

  const graph = (code: number) => ({
    message: `(#${code}) x`,
    type: 'OAuthException',
    code,
    error_data: { details: 'd' },
    fbtrace_id: 'A',
  });
  it.each<[string, number, string, { class: string; providerCode: string; retryable: boolean }]>([
    [
      'a schema error',
      400,
      refusal(400, [['text is required']]),
      { class: 'payload', providerCode: 'BAD_REQUEST', retryable: false },
    ],
    [
      'a closed connection, as 400',
      400,
      refusal(400, ['Error: Connection Closed']),
      { class: 'sender-pause', providerCode: 'CONNECTION_CLOSED', retryable: true },
    ],
    [
      'a closed connection, as 500',
      500,
      refusal(500, 'Connection Closed'),
      { class: 'sender-pause', providerCode: 'CONNECTION_CLOSED', retryable: true },
    ],
    [
      'an instance that is not loaded',
      500,
      refusal(500, "Cannot read properties of undefined (reading 'textMessage')"),
      { class: 'sender-pause', providerCode: 'INSTANCE_NOT_LOADED', retryable: true },
    ],
    [
      'a wrong key',
      401,
      refusal(401, 'Unauthorized'),
      { class: 'credentials', providerCode: 'UNAUTHORIZED', retryable: true },
    ],
    [
      'an unknown instance',
      404,
      refusal(404, ['The "x" instance does not exist']),
      { class: 'sender-pause', providerCode: 'INSTANCE_NOT_FOUND', retryable: true },
    ],
    [
      'a method of another channel',
      500,
      refusal(500, 'Method not available on WhatsApp Baileys'),
      { class: 'payload', providerCode: 'TYPE_NOT_AVAILABLE', retryable: false },
    ],
    [
      "201 with Meta's error as it is",
      201,
      JSON.stringify(graph(131056)),
      { class: 'pair', providerCode: '131056', retryable: true },
    ],
    [
      "201 with Meta's error in its envelope",
      201,
      JSON.stringify({ error: graph(131026) }),
      { class: 'recipient', providerCode: '131026', retryable: false },
    ],
    [
      '201 with a dead token of Meta',
      201,
      JSON.stringify(graph(190)),
      { class: 'credentials', providerCode: '190', retryable: true },
    ],
  ])('%s', async (_title, status, body, expected) => {
    server.behaviour = answer(status, body);
    const { class: errorClass, ...error } = expected;
    expect(await provider.send(makeSend(server.url()))).toMatchObject({
      kind: 'rejected',
      class: errorClass,
      httpStatus: status,
      error,
    });
  });

  it('an account without a key or with a bad address holds the sender, and nothing is sent', async () => {
    const outcomes = [
      await provider.send(makeSend(server.url(), {}, { credentials: {} })),
      await provider.send(makeSend(server.url(), {}, { externalId: '../admin' })),
      await provider.send(makeSend(server.url(), {}, { apiUrl: 'evolution' })),
    ];
    expect(outcomes.map((outcome) => outcome.kind === 'rejected' && outcome.class)).toEqual([
      'credentials',
      'sender-pause',
      'sender-pause',
    ]);
    expect(server.connections).toBe(0);
  });

  it('asks for the state of the connection', async () => {
    server.behaviour = answer(200, JSON.stringify({ instance: { instanceName: 'salon 1', state: 'open' } }));
    expect(await provider.connectionState(account(server.url()))).toBe('open');
    expect(server.requests[0]?.head).toMatch(/^GET \/instance\/connectionState\/salon%201 /);
    expect(server.requests[0]?.head).toContain(KEY);
    server.behaviour = answer(404, refusal(404, 'x'));
    expect(await provider.connectionState(account(server.url()))).toBeNull();
    const origin = server.url();
    await server.stop();
    expect(await provider.connectionState(account(origin))).toBeNull();
  });

  const link = 'https://cdn.example/files/menu.pdf';
  const number = '4915112345678';
  const text = { text: 'B' };
  it.each<[string, Partial<MessageBody>, string, unknown]>([
    ['text', { content: { body: 'x', preview_url: true } }, 'sendText', { number, text: 'x', linkPreview: true }],
    [
      'answer',
      { content: { body: 'x' }, context: { message_id: '3EB0' } },
      'sendText',
      { number, text: 'x', linkPreview: false, quoted: { key: { id: '3EB0' } } },
    ],
    [
      'image',
      { type: 'image', content: { link, caption: 'c' } },
      'sendMedia',
      { number, mediatype: 'image', media: link, caption: 'c' },
    ],
    ['video', { type: 'video', content: { link } }, 'sendMedia', { number, mediatype: 'video', media: link }],
    [
      'document',
      { type: 'document', content: { link } },
      'sendMedia',
      { number, mediatype: 'document', media: link, fileName: 'menu.pdf' },
    ],
    ['voice note', { type: 'audio', content: { link, voice: true } }, 'sendWhatsAppAudio', { number, audio: link }],
    ['audio', { type: 'audio', content: { link } }, 'sendMedia', { number, mediatype: 'audio', media: link }],
    ['sticker', { type: 'sticker', content: { link } }, 'sendSticker', { number, sticker: link }],
    [
      'location',
      { type: 'location', content: { latitude: '1.5', longitude: 2 } },
      'sendLocation',
      { number, latitude: 1.5, longitude: 2, name: '1.5, 2', address: '1.5, 2' },
    ],
    [
      'contacts',
      {
        type: 'contacts',
        content: [{ name: { formatted_name: 'Bo' }, phones: [{ phone: '+49 1511 2345679' }], org: { company: 'C' } }],
      },
      'sendContact',
      {
        number,
        contact: [{ fullName: 'Bo', wuid: '4915112345679', phoneNumber: '+49 1511 2345679', organization: 'C' }],
      },
    ],
    [
      'reaction',
      { type: 'reaction', content: { message_id: '3EB0', emoji: '👍' } },
      'sendReaction',
      { key: { id: '3EB0', remoteJid: `${number}@s.whatsapp.net`, fromMe: false }, reaction: '👍' },
    ],
    [
      'buttons',
      {
        type: 'interactive',
        content: {
          type: 'button',
          header: { type: 'text', text: 'H' },
          body: text,
          footer: { text: 'F' },
          action: { buttons: [{ type: 'reply', reply: { id: 'a', title: 'A' } }] },
        },
      },
      'sendButtons',
      { number, title: 'H', description: 'B', footer: 'F', buttons: [{ type: 'reply', displayText: 'A', id: 'a' }] },
    ],
    [
      'a link button',
      {
        type: 'interactive',
        content: {
          type: 'cta_url',
          body: text,
          action: { name: 'cta_url', parameters: { display_text: 'Go', url: link } },
        },
      },
      'sendButtons',
      { number, title: '', description: 'B', buttons: [{ type: 'url', displayText: 'Go', url: link }] },
    ],
    [
      'list',
      {
        type: 'interactive',
        content: {
          type: 'list',
          body: text,
          action: { button: 'Pick', sections: [{ rows: [{ id: 'r', title: 'R', description: 'D' }] }] },
        },
      },
      'sendList',
      {
        number,
        title: '',
        description: 'B',
        footerText: '',
        buttonText: 'Pick',
        sections: [{ title: 'Pick', rows: [{ rowId: 'r', title: 'R', description: 'D' }] }],
      },
    ],
  ])('%s goes out', async (_title, body, route, payload) => {
    server.behaviour = answer(201, TAKEN);
    expect(await provider.send(makeSend(server.url(), body))).toMatchObject({ kind: 'sent' });
    expect(server.requests[0]?.head).toMatch(new RegExp(`^POST /message/${route}/salon%201 `));
    expect(JSON.parse(server.requests[0]?.body ?? '')).toEqual(payload);
  });

  const template = { type: 'template', content: { name: 'hello', language: { code: 'en' }, components: [] } } as const;
  it('a template goes out on the Cloud channel only', async () => {
    server.behaviour = answer(201, TAKEN);
    expect(await provider.send(makeSend(server.url(), template, { channel: 'cloud' }))).toMatchObject({ kind: 'sent' });
    expect(JSON.parse(server.requests[0]?.body ?? '')).toEqual({
      number,
      name: 'hello',
      language: 'en',
      components: [],
    });
    expect(await provider.send(makeSend(server.url(), template))).toMatchObject({
      kind: 'rejected',
      class: 'payload',
      error: { code: 'MESSAGE_UNSUPPORTED', retryable: false },
    });
    expect(server.requests).toHaveLength(1);
  });

  const to = '+4915112345678';
  it.each<[string, MessageBody]>([
    ['type', { to, ...template }],
    ['image.id', { to, type: 'image', content: { id: '1' } }],
    ['recipient', { recipient: 'US.1', type: 'text', content: { body: 'x' } }],
    ['contacts[0].phones', { to, type: 'contacts', content: [{ name: { formatted_name: 'x' } }] }],
    ['interactive.type', { to, type: 'interactive', content: { type: 'flow', body: text, action: {} } }],
    [
      'interactive.header',
      {
        to,
        type: 'interactive',
        content: { type: 'button', header: { type: 'video', video: { link } }, body: text, action: { buttons: [] } },
      },
    ],
  ])('says before it is stored what does not map: %s', (field, body) => {
    const found = unsuitable({ provider: 'evolution' }, body);
    expect(found?.field).toBe(field);
    expect(found?.sentence).toMatch(/^Evolution .*\.$/);
    expect(unsuitable({ provider: 'cloud' }, body)).toBeNull();
  });
});
