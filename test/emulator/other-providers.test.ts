import { createServer, type IncomingHttpHeaders } from 'node:http';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startEmulator, type Emulator } from '../../src/emulator/index.ts';
import type { MessageBody } from '../../src/model/message.ts';
import type { MessageProvider, SenderAccount } from '../../src/providers/contract.ts';
import type { ProviderEvent, WebhookReader } from '../../src/providers/events.ts';
import { createEvolutionProvider, type EvolutionProvider } from '../../src/providers/evolution/provider.ts';
import { evolutionReader } from '../../src/providers/evolution/reader.ts';
import { withCallbackTag } from '../../src/providers/twilio/callback.ts';
import { createTwilioProvider } from '../../src/providers/twilio/provider.ts';
import { twilioReader } from '../../src/providers/twilio/reader.ts';
import { verifyTwilioSignature } from '../../src/providers/twilio/signature.ts';
import { eventually } from '../support/eventually.ts';

const SID = `AC${'0a'.repeat(16)}`;
interface Post {
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

let emulator: Emulator;
let hook: { url: string; posts: Post[]; close: () => Promise<void> };
let evolution: EvolutionProvider;
let twilio: MessageProvider;

beforeEach(async () => {
  const posts: Post[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      posts.push({ url: request.url ?? '', headers: request.headers, body: Buffer.concat(chunks).toString() });
      response.writeHead(204).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const url = `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`;
  hook = { url, posts, close: () => new Promise((resolve) => void server.close(() => resolve())) };
  emulator = await startEmulator({
    settings: {
      statuses: { sentDelayMs: 0, deliveredDelayMs: 0, readDelayMs: 0, jitterMs: 0 },
      evolution: { apiKeys: ['key'], webhookUrl: `${url}/evo`, webhookHeaders: { 'x-secret': 'word' } },
      twilio: { accountSid: SID, authToken: 'token', webhookUrl: `${url}/tw` },
    },
  });
  evolution = createEvolutionProvider();
  twilio = createTwilioProvider({ publicUrl: url });
});
afterEach(async () => {
  await Promise.all([evolution.close(), twilio.close()]);
  await emulator.stop();
  await hook.close();
});

const account = (provider: 'evolution' | 'twilio'): SenderAccount => ({
  id: provider,
  provider,
  externalId: provider === 'evolution' ? 'salon' : '+14155238886',
  apiUrl: emulator.url,
  credentials: provider === 'evolution' ? { apiKey: 'key' } : { accountSid: SID, authToken: 'token' },
});
const send = (provider: 'evolution' | 'twilio', body: Partial<MessageBody> = {}, more: Partial<SenderAccount> = {}) =>
  (provider === 'evolution' ? evolution : twilio).send({
    account: { ...account(provider), ...more },
    messageId: 'm',
    attempt: 1,
    tag: 'v1.tag',
    body: { to: '+4915112345678', type: 'text', content: { body: 'Hello' }, ...body },
  });
const formOf = ({ url, body }: Post): Record<string, unknown> =>
  withCallbackTag(
    Object.fromEntries(new URLSearchParams(body)),
    Object.fromEntries(new URL(url, 'http://x').searchParams),
  );
const READERS: Record<string, [WebhookReader, (post: Post) => unknown]> = {
  evolution: [evolutionReader, ({ body }) => JSON.parse(body) as unknown],
  twilio: [twilioReader, formOf],
};
function events(provider: 'evolution' | 'twilio'): ProviderEvent[] {
  const [reader, parse] = READERS[provider] ?? [evolutionReader, () => null];
  return hook.posts.flatMap((post) => {
    const { events: found, broken } = reader.read(parse(post), 1);
    expect(broken).toEqual([]);
    return [...found];
  });
}

describe.each(['evolution', 'twilio'] as const)('R7 · the emulator speaks %s', (provider) => {
  const senderId = provider === 'evolution' ? 'evolution.salon' : 'twilio.+14155238886';
  const externalSenderId = provider === 'evolution' ? 'salon' : '+14155238886';

  it('takes a message, shows it in its chat, and tells what became of it', async () => {
    const outcome = await send(provider);
    expect(outcome).toMatchObject({ kind: 'sent', httpStatus: 201 });
    const id = outcome.kind === 'sent' ? outcome.providerMessageId : '';
    await eventually(() => expect(events(provider)).toHaveLength(3));
    expect(events(provider)).toMatchObject(
      ['sent', 'delivered', 'read'].map((status) => ({
        kind: 'status',
        status: { externalSenderId, providerMessageId: id, status, tag: provider === 'twilio' ? 'v1.tag' : null },
      })),
    );
    expect(emulator.ledger()).toMatchObject([{ phoneNumberId: senderId, type: 'text', taken: true, wamid: id }]);
    const chats = await fetch(
      `${emulator.url}/_emulator/conversations/${encodeURIComponent(`${senderId}:4915112345678`)}/messages`,
    );
    expect(await chats.json()).toMatchObject({
      messages: [{ type: 'text', content: { body: 'Hello' }, status: 'read' }],
    });
  });

  it('a person answers as the customer', async () => {
    await send(provider);
    await emulator.inbound({ phoneNumberId: senderId, from: '+4915112345678', name: 'Ana', text: 'Hi', wait: true });
    expect(events(provider).filter(({ kind }) => kind === 'message')).toMatchObject([
      {
        message: {
          externalSenderId,
          type: 'text',
          content: { body: 'Hi' },
          contact: { phone: '+4915112345678', name: 'Ana' },
        },
      },
    ]);
  });

  it('webhooks prove who sent them', async () => {
    await send(provider);
    await eventually(() => expect(hook.posts.length).toBeGreaterThan(0));
    for (const post of hook.posts) {
      if (provider === 'evolution') expect(post.headers['x-secret']).toBe('word');
      else {
        const form = Object.fromEntries(new URLSearchParams(post.body));
        const request = { url: hook.url + post.url, form, rawBody: Buffer.from(post.body) };
        expect(verifyTwilioSignature(request, String(post.headers['x-twilio-signature']), ['token'])).toBe(true);
      }
    }
  });

  it('faults of its control interface apply', async () => {
    const once = { match: { phoneNumberId: senderId }, times: 1 };
    emulator.addRule({ ...once, action: { kind: 'reset', when: 'after' } });
    expect(await send(provider)).toMatchObject({ kind: 'ambiguous' });
    emulator.addRule({ ...once, action: { kind: 'http', status: 502 } });
    expect(await send(provider)).toMatchObject({ kind: 'ambiguous', httpStatus: 502 });
    const code = provider === 'twilio' ? 20429 : 500;
    emulator.addRule({ ...once, action: { kind: 'error', code, httpStatus: code === 500 ? 500 : 429, details: 'x' } });
    expect(await send(provider)).toMatchObject({ kind: 'rejected', error: { retryable: true } });
    const later = provider === 'twilio' ? 63049 : 463;
    emulator.addRule({ ...once, action: { kind: 'fail-later', code: later } });
    expect(await send(provider)).toMatchObject({ kind: 'sent' });
    await eventually(() =>
      expect(events(provider)).toContainEqual(
        expect.objectContaining({
          status: expect.objectContaining({
            status: 'failed',
            error: expect.objectContaining({ providerCode: String(later) }) as unknown,
          }) as unknown,
        }),
      ),
    );
  });

  it('refuses wrong credentials', async () => {
    const credentials = provider === 'evolution' ? { apiKey: 'x' } : { accountSid: SID, authToken: 'x' };
    expect(await send(provider, {}, { credentials })).toMatchObject({ kind: 'rejected', class: 'credentials' });
  });
});

describe('R7 · the connection of an emulated Evolution instance', () => {
  it('closes, holds the sender, and opens again', async () => {
    const set = (state: string) =>
      fetch(`${emulator.url}/_emulator/evolution/salon/connection`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ state }),
      });
    await set('close');
    expect(await send('evolution')).toMatchObject({
      class: 'sender-pause',
      error: { providerCode: 'CONNECTION_CLOSED' },
    });
    expect(await evolution.connectionState(account('evolution'))).toBe('close');
    await set('open');
    expect(await evolution.connectionState(account('evolution'))).toBe('open');
    expect(await send('evolution')).toMatchObject({ kind: 'sent' });
    await eventually(() =>
      expect(events('evolution').flatMap((event) => (event.kind === 'sender' ? [event.state] : []))).toEqual([
        'paused',
        'usable',
      ]),
    );
    expect((await set('sideways')).status).toBe(400);
  });
});
