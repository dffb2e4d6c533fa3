import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startEmulator, type Emulator } from '../../src/emulator/index.ts';
import { contentOf, contentSchema } from '../../src/messages/content/index.ts';
import { createCloudProvider, type CloudProvider } from '../../src/providers/cloud/provider.ts';
import { cloudReader } from '../../src/providers/cloud/reader.ts';
import { verifySignature } from '../../src/providers/cloud/statuses.ts';
import type { ProviderStatus, SenderAccount } from '../../src/providers/contract.ts';
import type { InboundMessage } from '../../src/providers/events.ts';
import { makeTag, readTag } from '../../src/providers/tag.ts';
import { newId } from '../../src/util/ids.ts';
import { eventually } from '../support/eventually.ts';

/** The emulator shares no code with us: what it takes and sends is a second opinion on the Cloud API. */
describe('Cloud API adapter against the emulator', () => {
  const APP_SECRET = 'app-secret';
  const tagKey = randomBytes(32);
  const statuses: ProviderStatus[] = [];
  const inbound: InboundMessage[] = [];
  const signatures: boolean[] = [];
  let hooks: http.Server;
  let emulator: Emulator;
  let provider: CloudProvider;

  beforeAll(async () => {
    hooks = http.createServer((request, response) => void receive(request, response));
    hooks.listen(0, '127.0.0.1');
    await once(hooks, 'listening');
    const { port } = hooks.address() as AddressInfo;
    emulator = await startEmulator({
      accessToken: 'secret-token',
      appSecret: APP_SECRET,
      webhookUrl: `http://127.0.0.1:${port}/`,
    });
    provider = createCloudProvider();
  });
  afterAll(async () => {
    await provider.close();
    await emulator.stop();
    hooks.close();
  });

  async function receive(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const raw = Buffer.concat(chunks);
    const header = request.headers['x-hub-signature-256'];
    signatures.push(verifySignature(raw, String(header), ['old-secret', APP_SECRET]));
    const { events } = cloudReader.read(JSON.parse(raw.toString('utf8')), Date.now());
    for (const event of events) {
      if (event.kind === 'status') statuses.push(event.status);
      if (event.kind === 'message') inbound.push(event.message);
    }
    response.end();
  }

  function account(overrides: Partial<SenderAccount> = {}): SenderAccount {
    return {
      id: 'main',
      provider: 'cloud',
      externalId: '106540352242922',
      apiUrl: emulator.apiUrl,
      credentials: { accessToken: 'secret-token' },
      ...overrides,
    };
  }
  async function send(message: unknown, to = '+4915112345678', sender = account()) {
    const parsed = contentSchema.parse(message);
    const messageId = newId();
    const outcome = await provider.send({
      account: sender,
      messageId,
      attempt: 2,
      tag: makeTag({ messageId, attempt: 2 }, tagKey),
      body: {
        to,
        type: parsed.type,
        content: contentOf(parsed),
        ...(parsed.context === undefined ? {} : { context: parsed.context }),
        createdAtMs: Date.now(),
      },
    });
    return { messageId, outcome };
  }

  const body = { text: 'Which one?' };
  it.each([
    { type: 'text', text: { body: 'Grüße, 😀 "x" </b> \u2028', preview_url: true } },
    { type: 'image', image: { link: 'https://example.com/a.png', caption: 'A' } },
    { type: 'document', document: { link: 'https://example.com/a.pdf', filename: 'a.pdf' } },
    { type: 'audio', audio: { link: 'https://example.com/a.ogg', voice: true } },
    { type: 'video', video: { link: 'https://example.com/a.mp4' } },
    { type: 'sticker', sticker: { link: 'https://example.com/a.webp' } },
    { type: 'location', location: { latitude: 52.5, longitude: 13.4, name: 'Here', address: 'A 1' } },
    { type: 'contacts', contacts: [{ name: { formatted_name: 'Ada', first_name: 'Ada' }, phones: [{ phone: '+1' }] }] },
    {
      type: 'template',
      template: {
        name: 'order_update',
        language: { code: 'en_US' },
        components: [
          { type: 'header', parameters: [{ type: 'image', image: { link: 'https://example.com/a.png' } }] },
          { type: 'body', parameters: [{ type: 'text', text: 'Ada', parameter_name: 'name' }] },
          { type: 'button', sub_type: 'quick_reply', index: '0', parameters: [{ type: 'payload', payload: 'yes' }] },
        ],
      },
    },
    {
      type: 'interactive',
      interactive: {
        type: 'button',
        header: { type: 'text', text: 'H' },
        body,
        footer: { text: 'F' },
        action: { buttons: [{ type: 'reply', reply: { id: 'a', title: 'A' } }] },
      },
    },
    {
      type: 'interactive',
      interactive: {
        type: 'list',
        body,
        action: { button: 'Open', sections: [{ title: 'S', rows: [{ id: 'a', title: 'A', description: 'B' }] }] },
      },
    },
    {
      type: 'interactive',
      interactive: {
        type: 'cta_url',
        body,
        action: { name: 'cta_url', parameters: { display_text: 'Go', url: 'https://example.com' } },
      },
    },
    {
      type: 'interactive',
      interactive: {
        type: 'flow',
        body,
        action: {
          name: 'flow',
          parameters: { flow_message_version: '3', flow_id: '1', flow_cta: 'Go', flow_token: 't', mode: 'published' },
        },
      },
    },
    { type: 'interactive', interactive: { type: 'location_request_message', body, action: { name: 'send_location' } } },
    {
      type: 'interactive',
      interactive: { type: 'request_contact_info', body, action: { name: 'request_contact_info' } },
    },
    { type: 'text', text: { body: 'An answer' }, context: { message_id: 'wamid.HBgL' } },
  ])('a message that our schema takes is taken there: $type $interactive.type', async (message) => {
    const { outcome } = await send(message);
    expect(outcome).toMatchObject({ kind: 'sent', providerMessageId: expect.stringMatching(/^wamid\./) as string });
  });

  it('a reaction to a message that exists', async () => {
    const { outcome } = await send({ type: 'text', text: { body: 'React to me' } });
    const wamid = outcome.kind === 'sent' ? outcome.providerMessageId : '';
    const reaction = await send({ type: 'reaction', reaction: { message_id: wamid, emoji: '👍' } });
    expect(reaction.outcome).toMatchObject({ kind: 'sent' });
  });

  it('its signed statuses carry our tag back: message, attempt and wamid belong together', async () => {
    const { messageId, outcome } = await send({ type: 'text', text: { body: 'Accents: é à ü, slash /, at @' } });
    const wamid = outcome.kind === 'sent' ? outcome.providerMessageId : '';
    const mine = (): ProviderStatus[] => statuses.filter(({ providerMessageId }) => providerMessageId === wamid);
    await eventually(() => {
      expect(mine().map(({ status }) => status)).toContain('sent');
      return true;
    });
    expect(readTag(mine()[0]?.tag ?? '', tagKey)).toEqual({ messageId, attempt: 2 });
    expect(mine()[0]).toMatchObject({ externalSenderId: '106540352242922', error: null });
    expect(signatures).not.toContain(false);
  });

  it('a failure that comes later is explained', async () => {
    emulator.addRule({ match: { textIncludes: 'fail me' }, action: { kind: 'fail-later', code: 131026 } });
    const { outcome } = await send({ type: 'text', text: { body: 'fail me' } });
    const wamid = outcome.kind === 'sent' ? outcome.providerMessageId : '';
    await eventually(() => {
      expect(statuses.find(({ providerMessageId: id, status }) => id === wamid && status === 'failed')).toMatchObject({
        error: { code: 'DELIVERY_FAILED', providerCode: '131026', title: 'Message undeliverable', retryable: false },
      });
      return true;
    });
  });

  it('a customer writes: we read the message, mark it as read and show that we type', async () => {
    await emulator.inbound({ phoneNumberId: '106540352242922', from: '+4915112345678', text: 'Hallo, schöne Grüße' });
    await eventually(() => {
      expect(inbound.at(-1)).toMatchObject({ type: 'text', content: { body: 'Hallo, schöne Grüße' } });
      return true;
    });
    const { providerMessageId } = inbound.at(-1) as InboundMessage;
    expect(await provider.markRead({ account: account(), providerMessageId, typing: true })).toEqual({
      kind: 'done',
    });
    expect(signatures).not.toContain(false);
  });

  it('its refusals have the class of the table', async () => {
    const wrongToken = await send(
      { type: 'text', text: { body: 'x' } },
      '+4915112345678',
      account({ credentials: { accessToken: 'wrong' } }),
    );
    expect(wrongToken.outcome).toMatchObject({
      kind: 'rejected',
      class: 'credentials',
      error: { providerCode: '190' },
    });
    for (const [code, errorClass] of [
      [130429, 'sender-slow'],
      [131056, 'pair'],
      [131000, 'retry-soon'],
      [131048, 'sender-pause'],
      [132015, 'template'],
    ] as const) {
      const rule = emulator.addRule({ match: { textIncludes: `code ${code}` }, action: { kind: 'error', code } });
      const { outcome } = await send({ type: 'text', text: { body: `code ${code}` } });
      expect(outcome).toMatchObject({ kind: 'rejected', class: errorClass, error: { providerCode: String(code) } });
      emulator.removeRule(rule.id);
    }
  });
});
