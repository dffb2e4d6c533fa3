import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { InboundMessage, ProviderEvent } from '../../src/providers/events.ts';
import { statusCallbackUrl, withCallbackTag } from '../../src/providers/twilio/callback.ts';
import { twilioReader } from '../../src/providers/twilio/reader.ts';

const NOW = 1_800_000_000_000;
type Json = Record<string, unknown>;
const INBOUND = {
  MessageSid: 'SM1',
  SmsMessageSid: 'SM1',
  SmsStatus: 'received',
  AccountSid: 'AC1',
  From: 'whatsapp:+4915112345678',
  To: 'whatsapp:+14155238886',
  WaId: '4915112345678',
  ProfileName: 'Ana',
  NumMedia: '0',
  NumSegments: '1',
  ApiVersion: '2010-04-01',
};
const STATUS = {
  MessageSid: 'SM2',
  MessageStatus: 'delivered',
  From: 'whatsapp:+14155238886',
  To: 'whatsapp:+4915112345678',
  AccountSid: 'AC1',
};

function read(body: unknown): readonly ProviderEvent[] {
  const { events, broken } = twilioReader.read(body, NOW);
  expect(broken).toEqual([]);
  return events;
}
function messageOf(fields: Json): InboundMessage {
  const [event] = read({ ...INBOUND, ...fields });
  if (event?.kind !== 'message') throw new Error(`a message was expected, not ${event?.kind ?? 'nothing'}`);
  return event.message;
}

