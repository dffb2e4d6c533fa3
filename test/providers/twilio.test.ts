import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { MessageBody } from '../../src/model/message.ts';
import type { MessageProvider, ProviderSend, SenderAccount } from '../../src/providers/contract.ts';
import { without } from '../../src/providers/json.ts';
import { unsuitable } from '../../src/providers/suitability.ts';
import { TWILIO_ERRORS } from '../../src/providers/twilio/error-table.ts';
import { createTwilioProvider } from '../../src/providers/twilio/provider.ts';
import { answer, FakeServer } from '../conformance/fake-server.ts';
import { providerConformance } from '../conformance/provider.ts';

const SID = `AC${'0a'.repeat(16)}`;
const TOKEN = 'c0ffee00c0ffee00c0ffee00c0ffee00';
const CONTENT = `HX${'1b'.repeat(16)}`;
const TEXT = 'Your appointment is at ten.';

function makeSend(origin: string, body: Partial<MessageBody> = {}, account: Partial<SenderAccount> = {}): ProviderSend {
  return {
    account: {
      id: 'tw',
      provider: 'twilio',
      externalId: '+14155238886',
      apiUrl: origin,
      credentials: { accountSid: SID, authToken: TOKEN },
      ...account,
    },
    messageId: '01900000-0000-7000-8000-000000000001',
    attempt: 1,
    body: { to: '+4915112345678', type: 'text', content: { body: TEXT }, ...body },
    tag: 'v1.a.1',
  };
}
const TAKEN = JSON.stringify({ sid: 'SM0123', status: 'queued', error_code: null });
const refusal = (status: number, code: number, message = 'x'): string =>
  JSON.stringify({ code, message, more_info: `https://www.twilio.com/docs/errors/${code}`, status });

providerConformance('twilio', () => ({
  createProvider: createTwilioProvider,
  makeSend: (origin) => makeSend(origin),
  secrets: [TOKEN, SID, TEXT, '4915112345678', Buffer.from(`${SID}:${TOKEN}`).toString('base64')],
  taken: { status: 201, body: TAKEN, providerMessageId: 'SM0123' },
  takenWithoutId: { status: 201, body: '{"status":"queued"}' },
  refusedForGood: {
    status: 400,
    body: refusal(400, 21211, "The 'To' number +4915112345678 is not valid"),
    providerCode: '21211',
  },
  serverError: { status: 503, body: refusal(503, 63012), providerCode: '63012' },
  tooMany: { status: 429, body: refusal(429, 20429) },
}));

