import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createCloudProvider, type CloudProvider } from '../../src/providers/cloud/provider.ts';
import type { ProviderSend, SenderAccount } from '../../src/providers/contract.ts';
import type { MessageBody } from '../../src/model/message.ts';
import { answer, FakeServer } from '../conformance/fake-server.ts';
import { providerConformance } from '../conformance/provider.ts';
import { TEST_CERTIFICATE } from '../conformance/tls-fixture.ts';

const TOKEN = 'EAAGtoken1234567890abcdefghijklmnopqrstuvwxyz';
const TEXT = 'Your appointment is at ten.';
const WAMID = 'wamid.HBgNNDkxNTExMjM0NTY3OBUCABEYEjk2';

function account(origin: string, overrides: Partial<SenderAccount> = {}): SenderAccount {
  return {
    id: 'salon1-main',
    provider: 'cloud',
    externalId: '106540352242922',
    apiUrl: `${origin}/v23.0`,
    credentials: { accessToken: TOKEN },
    ...overrides,
  };
}

function body(overrides: Partial<MessageBody> = {}): MessageBody {
  return { to: '+4915112345678', type: 'text', content: { body: TEXT }, createdAtMs: 1_790_000_000_000, ...overrides };
}

function makeSend(origin: string, overrides: Partial<ProviderSend> = {}): ProviderSend {
  return {
    account: account(origin),
    messageId: '01900000-0000-7000-8000-000000000001',
    attempt: 1,
    body: body(),
    tag: 'v1.01900000-0000-7000-8000-000000000001.1.AAAAAAAAAAA',
    ...overrides,
  };
}

function envelope(code: number, details: string, more: Record<string, unknown> = {}): string {
  return JSON.stringify({
    error: {
      message: `(#${code}) Title`,
      type: 'OAuthException',
      code,
      error_data: { messaging_product: 'whatsapp', details },
      fbtrace_id: 'AbCdEf123',
      ...more,
    },
  });
}

const TAKEN = JSON.stringify({
  messaging_product: 'whatsapp',
  contacts: [{ input: '+4915112345678', wa_id: '4915112345678' }],
  messages: [{ id: WAMID, message_status: 'accepted' }],
});

providerConformance('cloud', () => ({
  createProvider: createCloudProvider,
  makeSend,
  secrets: [TOKEN, TEXT, '4915112345678'],
  taken: { status: 200, body: TAKEN, providerMessageId: WAMID },
  takenWithoutId: { status: 200, body: '{"messaging_product":"whatsapp","contacts":[],"messages":[]}' },
  refusedForGood: {
    status: 400,
    body: envelope(131009, `Parameter value is not valid: "${TEXT}" to 4915112345678 with ${TOKEN}`),
    providerCode: '131009',
  },
  serverError: { status: 500, body: envelope(131000, 'Something went wrong'), providerCode: '131000' },
  tooMany: { status: 429, body: envelope(130429, 'Cloud API message throughput has been reached.') },
}));