describe('the Twilio reader', () => {
  it('reads a text with who wrote it and to which number', () => {
    expect(messageOf({ Body: 'Hello' })).toEqual({
      externalSenderId: '+14155238886',
      providerMessageId: 'SM1',
      contact: { waId: '4915112345678', userId: null, phone: '+4915112345678', name: 'Ana' },
      atMs: NOW,
      type: 'text',
      content: { body: 'Hello' },
      replyTo: null,
      referral: null,
      isEcho: false,
    });
  });

  const media = (type: string): Json => ({
    NumMedia: '1',
    MediaUrl0: 'https://api.example/1',
    MediaContentType0: type,
  });
  const file = (mime_type: string): Json => ({ url: 'https://api.example/1', mime_type });
  it.each<[Json, string, Json]>([
    [{ ...media('image/jpeg'), Body: 'c' }, 'image', { ...file('image/jpeg'), caption: 'c' }],
    [media('video/mp4'), 'video', file('video/mp4')],
    [media('audio/ogg'), 'audio', file('audio/ogg')],
    [media('application/pdf'), 'document', file('application/pdf')],
    [media('image/webp'), 'sticker', file('image/webp')],
    [media('text/vcard'), 'contacts', { contacts: [], ...file('text/vcard') }],
    [
      { ...media('image/png'), NumMedia: '2', MediaUrl1: 'https://api.example/2', MediaContentType1: 'image/png' },
      'image',
      { ...file('image/png'), more: [{ url: 'https://api.example/2', mime_type: 'image/png' }] },
    ],
    [
      { Latitude: '1.5', Longitude: '-2', Label: 'n', Address: 'a' },
      'location',
      { latitude: 1.5, longitude: -2, name: 'n', address: 'a' },
    ],
    [{ ButtonPayload: 'p', ButtonText: 'Yes', Body: 'Yes' }, 'button', { payload: 'p', text: 'Yes' }],
    [
      { ListId: 'l', ListTitle: 'L', Body: 'L' },
      'interactive',
      { type: 'list_reply', list_reply: { id: 'l', title: 'L' } },
    ],
    [
      { InteractiveData: '{"a":1}' },
      'interactive',
      { type: 'nfm_reply', nfm_reply: { name: 'flow', response_json: '{"a":1}' } },
    ],
    [
      { MessageType: 'reaction', Body: '👍', OriginalRepliedMessageSid: 'SM9' },
      'reaction',
      { message_id: 'SM9', emoji: '👍' },
    ],
    [{ MessageType: 'order', Body: 'x' }, 'order', { body: 'x' }],
    [{ MessageType: 'text', Body: '' }, 'text', { body: '' }],
    [{ Body: 'x', Forwarded: 'true' }, 'text', { body: 'x', twilio: { Forwarded: 'true' } }],
  ])('%j is %s', (fields, type, content) => {
    expect(messageOf(fields)).toMatchObject({ type });
    expect(messageOf(fields).content).toEqual(content);
  });

  it('the message that is answered, and the advertisement that was clicked', () => {
    expect(
      messageOf({ Body: 'x', OriginalRepliedMessageSid: 'SM9', ReferralSourceId: '1', ReferralCtwaClid: 'c' }),
    ).toMatchObject({ replyTo: 'SM9', referral: { source_id: '1', ctwa_clid: 'c' } });
  });

  it('a person known by a business-scoped user id only', () => {
    expect(messageOf({ Body: 'x', From: 'whatsapp:US.123', WaId: undefined }).contact).toMatchObject({
      waId: null,
      userId: 'US.123',
      phone: null,
    });
  });

  it.each([
    ['STOP', false],
    ['START', true],
  ])('%s is a message and a wish', (OptOutType, wantsMarketing) => {
    expect(read({ ...INBOUND, Body: OptOutType, OptOutType })).toMatchObject([
      { kind: 'message' },
      { kind: 'preference', wantsMarketing, contact: { phone: '+4915112345678' } },
    ]);
  });

  it.each([
    ['queued', 'queued'],
    ['sending', 'sending'],
    ['sent', 'sent'],
    ['delivered', 'delivered'],
    ['read', 'read'],
    ['undelivered', 'failed'],
    ['failed', 'failed'],
    ['canceled', 'canceled'],
    ['NewWord', 'newword'],
  ])('a status %s is %s', (MessageStatus, status) => {
    expect(read({ ...STATUS, MessageStatus })).toEqual([
      {
        kind: 'status',
        status: {
          externalSenderId: '+14155238886',
          providerMessageId: 'SM2',
          status,
          atMs: NOW,
          isTimeOurs: true,
          tag: null,
          error: null,
          more: { To: 'whatsapp:+4915112345678' },
        },
      },
    ]);
  });

  it('a failure is explained by the table, with what to do by itself', () => {
    expect(read({ ...STATUS, MessageStatus: 'undelivered', ErrorCode: '63049' })).toMatchObject([
      {
        status: {
          status: 'failed',
          error: { code: 'DELIVERY_FAILED', providerCode: '63049', retryable: true },
          laterRetry: { waitMs: 86_400_000, retriesMax: 1 },
        },
      },
    ]);
    const [final] = read({ ...STATUS, MessageStatus: 'failed', ErrorCode: '63016', ChannelStatusMessage: 'window' });
    expect(final).toMatchObject({ status: { error: { providerCode: '63016', retryable: false } } });
  });

  it('the tag of the address comes with the status, and a posted one does not count', () => {
    const url = new URL(statusCallbackUrl('https://wax.example/', 'salon 1', 'v1.a.b'));
    expect(url.pathname).toBe('/webhooks/whatsapp/twilio/salon%201');
    const body = withCallbackTag({ ...STATUS, WaxwingTag: 'forged' }, Object.fromEntries(url.searchParams));
    expect(read(body)).toMatchObject([{ status: { tag: 'v1.a.b' } }]);
    expect(read(withCallbackTag({ ...STATUS, WaxwingTag: 'forged' }, {}))).toMatchObject([{ status: { tag: null } }]);
  });

  it.each<[unknown, string]>([
    [[{ type: 'com.twilio.messaging' }], 'events'],
    [{ Level: 'ERROR', PayloadType: 'application/json', Payload: '{}' }, 'application/json'],
    [{ EventType: 'onConversationAdded' }, 'onConversationAdded'],
    [{}, 'unnamed'],
  ])('%j is kept as other', (body, type) => {
    expect(read(body)).toEqual([{ kind: 'other', externalSenderId: null, type }]);
  });

  it('a message without an id or without a person is broken, without personal data', () => {
    for (const fields of [
      { MessageSid: '', SmsMessageSid: '' },
      { From: 'whatsapp:x', WaId: '' },
    ]) {
      const { events, broken } = twilioReader.read({ ...INBOUND, Body: 'x', ...fields }, NOW);
      expect(events).toEqual([]);
      expect(broken).toHaveLength(1);
      expect(JSON.stringify(broken)).not.toContain('4915');
    }
  });

  it('never throws, whatever comes', () => {
    fc.assert(
      fc.property(fc.anything(), (odd) => {
        twilioReader.read(odd, NOW);
        for (const name of [
          'Body',
          'From',
          'NumMedia',
          'MessageStatus',
          'ErrorCode',
          'ChannelMetadata',
          'Latitude',
          'ReferralX',
        ]) {
          twilioReader.read({ ...INBOUND, [name]: odd }, NOW);
          twilioReader.read({ ...STATUS, [name]: odd }, NOW);
        }
      }),
      { numRuns: 100 },
    );
  });
});
