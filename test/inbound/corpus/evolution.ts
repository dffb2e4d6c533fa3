import type { Corpus, Sample } from './corpus.ts';

/* Every kind of webhook of Evolution API v2 that the provider facts name. */

type Json = Record<string, unknown>;
const file = { url: 'https://mmg.example/1', mimetype: 'x/y', fileSha256: 'abc' };

const MESSAGES: readonly (readonly [type: string, message: Json])[] = [
  ['text', { conversation: 'Grüße 👋 "quoted" \\ / <&>' }],
  ['text', { extendedTextMessage: { text: 'x', contextInfo: { stanzaId: 'QUOTED' } } }],
  ['image', { imageMessage: { ...file, caption: 'c' } }],
  ['video', { videoMessage: file }],
  ['video', { ptvMessage: file }],
  ['audio', { audioMessage: { ...file, ptt: true } }],
  ['document', { documentMessage: { ...file, fileName: 'a.pdf' } }],
  ['document', { documentWithCaptionMessage: { message: { documentMessage: { ...file, caption: 'c' } } } }],
  ['image', { viewOnceMessageV2: { message: { imageMessage: file } } }],
  ['text', { ephemeralMessage: { message: { conversation: 'x' } } }],
  ['sticker', { stickerMessage: { ...file, isAnimated: true } }],
  ['location', { locationMessage: { degreesLatitude: 1, degreesLongitude: 2 } }],
  ['location', { liveLocationMessage: { degreesLatitude: 1, degreesLongitude: 2 } }],
  ['contacts', { contactMessage: { displayName: 'Bo', vcard: 'BEGIN' } }],
  ['contacts', { contactsArrayMessage: { contacts: [{ displayName: 'Bo', vcard: 'B' }] } }],
  ['interactive', { buttonsResponseMessage: { selectedButtonId: 'b', selectedDisplayText: 'B' } }],
  ['interactive', { templateButtonReplyMessage: { selectedId: 'b', selectedDisplayText: 'B' } }],
  ['interactive', { listResponseMessage: { title: 'L', singleSelectReply: { selectedRowId: 'l' } } }],
  ['reaction', { reactionMessage: { key: { id: 'QUOTED' }, text: '👍' } }],
  ['order', { orderMessage: { orderId: 'o' } }],
  ['pollCreationMessageV3', { pollCreationMessageV3: { name: 'Which?' } }],
  ['hologramMessage', { hologramMessage: { depth: 3 } }],
];

const EVENTS: readonly (readonly [kind: string, event: string, data: unknown])[] = [
  ['sender', 'connection.update', { state: 'open', statusReason: 200 }],
  ['other', 'qrcode.updated', { qrcode: {} }],
  ['other', 'contacts.upsert', [{ remoteJid: '49@s.whatsapp.net' }]],
  ['other', 'chats.update', [{}]],
  ['other', 'groups.upsert', [{}]],
  ['other', 'group-participants.update', {}],
  ['other', 'presence.update', {}],
  ['other', 'call', {}],
  ['other', 'labels.edit', {}],
  ['other', 'typebot.start', {}],
  ['other', 'event.of.tomorrow', {}],
];

let made = 0;

export function evolutionCorpus(secret: string, sender: string, instance: string): Corpus {
  const post = (event: string, data: unknown): Sample['post'] => ({
    path: `/webhooks/whatsapp/evolution/${sender}`,
    body: JSON.stringify({
      event,
      instance,
      data,
      destination: 'http://x',
      date_time: '2026-01-01T00:00:00Z',
      apikey: null,
    }),
    headers: { 'content-type': 'application/json', 'x-webhook-token': secret },
  });
  const upsert = (index: number, phone: string): { readonly id: string; readonly data: Json } => {
    made += 1;
    const id = `3EB0${process.pid}.${made}`;
    const key = { remoteJid: `${phone}@s.whatsapp.net`, fromMe: false, id };
    const message = MESSAGES[index % MESSAGES.length]?.[1];
    return { id, data: { key, pushName: 'Ana', message, messageTimestamp: Math.floor(Date.now() / 1000) } };
  };
  return {
    samples: [
      ...MESSAGES.map(([type], index): Sample => {
        const { id, data } = upsert(index, '4915100000002');
        return { kind: 'message', type, id, post: post('messages.upsert', data) };
      }),
      ...(['edit', 'revoke'] as const).map((type): Sample => {
        made += 1;
        const key = { remoteJid: '4915100000002@s.whatsapp.net', fromMe: false, id: `3EB0CHANGED${made}` };
        return type === 'edit'
          ? {
              kind: 'message',
              type,
              id: `edit:${key.id}:1790000000123`,
              post: post('messages.edited', {
                key,
                editedMessage: { conversation: 'new' },
                timestampMs: '1790000000123',
              }),
            }
          : { kind: 'message', type, id: `revoke:${key.id}`, post: post('messages.delete', key) };
      }),
      ...EVENTS.map(([kind, event, data]): Sample => ({ kind, type: event, id: '', post: post(event, data) })),
    ],
    batch: (count, phone) => [
      post(
        'messages.upsert',
        Array.from({ length: count }, (_, index) => upsert(index, phone(index)).data),
      ),
    ],
    status: (id, status) =>
      post('messages.update', {
        keyId: id,
        messageId: 'clx0row',
        remoteJid: '4915100000002@s.whatsapp.net',
        fromMe: true,
        status,
        ...(status === 'ERROR' ? { messageStubParameters: ['479'] } : {}),
      }),
    words: { sent: 'SERVER_ACK', delivered: 'DELIVERY_ACK', read: 'READ', failed: 'ERROR' },
  };
}
