import { createHmac } from 'node:crypto';
import type { Corpus, Sample } from './corpus.ts';

/* Every kind of webhook of Twilio that the provider facts name, signed as Twilio signs. */

type Fields = Readonly<Record<string, string>>;
const media = (type: string): Fields => ({
  NumMedia: '1',
  MediaUrl0: 'https://api.example/1',
  MediaContentType0: type,
});

const MESSAGES: readonly (readonly [type: string, fields: Fields])[] = [
  ['text', { Body: 'Grüße 👋 "quoted" \\ / <&>+ %' }],
  ['image', { ...media('image/jpeg'), Body: 'c' }],
  ['video', media('video/mp4')],
  ['audio', media('audio/ogg')],
  ['document', media('application/pdf')],
  ['sticker', media('image/webp')],
  ['contacts', media('text/vcard')],
  ['location', { Latitude: '1.5', Longitude: '-2', Label: 'n' }],
  ['button', { ButtonPayload: 'p', ButtonText: 'Yes', Body: 'Yes' }],
  ['interactive', { ListId: 'l', ListTitle: 'L', Body: 'L' }],
  ['interactive', { InteractiveData: '{"a":1}' }],
  ['reaction', { MessageType: 'reaction', Body: '👍', OriginalRepliedMessageSid: 'SMquoted' }],
  ['order', { MessageType: 'order', Body: 'x' }],
  ['text', { Body: 'from an ad', ReferralSourceId: '1', ReferralCtwaClid: 'c' }],
  ['text', { Body: 'forwarded', Forwarded: 'true' }],
  ['hologram', { MessageType: 'hologram', Body: 'x' }],
];

let made = 0;
const sid = (): string => {
  made += 1;
  return `SM${String(process.pid).padStart(8, '0')}${made.toString(16).padStart(24, '0')}`;
};

/** @param number the sender's, E.164 */
export function twilioCorpus(token: string, origin: string, sender: string, number: string): Corpus {
  const path = `/webhooks/whatsapp/twilio/${sender}`;
  const post = (fields: Fields): Sample['post'] => {
    const sorted = Object.entries(fields).sort(([a], [b]) => (a < b ? -1 : 1));
    const text = origin + path + sorted.map(([name, value]) => name + value).join('');
    return {
      path,
      body: new URLSearchParams(fields).toString(),
      headers: {
        'content-type': 'application/x-www-form-urlencoded',
        'x-twilio-signature': createHmac('sha1', token).update(text).digest('base64'),
      },
    };
  };
  const inbound = (index: number, phone: string): Fields => ({
    MessageSid: sid(),
    AccountSid: 'AC1',
    From: `whatsapp:+${phone}`,
    To: `whatsapp:${number}`,
    WaId: phone,
    ProfileName: 'Ana',
    NumMedia: '0',
    ApiVersion: '2010-04-01',
    ...MESSAGES[index % MESSAGES.length]?.[1],
  });
  return {
    samples: [
      ...MESSAGES.map(([type], index): Sample => {
        const fields = inbound(index, '4915100000003');
        return { kind: 'message', type, id: String(fields['MessageSid']), post: post(fields) };
      }),
      {
        kind: 'other',
        type: 'application/json',
        id: '',
        post: post({ Level: 'ERROR', PayloadType: 'application/json', Payload: '{}' }),
      },
    ],
    batch: (count, phone) => Array.from({ length: count }, (_, index) => post(inbound(index, phone(index)))),
    status: (id, status) =>
      post({
        MessageSid: id,
        MessageStatus: status,
        From: `whatsapp:${number}`,
        To: 'whatsapp:+4915100000003',
        AccountSid: 'AC1',
        ...(status === 'failed' ? { ErrorCode: '63024' } : {}),
      }),
    words: { sent: 'sent', delivered: 'delivered', read: 'read', failed: 'failed' },
  };
}
