import { createHmac } from 'node:crypto';
import { foreignOf } from './foreign-ids.ts';
import { isPlainObject, type Settings } from './settings.ts';
import type { Update } from './webhook-body.ts';

/** One POST to the client in the words of another provider. */
export interface ForeignPost {
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
}

type Value = Readonly<Record<string, unknown>>;

/** Where updates of a sender of another provider go; undefined = it is a sender of the Cloud API. */
export function foreignUrl(update: Update, settings: Settings): string | null | undefined {
  const foreign = foreignOf(update.phoneNumberId);
  if (foreign === null) return undefined;
  if (foreign.provider === 'evolution') return settings.evolution.webhookUrl;
  // Twilio posts statuses to the address that came with the message, and messages to the number's own.
  const callback = update.value['biz_opaque_callback_data'];
  if (update.kind === 'statuses') return typeof callback === 'string' ? callback : settings.twilio.webhookUrl;
  return settings.twilio.webhookUrl;
}

/** An update, which is made in the Cloud API's words, in those of its sender's provider. */
export function foreignPost(update: Update, url: string, settings: Settings): ForeignPost {
  const foreign = foreignOf(update.phoneNumberId);
  const name = foreign?.name ?? '';
  return foreign?.provider === 'twilio'
    ? twilioPost(update, url, name, settings)
    : evolutionPost(update, name, settings);
}

const ACKS: Readonly<Record<string, string>> = {
  sent: 'SERVER_ACK',
  delivered: 'DELIVERY_ACK',
  read: 'READ',
  played: 'PLAYED',
  failed: 'ERROR',
};

function evolutionPost(update: Update, instance: string, settings: Settings): ForeignPost {
  const isStatus = update.kind === 'statuses';
  return evolutionEvent(
    instance,
    isStatus ? 'messages.update' : 'messages.upsert',
    isStatus ? evolutionStatus(update.value) : evolutionMessage(update),
    settings,
  );
}

/** The envelope of an Evolution webhook, with the secret headers that the settings name. */
export function evolutionEvent(instance: string, event: string, data: unknown, settings: Settings): ForeignPost {
  const envelope = {
    event,
    instance,
    data,
    destination: settings.evolution.webhookUrl,
    date_time: new Date().toISOString(),
    server_url: 'http://emulator',
    apikey: null,
  };
  return {
    body: JSON.stringify(envelope),
    headers: { 'content-type': 'application/json', ...settings.evolution.webhookHeaders },
  };
}

function evolutionStatus(value: Value): Value {
  const code = failureCode(value);
  return {
    keyId: value['id'],
    remoteJid: `${String(value['recipient_id'])}@s.whatsapp.net`,
    fromMe: true,
    status: ACKS[String(value['status'])] ?? 'SERVER_ACK',
    messageId: `row-${String(value['id'])}`,
    ...(code === null ? {} : { messageStubParameters: [String(code)] }),
  };
}

function evolutionMessage({ value, contact }: Update): Value {
  const type = String(value['type']);
  const content = isPlainObject(value[type]) ? value[type] : {};
  const context = isPlainObject(value['context']) ? { stanzaId: value['context']['id'] } : null;
  const message = evolutionContent(type, content);
  return {
    key: { remoteJid: `${String(value['from'])}@s.whatsapp.net`, fromMe: false, id: value['id'] },
    pushName: nameOf(contact),
    status: 'DELIVERY_ACK',
    message,
    messageType: Object.keys(message)[0],
    messageTimestamp: Number(value['timestamp']),
    source: 'android',
    ...(context === null ? {} : { contextInfo: context }),
  };
}

function evolutionContent(type: string, content: Value): Value {
  const file = {
    url: `/_emulator/media/${String(content['id'])}`,
    mimetype: content['mime_type'],
    caption: content['caption'],
  };
  switch (type) {
    case 'text':
      return { conversation: content['body'] };
    case 'image':
    case 'video':
    case 'audio':
    case 'document':
    case 'sticker':
      return { [`${type}Message`]: { ...file, fileName: content['filename'], ptt: content['voice'] } };
    case 'location':
      return {
        locationMessage: { ...content, degreesLatitude: content['latitude'], degreesLongitude: content['longitude'] },
      };
    case 'reaction':
      return { reactionMessage: { key: { id: content['message_id'] }, text: content['emoji'] ?? '' } };
    case 'interactive': {
      const button = content['button_reply'];
      const row = content['list_reply'];
      if (isPlainObject(button)) {
        return { buttonsResponseMessage: { selectedButtonId: button['id'], selectedDisplayText: button['title'] } };
      }
      if (isPlainObject(row)) {
        return { listResponseMessage: { title: row['title'], singleSelectReply: { selectedRowId: row['id'] } } };
      }
      return { interactiveResponseMessage: content };
    }
    case 'button':
      return { templateButtonReplyMessage: { selectedId: content['payload'], selectedDisplayText: content['text'] } };
    default:
      return { [`${type}Message`]: content };
  }
}

