import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { InboundMessage, ProviderEvent } from '../../src/providers/events.ts';
import { evolutionReader } from '../../src/providers/evolution/reader.ts';

const NOW = 1_800_000_000_000;
type Json = Record<string, unknown>;
const KEY = { remoteJid: '4915112345678@s.whatsapp.net', fromMe: false, id: '3EB0ABC' };
const body = (event: string, data: unknown): Json => ({
  event,
  instance: 'salon',
  data,
  destination: 'http://x',
  date_time: '2026-01-01T00:00:00Z',
  sender: '49@s.whatsapp.net',
  server_url: 'http://evolution',
  apikey: null,
});

function read(event: string, data: unknown): readonly ProviderEvent[] {
  const { events, broken } = evolutionReader.read(body(event, data), NOW);
  expect(broken).toEqual([]);
  return events;
}
function upsert(message: unknown, more: Json = {}): InboundMessage {
  const data = { key: KEY, pushName: 'Ana', message, messageTimestamp: 1_790_000_000, ...more };
  const [event] = read('messages.upsert', data);
  if (event?.kind !== 'message') throw new Error(`a message was expected, not ${event?.kind ?? 'nothing'}`);
  return event.message;
}

describe('R7 · the Evolution reader: messages of persons', () => {
  it('reads a text with who wrote it, when and to which instance', () => {
    expect(upsert({ conversation: 'Hello' }, { messageType: 'conversation' })).toEqual({
      externalSenderId: 'salon',
      providerMessageId: '3EB0ABC',
      contact: { waId: '4915112345678', userId: null, phone: '+4915112345678', name: 'Ana' },
      atMs: 1_790_000_000_000,
      type: 'text',
      content: { body: 'Hello' },
      replyTo: null,
      referral: null,
      isEcho: false,
    });
  });

  const file = { url: 'https://mmg.example/1', mimetype: 'x/y', fileSha256: 'abc', jpegThumbnail: 'big' };
  const read1 = { url: 'https://mmg.example/1', mime_type: 'x/y', sha256: 'abc' };
  it.each<[Json, string, Json]>([
    [{ extendedTextMessage: { text: 'x' } }, 'text', { body: 'x' }],
    [{ imageMessage: { ...file, caption: 'c' } }, 'image', { ...read1, caption: 'c' }],
    [{ videoMessage: file }, 'video', read1],
    [{ ptvMessage: file }, 'video', read1],
    [{ audioMessage: { ...file, ptt: true } }, 'audio', { ...read1, ptt: true, voice: true }],
    [
      { documentMessage: { ...file, fileName: 'a.pdf' } },
      'document',
      { ...read1, fileName: 'a.pdf', filename: 'a.pdf' },
    ],
    [
      { documentWithCaptionMessage: { message: { documentMessage: { ...file, fileName: 'a', caption: 'c' } } } },
      'document',
      { ...read1, fileName: 'a', filename: 'a', caption: 'c' },
    ],
    [{ viewOnceMessageV2: { message: { imageMessage: file } } }, 'image', read1],
    [{ ephemeralMessage: { message: { conversation: 'x' } } }, 'text', { body: 'x' }],
    [
      { imageMessage: file, mediaUrl: 'https://s3.example/1', base64: 'AAAA' },
      'image',
      { ...read1, url: 'https://s3.example/1' },
    ],
    [{ stickerMessage: { ...file, isAnimated: true } }, 'sticker', { ...read1, isAnimated: true, animated: true }],
    [
      { locationMessage: { degreesLatitude: 1, degreesLongitude: 2, name: 'n' } },
      'location',
      { latitude: 1, longitude: 2, name: 'n' },
    ],
    [{ liveLocationMessage: { degreesLatitude: 1, degreesLongitude: 2 } }, 'location', { latitude: 1, longitude: 2 }],
    [
      { contactMessage: { displayName: 'Bo', vcard: 'BEGIN' } },
      'contacts',
      { contacts: [{ name: { formatted_name: 'Bo' }, vcard: 'BEGIN' }] },
    ],
    [
      { contactsArrayMessage: { contacts: [{ displayName: 'Bo', vcard: 'B' }] } },
      'contacts',
      { contacts: [{ name: { formatted_name: 'Bo' }, vcard: 'B' }] },
    ],
    [
      { buttonsResponseMessage: { selectedButtonId: 'b', selectedDisplayText: 'B' } },
      'interactive',
      { type: 'button_reply', button_reply: { id: 'b', title: 'B' } },
    ],
    [
      { templateButtonReplyMessage: { selectedId: 'b', selectedDisplayText: 'B' } },
      'interactive',
      { type: 'button_reply', button_reply: { id: 'b', title: 'B' } },
    ],
    [
      { listResponseMessage: { title: 'L', singleSelectReply: { selectedRowId: 'l' } } },
      'interactive',
      { type: 'list_reply', list_reply: { id: 'l', title: 'L' } },
    ],
    [
      {
        interactiveResponseMessage: {
          body: { text: 'Yes' },
          nativeFlowResponseMessage: { name: 'quick_reply', paramsJson: '{"id":"y"}' },
        },
      },
      'interactive',
      { type: 'button_reply', button_reply: { id: 'y', title: 'Yes' } },
    ],
    [{ orderMessage: { orderId: 'o' } }, 'order', { orderId: 'o' }],
    [{ pollCreationMessageV3: { name: 'Which?' } }, 'pollCreationMessageV3', { name: 'Which?' }],
    [{ messageContextInfo: {}, hologramMessage: { depth: 3 } }, 'hologramMessage', { depth: 3 }],
  ])('%j is %s', (message, type, content) => {
    expect(upsert(message)).toMatchObject({ type });
    expect(upsert(message).content).toEqual(content);
  });

  it('a message that could not be decrypted is unsupported', () => {
    expect(upsert(undefined, { messageStubType: 2 })).toMatchObject({ type: 'unsupported', content: { stub: 2 } });
  });

  it.each<[Json, string]>([
    [{ reactionMessage: { key: { id: 'R' }, text: '👍' } }, 'R'],
    [{ protocolMessage: { type: 0, key: { id: 'O' } } }, 'O'],
    [{ protocolMessage: { type: 14, key: { id: 'O' }, editedMessage: { conversation: 'new' } } }, 'O'],
    [{ extendedTextMessage: { text: 'x', contextInfo: { stanzaId: 'Q' } } }, 'Q'],
  ])('%j answers %s', (message, replyTo) => {
    expect(upsert(message).replyTo).toBe(replyTo);
  });

  it('the quoted message may also stand beside a plain text', () => {
    expect(upsert({ conversation: 'x' }, { contextInfo: { stanzaId: 'Q' } }).replyTo).toBe('Q');
  });

  it('a click on an advertisement, but not a link preview', () => {
    const ad = {
      title: 'T',
      body: 'B',
      sourceUrl: 'u',
      sourceId: '1',
      sourceType: 'ad',
      ctwaClid: 'c',
      thumbnail: 'big',
    };
    const withAd = (externalAdReply: Json) =>
      upsert({ extendedTextMessage: { text: 'x', contextInfo: { externalAdReply } } }).referral;
    expect(withAd(ad)).toEqual({
      headline: 'T',
      body: 'B',
      source_url: 'u',
      source_id: '1',
      source_type: 'ad',
      ctwa_clid: 'c',
    });
    expect(withAd({ title: 'T', sourceUrl: 'u' })).toBeNull();
  });

  const LID = '123456789012345@lid';
  it.each<[string, Json, Json]>([
    ['only hidden', { remoteJid: LID }, { waId: LID, phone: null }],
    [
      'hidden, with the phone beside',
      { remoteJid: LID, remoteJidAlt: '4915112345678@s.whatsapp.net' },
      { waId: LID, phone: '+4915112345678' },
    ],
    [
      'a phone, with the hidden id beside',
      { remoteJid: KEY.remoteJid, remoteJidAlt: LID },
      { waId: LID, phone: '+4915112345678' },
    ],
    [
      'hidden, with the phone in the older field',
      { remoteJid: LID, senderPn: '4915112345678@s.whatsapp.net' },
      { waId: LID, phone: '+4915112345678' },
    ],
    [
      'with the number of a device',
      { remoteJid: '4915112345678:12@s.whatsapp.net' },
      { waId: '4915112345678', phone: '+4915112345678' },
    ],
  ])('the address of a person: %s', (_title, jids, contact) => {
    expect(upsert({ conversation: 'x' }, { key: { ...KEY, ...jids } }).contact).toMatchObject(contact);
  });

  it('a message from the own phone is an echo, and our name is not the name of the contact', () => {
    expect(upsert({ conversation: 'x' }, { key: { ...KEY, fromMe: true } })).toMatchObject({
      isEcho: true,
      contact: { name: null, phone: '+4915112345678' },
    });
  });

  it.each<[unknown, number]>([
    ['1790000000', 1_790_000_000_000],
    [{ low: 1_790_000_000, high: 0 }, 1_790_000_000_000],
    [undefined, NOW],
    ['soon', NOW],
  ])('a timestamp %j', (messageTimestamp, atMs) => {
    expect(upsert({ conversation: 'x' }, { messageTimestamp }).atMs).toBe(atMs);
  });

  it('an edit and a deletion get ids of their own, the same for a repeat', () => {
    const edited = { key: KEY, editedMessage: { conversation: 'new' }, timestampMs: '1790000000123' };
    const [edit] = read('messages.edited', edited);
    expect(edit).toMatchObject({
      message: {
        type: 'edit',
        replyTo: '3EB0ABC',
        providerMessageId: 'edit:3EB0ABC:1790000000123',
        content: { message: { body: 'new' } },
      },
    });
    expect(read('messages.edited', edited)).toEqual([edit]);
    expect(read('messages.delete', { ...KEY })).toMatchObject([
      { message: { type: 'revoke', replyTo: '3EB0ABC', providerMessageId: 'revoke:3EB0ABC' } },
    ]);
  });

  it.each([
    ['120363@g.us', 'group'],
    ['status@broadcast', 'broadcast'],
    ['1@newsletter', 'newsletter'],
  ])('%s is no person: kept as other', (remoteJid, kind) => {
    expect(read('messages.upsert', { key: { ...KEY, remoteJid }, message: { conversation: 'x' } })).toEqual([
      { kind: 'other', externalSenderId: 'salon', type: `messages.upsert.${kind}` },
    ]);
  });
});