describe('Cloud API', () => {
  let server: FakeServer;
  let provider: CloudProvider;

  beforeEach(async () => {
    server = await FakeServer.start();
    server.behaviour = answer(200, TAKEN);
    provider = createCloudProvider();
  });
  afterEach(async () => {
    await server.stop();
    await provider.close();
  });

  it('F8 · posts to the phone number id under the versioned address, with the token and the tag', async () => {
    await provider.send(makeSend(server.url()));
    const [request] = server.requests;
    expect(request?.head.split('\r\n')[0]).toBe('POST /v23.0/106540352242922/messages HTTP/1.1');
    expect(request?.head).toContain(`authorization: Bearer ${TOKEN}`);
    expect(request?.head).toContain('content-type: application/json');
    expect(JSON.parse(request?.body ?? '')).toEqual({
      messaging_product: 'whatsapp',
      recipient_type: 'individual',
      to: '+4915112345678',
      type: 'text',
      text: { body: TEXT },
      biz_opaque_callback_data: 'v1.01900000-0000-7000-8000-000000000001.1.AAAAAAAAAAA',
    });
  });

  it('accepts an API address with slashes at its end and a path of its own', async () => {
    await provider.send(
      makeSend(server.url(), { account: account(server.url(), { apiUrl: `${server.url()}/meta/v23.0//` }) }),
    );
    expect(server.requests[0]?.head).toContain('POST /meta/v23.0/106540352242922/messages ');
  });

  it.each([
    ['image', { link: 'https://example.com/a.png', caption: 'A' }],
    ['document', { id: '1', filename: 'bill.pdf' }],
    ['audio', { id: '1', voice: true }],
    ['video', { id: '1' }],
    ['sticker', { id: '1' }],
    ['location', { latitude: 52.5, longitude: 13.4, name: 'Here' }],
    ['contacts', [{ name: { formatted_name: 'Ada' } }]],
    ['reaction', { message_id: 'wamid.1', emoji: '' }],
    ['template', { name: 'order_update', language: { code: 'en_US' }, components: [] }],
    ['interactive', { type: 'button', body: { text: 'Yes?' }, action: { buttons: [] } }],
  ] as const)('sends %s as its object came in', async (type, content) => {
    await provider.send(makeSend(server.url(), { body: body({ type, content }) }));
    expect(JSON.parse(server.requests[0]?.body ?? '')).toMatchObject({ type, [type]: content });
  });

  it('quotes the message of context', async () => {
    await provider.send(makeSend(server.url(), { body: body({ context: { message_id: 'wamid.9' } }) }));
    expect(JSON.parse(server.requests[0]?.body ?? '')).toMatchObject({ context: { message_id: 'wamid.9' } });
  });

  it('puts the + before a number that lacks it', async () => {
    await provider.send(makeSend(server.url(), { body: body({ to: '4915112345678' }) }));
    expect(JSON.parse(server.requests[0]?.body ?? '')).toMatchObject({ to: '+4915112345678' });
  });

  it('addresses a business-scoped user id as recipient, without to', async () => {
    const addressed: MessageBody = {
      recipient: 'US.13491208655302741918',
      type: 'text',
      content: { body: TEXT },
      createdAtMs: 1_790_000_000_000,
    };
    await provider.send(makeSend(server.url(), { body: addressed }));
    const sent = JSON.parse(server.requests[0]?.body ?? '') as Record<string, unknown>;
    expect(sent['recipient']).toBe('US.13491208655302741918');
    expect(sent).not.toHaveProperty('to');
  });

  it('never sends the metadata of the caller', async () => {
    await provider.send(makeSend(server.url(), { body: body({ metadata: { internal: 'note' } }) }));
    expect(server.requests[0]?.body).not.toContain('internal');
  });

  it('asks beforeFirstByte after the TLS handshake, and sends over TLS', async () => {
    const secure = await FakeServer.start('https');
    const trusting = createCloudProvider({ ca: TEST_CERTIFICATE });
    try {
      secure.behaviour = answer(200, TAKEN);
      const refused = await trusting.send(makeSend(secure.url(), { beforeFirstByte: () => false }));
      expect(refused).toMatchObject({ kind: 'not-sent' });
      expect(secure.bytesReceived).toBe(0);
      expect(await trusting.send(makeSend(secure.url(), { beforeFirstByte: () => true }))).toMatchObject({
        kind: 'sent',
      });
    } finally {
      await secure.stop();
      await trusting.close();
    }
  });

  it.each([
    ['no token', { credentials: {} }, 'credentials'],
    ['a token with a line break', { credentials: { accessToken: `${TOKEN}\r\nx: y` } }, 'credentials'],
    ['an address that is none', { apiUrl: 'graph.facebook.com' }, 'sender-pause'],
    ['an address of another scheme', { apiUrl: 'file:///etc/passwd' }, 'sender-pause'],
    ['a phone number id with a path in it', { externalId: '../me' }, 'sender-pause'],
  ] as const)('a sender with %s is paused instead of tried again for ever', async (_title, wrong, errorClass) => {
    const outcome = await provider.send(makeSend(server.url(), { account: account(server.url(), wrong) }));
    expect(outcome).toMatchObject({
      kind: 'rejected',
      class: errorClass,
      httpStatus: 0,
      error: { code: 'SENDER_MISCONFIGURED' },
    });
    expect(JSON.stringify(outcome)).not.toContain(TOKEN);
    expect(server.connections).toBe(0);
  });

  it('reads an error of Meta also when it comes with status 200', async () => {
    server.behaviour = answer(200, envelope(131026, 'Message undeliverable'));
    expect(await provider.send(makeSend(server.url()))).toMatchObject({ kind: 'rejected', class: 'recipient' });
  });

  it('tries a link again when Meta could not fetch it, and fails an id', async () => {
    server.behaviour = answer(400, envelope(131053, 'Media upload error'));
    const image = (content: unknown): ProviderSend =>
      makeSend(server.url(), { body: body({ type: 'image', content }) });
    expect(await provider.send(image({ link: 'https://example.com/a.png' }))).toMatchObject({
      class: 'retry-later',
      attemptsMax: 2,
    });
    expect(await provider.send(image({ id: '1' }))).toMatchObject({ class: 'payload' });
  });

  describe('markRead()', () => {
    const read = () => ({ account: account(server.url()), providerMessageId: 'wamid.in' });

    it('marks a message as read', async () => {
      server.behaviour = answer(200, '{"success":true}');
      expect(await provider.markRead(read())).toEqual({ kind: 'done' });
      expect(JSON.parse(server.requests[0]?.body ?? '')).toEqual({
        messaging_product: 'whatsapp',
        status: 'read',
        message_id: 'wamid.in',
      });
    });

    it('shows the typing indicator', async () => {
      server.behaviour = answer(200, '{"success":true}');
      await provider.markRead({ ...read(), typing: true });
      expect(JSON.parse(server.requests[0]?.body ?? '')).toMatchObject({ typing_indicator: { type: 'text' } });
    });

    it('tells a refusal from an answer that proves nothing', async () => {
      server.behaviour = answer(400, envelope(131009, 'too old'));
      expect(await provider.markRead(read())).toMatchObject({ kind: 'rejected', class: 'payload' });
      server.behaviour = answer(200, '{}');
      expect(await provider.markRead(read())).toMatchObject({ kind: 'ambiguous' });
    });

    it('tells when nothing was sent', async () => {
      const receipt = read();
      await server.stop();
      expect(await provider.markRead(receipt)).toMatchObject({ kind: 'not-sent' });
      expect(
        await provider.markRead({ ...receipt, account: account('http://127.0.0.1', { credentials: {} }) }),
      ).toMatchObject({ kind: 'rejected', class: 'credentials' });
    });
  });
});