function twilioPost({ kind, value, contact }: Update, url: string, name: string, settings: Settings): ForeignPost {
  const { accountSid, authToken } = settings.twilio;
  const own = `whatsapp:${name}`;
  const fields: Record<string, string> =
    kind === 'statuses'
      ? twilioStatus(value, own)
      : { ...twilioMessage(value), To: own, ProfileName: nameOf(contact), SmsStatus: 'received' };
  const form = { ...fields, AccountSid: accountSid ?? `AC${'0'.repeat(32)}`, ApiVersion: '2010-04-01' };
  const signed =
    url +
    Object.entries(form)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, text]) => key + text)
      .join('');
  return {
    body: new URLSearchParams(form).toString(),
    headers: {
      'content-type': 'application/x-www-form-urlencoded; charset=utf-8',
      'user-agent': 'TwilioProxy/1.1',
      ...(authToken === null
        ? {}
        : { 'x-twilio-signature': createHmac('sha1', authToken).update(signed).digest('base64') }),
    },
  };
}

function twilioStatus(value: Value, from: string): Record<string, string> {
  const status = String(value['status']);
  const code = failureCode(value);
  const shown = status === 'failed' ? 'undelivered' : status;
  return {
    MessageSid: String(value['id']),
    SmsSid: String(value['id']),
    MessageStatus: shown,
    SmsStatus: shown,
    From: from,
    To: `whatsapp:+${String(value['recipient_id'])}`,
    // Twilio has a code of its own for the closed window.
    ...(code === null ? {} : { ErrorCode: String(code === 131047 ? 63016 : code) }),
  };
}

function twilioMessage(value: Value): Record<string, string> {
  const type = String(value['type']);
  const content = isPlainObject(value[type]) ? value[type] : {};
  const waId = String(value['from']);
  const sid = String(value['id']);
  const text = (field: unknown): string =>
    typeof field === 'string' || typeof field === 'number' ? String(field) : '';
  const context = isPlainObject(value['context']) ? { OriginalRepliedMessageSid: text(value['context']['id']) } : {};
  const row = isPlainObject(content['list_reply']) ? content['list_reply'] : null;
  const button = isPlainObject(content['button_reply']) ? content['button_reply'] : null;
  const isMedia = ['image', 'video', 'audio', 'document', 'sticker'].includes(type);
  return {
    MessageSid: sid,
    SmsMessageSid: sid,
    From: `whatsapp:+${waId}`,
    WaId: waId,
    MessageType: type,
    Body: text(
      content['body'] ??
        content['caption'] ??
        content['text'] ??
        content['emoji'] ??
        row?.['title'] ??
        button?.['title'],
    ),
    NumMedia: isMedia ? '1' : '0',
    ...(isMedia
      ? { MediaUrl0: `/_emulator/media/${text(content['id'])}`, MediaContentType0: text(content['mime_type']) }
      : {}),
    ...(type === 'location' ? { Latitude: text(content['latitude']), Longitude: text(content['longitude']) } : {}),
    ...(type === 'button' ? { ButtonPayload: text(content['payload']), ButtonText: text(content['text']) } : {}),
    ...(button === null ? {} : { ButtonPayload: text(button['id']), ButtonText: text(button['title']) }),
    ...(row === null ? {} : { ListId: text(row['id']), ListTitle: text(row['title']) }),
    ...(type === 'reaction' ? { OriginalRepliedMessageSid: text(content['message_id']) } : {}),
    ...context,
  };
}

function failureCode(value: Value): number | null {
  const [error] = Array.isArray(value['errors']) ? (value['errors'] as unknown[]) : [];
  const code = isPlainObject(error) ? Number(error['code']) : NaN;
  return Number.isInteger(code) ? code : null;
}

function nameOf(contact: Value | null): string {
  const profile = contact?.['profile'];
  return isPlainObject(profile) && typeof profile['name'] === 'string' ? profile['name'] : 'Customer';
}
