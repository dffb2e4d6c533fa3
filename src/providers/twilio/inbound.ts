import { UnreadableItem } from '../collector.ts';
import type { ProviderEvent } from '../events.ts';
import { asObject, asWholeNumber, parseJson } from '../json.ts';
import { personOf, withoutPrefix } from './addresses.ts';

export type Fields = Readonly<Record<string, unknown>>;

const FIELD_MAX = 65_536;
const MEDIA_MAX = 10;
const REFERRAL_PREFIX = 'Referral';

/** Fields that become fields of the message or of its contact, or that say what is said elsewhere. */
const NOT_CONTENT =
  /^(AccountSid|ApiVersion|Body|ButtonPayload|ButtonText|ChannelMetadata|FlowData|From|InteractiveData|ListDescription|ListId|ListTitle|Label|Address|Latitude|Longitude|MessageSid|MessageStatus|MessageType|Media(Url|ContentType)\d+|NumMedia|NumSegments|OriginalRepliedMessage(Sid|Sender)|ProfileName|Referral\w+|SmsMessageSid|SmsSid|SmsStatus|To|WaId|WaxwingTag)$/;

/** The first value of a field that is not empty. */
export function fieldOf(fields: Fields, name: string): string | null {
  const given = Object.hasOwn(fields, name) ? fields[name] : undefined;
  const value: unknown = Array.isArray(given) ? (given as unknown[])[0] : given;
  return typeof value === 'string' && value !== '' && value.length <= FIELD_MAX ? value : null;
}

/** A message that a person sent; with an opt-out word also what the person wants. */
export function readInbound(fields: Fields, id: string, receivedAtMs: number): ProviderEvent | ProviderEvent[] {
  const contact = personOf(fieldOf(fields, 'From'), fieldOf(fields, 'WaId'), fieldOf(fields, 'ProfileName'));
  if (contact === null) throw new UnreadableItem('it names no person');
  const to = fieldOf(fields, 'To');
  const externalSenderId = to === null ? (fieldOf(fields, 'MessagingServiceSid') ?? '') : withoutPrefix(to);
  const { type, content } = contentOf(fields);
  const beside = Object.entries(fields).filter(([name]) => !NOT_CONTENT.test(name) && name !== '__proto__');
  const message: ProviderEvent = {
    kind: 'message',
    message: {
      externalSenderId,
      providerMessageId: id,
      contact,
      atMs: receivedAtMs,
      type,
      content: { ...content, ...(beside.length === 0 ? {} : { twilio: Object.fromEntries(beside) }) },
      replyTo: fieldOf(fields, 'OriginalRepliedMessageSid'),
      referral: referralOf(fields),
      isEcho: false,
    },
  };
  const wish = fieldOf(fields, 'OptOutType')?.toUpperCase();
  if (wish !== 'STOP' && wish !== 'START') return message;
  const preference = { externalSenderId, contact, wantsMarketing: wish === 'START', atMs: receivedAtMs };
  return [message, { kind: 'preference', ...preference }];
}

interface Content {
  readonly type: string;
  readonly content: Record<string, unknown>;
}

function contentOf(fields: Fields): Content {
  const body = fieldOf(fields, 'Body');
  const told = fieldOf(fields, 'MessageType')?.toLowerCase() ?? null;
  if (told === 'reaction') {
    const target = fieldOf(fields, 'OriginalRepliedMessageSid');
    return { type: 'reaction', content: present({ message_id: target, emoji: body }) };
  }
  return (
    listOf(fields) ??
    buttonOf(fields) ??
    flowOf(fields) ??
    locationOf(fields) ??
    mediaOf(fields, body, told) ??
    (told !== null && told !== 'text' ? { type: told.slice(0, 64), content: present({ body }) } : null) ?? {
      type: 'text',
      content: { body: body ?? '' },
    }
  );
}

function listOf(fields: Fields): Content | null {
  const id = fieldOf(fields, 'ListId');
  if (id === null) return null;
  const title = fieldOf(fields, 'ListTitle') ?? fieldOf(fields, 'Body');
  const list_reply = present({ id, title, description: fieldOf(fields, 'ListDescription') });
  return { type: 'interactive', content: { type: 'list_reply', list_reply } };
}

function buttonOf(fields: Fields): Content | null {
  const payload = fieldOf(fields, 'ButtonPayload');
  const text = fieldOf(fields, 'ButtonText');
  if (payload === null && text === null) return null;
  return { type: 'button', content: present({ payload: payload ?? text, text: text ?? fieldOf(fields, 'Body') }) };
}

function flowOf(fields: Fields): Content | null {
  const data = fieldOf(fields, 'InteractiveData') ?? fieldOf(fields, 'FlowData');
  if (data === null) return null;
  const nfm_reply = present({ name: 'flow', body: fieldOf(fields, 'Body'), response_json: data });
  return { type: 'interactive', content: { type: 'nfm_reply', nfm_reply } };
}

function locationOf(fields: Fields): Content | null {
  const [latitude, longitude] = [fieldOf(fields, 'Latitude'), fieldOf(fields, 'Longitude')].map(Number);
  if (fieldOf(fields, 'Latitude') === null || !Number.isFinite(latitude) || !Number.isFinite(longitude)) return null;
  const place = { name: fieldOf(fields, 'Label'), address: fieldOf(fields, 'Address') };
  return { type: 'location', content: present({ latitude, longitude, ...place }) };
}

function mediaOf(fields: Fields, caption: string | null, told: string | null): Content | null {
  const count = Math.min(asWholeNumber(fieldOf(fields, 'NumMedia')) ?? 0, MEDIA_MAX);
  const items = Array.from({ length: count }, (_, n) =>
    present({ url: fieldOf(fields, `MediaUrl${n}`), mime_type: fieldOf(fields, `MediaContentType${n}`) }),
  ).filter((item) => item['url'] !== undefined);
  const [first, ...more] = items;
  if (first === undefined) return null;
  const mime = typeof first['mime_type'] === 'string' ? first['mime_type'].toLowerCase() : '';
  if (/^text\/(x-)?vcard/.test(mime)) return { type: 'contacts', content: { contacts: [], ...first } };
  const type =
    told === 'sticker' || mime === 'image/webp' ? 'sticker' : (/^(image|video|audio)\//.exec(mime)?.[1] ?? 'document');
  return { type, content: present({ ...first, caption, more: more.length === 0 ? null : more }) };
}

/** `ReferralSourceId` → `source_id`, as the Cloud API names it; `ChannelMetadata` may hold more and stays raw. */
function referralOf(fields: Fields): Record<string, unknown> | null {
  const found = Object.keys(fields)
    .filter((name) => name.startsWith(REFERRAL_PREFIX) && name.length > REFERRAL_PREFIX.length)
    .flatMap((name) => {
      const value = fieldOf(fields, name);
      const words = name.slice(REFERRAL_PREFIX.length).replaceAll(/(?<=[a-z0-9])[A-Z]/g, (letter) => `_${letter}`);
      return value === null ? [] : [[words.toLowerCase(), value] as const];
    });
  if (found.length > 0) return Object.fromEntries(found);
  const metadata = asObject(parseJson(fieldOf(fields, 'ChannelMetadata') ?? ''));
  return asObject(asObject(asObject(metadata?.['data'])?.['context'])?.['referral']);
}

function present(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined && value !== null));
}
