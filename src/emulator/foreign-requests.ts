import { phoneDigits, waIdOf } from './identity.ts';
import type { ParsedMessage } from './request.ts';
import { isPlainObject } from './settings.ts';

/** What is answered instead of taking a message. */
export interface ForeignRefusal {
  readonly refused: true;
  readonly code: number;
  readonly status: number;
  readonly text: string;
  readonly party: string | null;
}

type Body = Readonly<Record<string, unknown>>;

/** Evolution's error: `{status, error, response: {message}}`. 131026 is said as Evolution does: the number does not exist. */
export function evolutionError({ code, status, text, party }: ForeignRefusal): unknown {
  const message =
    code === 131026 && party !== null
      ? [{ jid: `${party}@s.whatsapp.net`, exists: false, number: party }]
      : status === 401
        ? text
        : [text];
  return { status, error: status === 401 ? 'Unauthorized' : 'Bad Request', response: { message } };
}

/** Twilio's error: `{code, message, more_info, status}`; limits of the emulator get Twilio's codes. */
export function twilioError({ code, status, text }: ForeignRefusal): unknown {
  const own = code === 130429 ? 20429 : code === 131056 ? 63018 : code;
  return { code: own, message: text, more_info: `https://www.twilio.com/docs/errors/${own}`, status };
}

function bad(code: number, text: string): ForeignRefusal {
  return { refused: true, code, status: 400, text, party: null };
}

/** A body of `POST /message/{route}/{instance}`, in the Cloud API's words for the chat. */
export function evolutionSend(route: string, value: unknown): ParsedMessage | ForeignRefusal {
  if (!isPlainObject(value)) return bad(400, 'The body must be a JSON object.');
  const key = isPlainObject(value['key']) ? value['key'] : {};
  const given = value['number'] ?? key['remoteJid'];
  const input = typeof given === 'string' ? given.replace(/@.*$/, '') : '';
  const content = evolutionContent(route, value);
  if (content === null) return { ...bad(404, `Cannot POST /message/${route}`), status: 404 };
  const missing = Object.entries(content.content).find(([name, text]) => text === undefined && !OPTIONAL.has(name));
  if (missing !== undefined) return bad(400, `instance requires property "${missing[0]}"`);
  const quoted = isPlainObject(value['quoted']) && isPlainObject(value['quoted']['key']) ? value['quoted']['key'] : {};
  return messageTo(input, content, typeof quoted['id'] === 'string' ? quoted['id'] : null, null);
}

const OPTIONAL = new Set(['caption', 'filename', 'footer', 'header', 'address', 'name', 'preview_url']);

function evolutionContent(route: string, value: Body): { type: string; content: Body } | null {
  switch (route) {
    case 'sendText':
      return { type: 'text', content: { body: value['text'] } };
    case 'sendMedia': {
      const media = { link: value['media'], caption: value['caption'], filename: value['fileName'] };
      return { type: String(value['mediatype']), content: media };
    }
    case 'sendWhatsAppAudio':
      return { type: 'audio', content: { link: value['audio'], voice: true } };
    case 'sendSticker':
      return { type: 'sticker', content: { link: value['sticker'] } };
    case 'sendLocation': {
      const { latitude, longitude, name, address } = value;
      return { type: 'location', content: { latitude, longitude, name, address } };
    }
    case 'sendContact':
      return { type: 'contacts', content: { contacts: value['contact'] } };
    case 'sendReaction': {
      const key = isPlainObject(value['key']) ? value['key'] : {};
      return { type: 'reaction', content: { message_id: key['id'], emoji: value['reaction'] } };
    }
    case 'sendButtons': {
      const buttons = (Array.isArray(value['buttons']) ? (value['buttons'] as unknown[]) : []).map((one) => {
        const button = isPlainObject(one) ? one : {};
        return { type: 'reply', reply: { id: button['id'] ?? button['url'], title: button['displayText'] } };
      });
      return interactive('button', value, { buttons });
    }
    case 'sendList': {
      const sections = (Array.isArray(value['sections']) ? (value['sections'] as unknown[]) : []).map((one) => {
        const section = isPlainObject(one) ? one : {};
        const rows = (Array.isArray(section['rows']) ? (section['rows'] as Body[]) : []).map((row) => ({
          id: row['rowId'],
          title: row['title'],
          description: row['description'],
        }));
        return { title: section['title'], rows };
      });
      return interactive('list', value, { button: value['buttonText'], sections });
    }
    case 'sendTemplate': {
      const { name, language, components } = value;
      return { type: 'template', content: { name, language: { code: language }, components } };
    }
    default:
      return null;
  }
}