describe('R7 · the Evolution reader: statuses and the instance', () => {
  const update = (status: unknown, more: Json = {}): Json => ({
    keyId: '3EB0ABC',
    messageId: 'clx0row',
    remoteJid: KEY.remoteJid,
    fromMe: true,
    status,
    ...more,
  });

  it.each<[unknown, string]>([
    ['PENDING', 'pending'],
    [1, 'pending'],
    ['SERVER_ACK', 'sent'],
    [2, 'sent'],
    ['DELIVERY_ACK', 'delivered'],
    [3, 'delivered'],
    ['READ', 'read'],
    [4, 'read'],
    ['PLAYED', 'played'],
    [5, 'played'],
    ['DELETED', 'deleted'],
    ['SENT', 'sent'],
    ['DELIVERED', 'delivered'],
    ['NEW_WORD', 'new_word'],
  ])('%j is %s, matched by the id of the key', (told, status) => {
    expect(read('messages.update', update(told))).toMatchObject([
      {
        kind: 'status',
        status: { externalSenderId: 'salon', providerMessageId: '3EB0ABC', status, atMs: NOW, tag: null, error: null },
      },
    ]);
  });

  it('the older shape, a list of keys and updates', () => {
    const item = { key: { ...KEY, fromMe: true }, update: { status: 3 } };
    expect(read('messages.update', [item, item])).toMatchObject([
      { kind: 'status', status: { providerMessageId: '3EB0ABC', status: 'delivered' } },
      { kind: 'status' },
    ]);
  });

  it('an error is explained by the table, and tried once more', () => {
    expect(read('messages.update', update('ERROR'))).toMatchObject([
      {
        status: {
          status: 'failed',
          error: { code: 'DELIVERY_FAILED', providerCode: 'SEND_FAILED' },
          laterRetry: { retriesMax: 1 },
        },
      },
    ]);
  });

  it.each<Json>([
    { messageStubParameters: ['463'] },
    { update: { messageStubParameters: ['463'] } },
    { error: 463 },
    { reason: 'nack 463' },
    { error: { code: '463' } },
  ])('R7 · 463 in %j is never retried and stops the instance', (more) => {
    const [status, sender] = read('messages.update', update('ERROR', more));
    expect(status).toMatchObject({ status: { status: 'failed', error: { providerCode: '463', retryable: false } } });
    expect(status?.kind === 'status' ? status.status.laterRetry : 0).toBeUndefined();
    expect(sender).toMatchObject({ kind: 'sender', state: 'paused', externalSenderId: 'salon' });
  });

  it('acknowledgements of messages of the customer are no statuses of ours', () => {
    expect(read('messages.update', update('READ', { fromMe: false }))).toMatchObject([{ kind: 'other' }]);
  });

  it('poll votes are kept', () => {
    expect(read('messages.update', { ...update(undefined), pollUpdates: [{}] })).toMatchObject([
      { kind: 'other', type: 'messages.update.poll' },
    ]);
  });

  it('an own send is a status of the lowest rank', () => {
    const data = { key: { ...KEY, fromMe: true }, message: { conversation: 'x' }, status: 'PENDING' };
    expect(read('send.message', data)).toMatchObject([
      { kind: 'status', status: { providerMessageId: '3EB0ABC', status: 'pending' } },
    ]);
  });

  it.each<[Json, string, string | null]>([
    [{ state: 'open', statusReason: 200 }, 'usable', null],
    [{ state: 'connecting', statusReason: 200 }, 'unchanged', null],
    [{ state: 'close', statusReason: 401 }, 'paused', '401: logged out: scan the QR code again'],
    [{ state: 'close', statusReason: 428 }, 'paused', '428: connection closed'],
    [{ state: 'refused', statusReason: 999 }, 'paused', '999'],
  ])('connection %j means %s', (data, state, reason) => {
    expect(read('connection.update', { instance: 'salon', ...data })).toMatchObject([
      { kind: 'sender', externalSenderId: 'salon', state, reason },
    ]);
  });

  it.each([
    ['status.instance', { instance: 'salon', status: 'closed' }],
    ['logout.instance', { instance: 'salon' }],
    ['remove.instance', { instance: 'salon' }],
  ])('%s stops the instance', (event, data) => {
    expect(read(event, data)).toMatchObject([{ kind: 'sender', state: 'paused' }]);
  });

  it.each([
    'contacts.upsert',
    'chats.set',
    'groups.upsert',
    'group-participants.update',
    'presence.update',
    'call',
    'labels.edit',
    'typebot.start',
    'qrcode.updated',
    'event.of.tomorrow',
    'constructor',
  ])('%s is kept as other', (event) => {
    expect(read(event, [{ any: 'thing' }])).toMatchObject([
      { kind: 'other', externalSenderId: 'salon', type: event.replace('-', '.') },
    ]);
  });

  it('reads upper case names of events', () => {
    expect(read('MESSAGES_UPSERT', { key: KEY, message: { conversation: 'x' } })).toMatchObject([{ kind: 'message' }]);
  });

  it('a broken item costs the good ones around it nothing', () => {
    const good = { key: KEY, message: { conversation: 'x' } };
    const { events, broken } = evolutionReader.read(body('messages.upsert', [good, null, { key: {} }, good]), NOW);
    expect(events).toHaveLength(2);
    expect(broken.map(({ where }) => where)).toEqual(['data[1]', 'data[2]']);
  });

  it('never throws, whatever comes', () => {
    const events = [
      'messages.upsert',
      'messages.update',
      'messages.edited',
      'messages.delete',
      'send.message',
      'connection.update',
      'status.instance',
      'x',
    ];
    fc.assert(
      fc.property(fc.anything(), (odd) => {
        evolutionReader.read(odd, NOW);
        for (const event of events) {
          evolutionReader.read(body(event, odd), NOW);
          evolutionReader.read(body(event, { key: odd, message: odd, status: odd, messageTimestamp: odd }), NOW);
          for (const name of [
            'imageMessage',
            'protocolMessage',
            'contactsArrayMessage',
            'interactiveResponseMessage',
            'reactionMessage',
          ]) {
            evolutionReader.read(body(event, { key: KEY, message: { [name]: odd } }), NOW);
          }
        }
      }),
      { numRuns: 100 },
    );
  });
});