describe('Twilio: what an answer means', () => {
  let server: FakeServer;
  let provider: MessageProvider;
  beforeEach(async () => {
    server = await FakeServer.start();
    provider = createTwilioProvider({ publicUrl: 'https://wax.example/' });
  });
  afterEach(async () => {
    await server.stop();
    await provider.close();
  });
  const sent = () => Object.fromEntries(new URLSearchParams(server.requests.at(-1)?.body));

  it.each([
    [429, 20429, 'sender-slow'],
    [401, 20003, 'credentials'],
    [400, 21610, 'recipient'],
    [429, 21611, 'sender-slow'],
    [400, 63007, 'sender-pause'],
    [400, 63016, 'payload'],
    [400, 63018, 'sender-slow'],
    [400, 63041, 'template'],
    [400, 63049, 'retry-later'],
    [400, 99999, 'retry-later'],
  ])('HTTP %i with %i is %s', async (status, code, errorClass) => {
    server.behaviour = answer(status, refusal(status, code));
    expect(await provider.send(makeSend(server.url()))).toMatchObject({
      kind: 'rejected',
      class: errorClass,
      error: { providerCode: String(code) },
    });
  });

  it('an unknown code is tried once more only', async () => {
    server.behaviour = answer(400, refusal(400, 99999));
    expect(await provider.send(makeSend(server.url()))).toMatchObject({ kind: 'rejected', attemptsMax: 2 });
  });

  it.each([
    [500, 20500],
    [503, 20503],
    [500, 99999],
  ])('HTTP %i with %i is ambiguous: the message may exist', async (status, code) => {
    server.behaviour = answer(status, refusal(status, code));
    expect(await provider.send(makeSend(server.url()))).toMatchObject({ kind: 'ambiguous', httpStatus: status });
  });

  it('every code of the table says what happened, what Waxwing does and what a person should do', () => {
    for (const entry of Object.values(TWILIO_ERRORS)) {
      expect(entry.title).not.toMatch(/\.$/);
      for (const text of [entry.meaning, entry.waxwingDoes, entry.personShould]) expect(text).toMatch(/\.$/);
    }
  });

  it('sends with Basic auth, from the number, with the tag in the address of the statuses', async () => {
    server.behaviour = answer(201, TAKEN);
    await provider.send(makeSend(server.url()));
    expect(server.requests[0]?.head).toMatch(new RegExp(`^POST /2010-04-01/Accounts/${SID}/Messages.json `));
    expect(server.requests[0]?.head).toContain(`Basic ${Buffer.from(`${SID}:${TOKEN}`).toString('base64')}`);
    expect(sent()).toEqual({
      To: 'whatsapp:+4915112345678',
      From: 'whatsapp:+14155238886',
      Body: TEXT,
      StatusCallback: 'https://wax.example/webhooks/whatsapp/twilio/tw?tag=v1.a.1',
    });
  });

  it('sends with an API key, through a messaging service', async () => {
    server.behaviour = answer(201, TAKEN);
    const externalId = `MG${'2c'.repeat(16)}`;
    const credentials = { accountSid: SID, authToken: TOKEN, apiKeySid: 'SK1', apiKeySecret: 'secret' };
    await provider.send(makeSend(server.url(), {}, { externalId, credentials }));
    expect(server.requests[0]?.head).toContain(`Basic ${Buffer.from('SK1:secret').toString('base64')}`);
    expect(sent()).toMatchObject({ MessagingServiceSid: externalId });
    expect(sent()['From']).toBeUndefined();
  });

  it.each<[Partial<SenderAccount>, string]>([
    [{ credentials: { accountSid: SID } }, 'credentials'],
    [{ credentials: { accountSid: 'x', authToken: TOKEN } }, 'credentials'],
    [{ externalId: '14155238886' }, 'sender-pause'],
    [{ apiUrl: 'ftp://x' }, 'sender-pause'],
  ])('an account %j cannot be used: the sender is held and nothing is sent', async (account, errorClass) => {
    expect(await provider.send(makeSend(server.url(), {}, account))).toMatchObject({
      kind: 'rejected',
      class: errorClass,
    });
    expect(server.connections).toBe(0);
  });

  const link = 'https://cdn.example/menu.pdf';
  const parameter = (text: string, more = {}) => ({ type: 'text', text, ...more });
  it.each<[string, Partial<MessageBody>, Record<string, string>]>([
    ['image', { type: 'image', content: { link, caption: 'c' } }, { MediaUrl: link, Body: 'c' }],
    ['sticker', { type: 'sticker', content: { link } }, { MediaUrl: link }],
    [
      'location',
      { type: 'location', content: { latitude: 37.7, longitude: -122.3, name: 'Pier|1' } },
      { Body: 'Pier|1', PersistentAction: 'geo:37.7,-122.3|Pier 1' },
    ],
    ['template', { type: 'template', content: { name: CONTENT, language: { code: 'en' } } }, { ContentSid: CONTENT }],
    [
      'template with numbered variables',
      {
        type: 'template',
        content: {
          name: CONTENT,
          components: [
            { type: 'header', parameters: [{ type: 'image', image: { link } }] },
            { type: 'body', parameters: [parameter('Ana'), parameter('10:00')] },
          ],
        },
      },
      { ContentSid: CONTENT, ContentVariables: JSON.stringify({ 1: link, 2: 'Ana', 3: '10:00' }) },
    ],
    [
      'template with named variables',
      {
        type: 'template',
        content: {
          name: CONTENT,
          components: [{ type: 'body', parameters: [parameter('Ana', { parameter_name: 'who' })] }],
        },
      },
      { ContentSid: CONTENT, ContentVariables: '{"who":"Ana"}' },
    ],
  ])('%s goes out', async (_title, body, fields) => {
    server.behaviour = answer(201, TAKEN);
    expect(await provider.send(makeSend(server.url(), body))).toMatchObject({ kind: 'sent' });
    expect(without(sent(), 'To', 'From', 'StatusCallback')).toEqual(fields);
  });

  const to = '+4915112345678';
  const withText = (text: string) => ({
    name: CONTENT,
    components: [{ type: 'body', parameters: [parameter(text)] }],
  });
  it.each<[string, MessageBody]>([
    ['type', { to, type: 'interactive', content: { type: 'button' } }],
    ['type', { to, type: 'reaction', content: { message_id: 'x', emoji: '👍' } }],
    ['type', { to, type: 'contacts', content: [] }],
    ['context', { to, type: 'text', content: { body: 'x' }, context: { message_id: 'x' } }],
    ['text.body', { to, type: 'text', content: { body: 'x'.repeat(1_601) } }],
    ['image.id', { to, type: 'image', content: { id: '1' } }],
    ['recipient', { recipient: 'US.1', type: 'text', content: { body: 'x' } }],
    ['template.name', { to, type: 'template', content: { name: 'hello' } }],
    ['template.components[0].parameters[0]', { to, type: 'template', content: withText(' ') }],
    ['template.components[0].parameters[0]', { to, type: 'template', content: withText('a\nb') }],
  ])('says before it is stored what does not map: %s', async (field, body) => {
    const found = unsuitable({ provider: 'twilio' }, body);
    expect(found?.field).toBe(field);
    expect(found?.sentence).toMatch(/Twilio.*\.$/);
    expect(await provider.send({ ...makeSend(server.url()), body })).toMatchObject({
      kind: 'rejected',
      class: 'payload',
      error: { code: 'MESSAGE_UNSUPPORTED' },
    });
    expect(server.connections).toBe(0);
  });
});