function interactive(type: string, value: Body, action: Body): { type: string; content: Body } {
  const { title, description } = value;
  const header = typeof title === 'string' && title !== '' ? { header: { type: 'text', text: title } } : {};
  return { type: 'interactive', content: { type, ...header, body: { text: description ?? '' }, action } };
}

/** Fields of `Messages.json`. The address for statuses travels as the message's tag. */
export function twilioSend(value: unknown): ParsedMessage | ForeignRefusal {
  const fields = isPlainObject(value) ? value : {};
  const text = (name: string): string | null =>
    typeof fields[name] === 'string' && fields[name] !== '' ? fields[name] : null;
  const to = text('To');
  if (to === null) return bad(21604, "A 'To' phone number is required.");
  if (!to.startsWith('whatsapp:+')) return bad(21211, `The 'To' number ${to} is not a valid phone number.`);
  if (text('From') === null && text('MessagingServiceSid') === null)
    return bad(21603, "A 'From' phone number is required.");
  const content = twilioContent(text);
  if (content === null) return bad(21619, 'A text message body or media urls must be specified.');
  return messageTo(to.replace('whatsapp:', ''), content, null, text('StatusCallback'));
}

function twilioContent(text: (name: string) => string | null): { type: string; content: Body } | null {
  const [body, media, template, action] = ['Body', 'MediaUrl', 'ContentSid', 'PersistentAction'].map(text);
  if (template != null) {
    const variables = text('ContentVariables') ?? '';
    const parameters = [{ type: 'text', text: variables }];
    const components = variables === '' ? [] : [{ type: 'body', parameters }];
    return { type: 'template', content: { name: template, language: { code: 'en' }, components } };
  }
  const place = /^geo:([-\d.]+),([-\d.]+)(?:\|(.*))?$/s.exec(action ?? '');
  if (place !== null) {
    const [, latitude, longitude, name] = place;
    return { type: 'location', content: { latitude: Number(latitude), longitude: Number(longitude), name } };
  }
  if (media != null)
    return { type: kindOfFile(media), content: { link: media, ...(body == null ? {} : { caption: body }) } };
  return body == null ? null : { type: 'text', content: { body } };
}

function kindOfFile(link: string): string {
  const ending = /\.(\w+)(?:[?#].*)?$/.exec(link)?.[1]?.toLowerCase() ?? '';
  if (['jpg', 'jpeg', 'png'].includes(ending)) return 'image';
  if (['mp4', '3gp'].includes(ending)) return 'video';
  if (['ogg', 'mp3', 'aac', 'amr', 'm4a'].includes(ending)) return 'audio';
  return ending === 'webp' ? 'sticker' : 'document';
}

function messageTo(
  input: string,
  { type, content }: { type: string; content: Body },
  contextId: string | null,
  tag: string | null,
): ParsedMessage | ForeignRefusal {
  const digits = phoneDigits(input);
  if (digits === null) return bad(21211, `The number ${input} is not a valid phone number.`);
  const shown = type === 'contacts' ? content['contacts'] : content;
  return { kind: 'message', input, party: waIdOf(digits), partyKind: 'phone', type, content: shown, contextId, tag };
}
