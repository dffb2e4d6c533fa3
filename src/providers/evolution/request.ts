import type { MessageBody } from '../../model/message.ts';
import { AccountError, baseUrl, headerSecret } from '../account-error.ts';
import type { EvolutionChannel, SenderAccount } from '../contract.ts';
import { asArray, asObject, asText } from '../json.ts';
import { mediaLink, phoneDigitsOf, UnsupportedMessage } from '../unsupported.ts';

/** A route of Evolution API and what is posted to it. */
export interface EvolutionCall {
  /** Name under `/message/`. */
  readonly route: string;
  readonly payload: Readonly<Record<string, unknown>>;
}

type Content = Readonly<Record<string, unknown>>;

const EVOLUTION = 'Evolution';

/**
 * Maps a message onto Evolution API v2.
 * @throws UnsupportedMessage when it has no such message
 */
export function evolutionCall(body: MessageBody, channel: EvolutionChannel | null | undefined): EvolutionCall {
  const number = phoneDigitsOf(body, EVOLUTION);
  const content = asObject(body.content) ?? {};
  const quoted = body.context === undefined ? {} : { quoted: { key: { id: body.context.message_id } } };
  const call = (route: string, payload: Content): EvolutionCall => ({
    route,
    payload: present({ number, ...payload, ...quoted }),
  });
  switch (body.type) {
    case 'text':
      return call('sendText', { text: content['body'], linkPreview: content['preview_url'] === true });
    case 'image':
    case 'video':
    case 'document': {
      const media = mediaLink(content, body.type, EVOLUTION);
      const fileName = content['filename'] ?? (body.type === 'document' ? lastName(media) : undefined);
      return call('sendMedia', { mediatype: body.type, media, caption: content['caption'], fileName });
    }
    case 'audio':
      return audioCall(content, call);
    case 'sticker':
      return call('sendSticker', { sticker: mediaLink(content, 'sticker', EVOLUTION) });
    case 'location':
      return locationCall(content, call);
    case 'contacts':
      return call('sendContact', { contact: asArray(body.content).map(contactOf) });
    case 'reaction': {
      // Reactions answer what the customer wrote; a key of our own messages would need fromMe.
      const key = { id: content['message_id'], remoteJid: `${number}@s.whatsapp.net`, fromMe: false };
      return { route: 'sendReaction', payload: { key, reaction: content['emoji'] } };
    }
    case 'interactive':
      return interactiveCall(content, call);
    case 'template':
      if (channel !== 'cloud') {
        throw new UnsupportedMessage(
          'type',
          'Evolution sends templates only on an instance with the Cloud channel: send a text, or set channel to cloud.',
        );
      }
      return call('sendTemplate', {
        name: content['name'],
        language: asObject(content['language'])?.['code'],
        components: content['components'] ?? [],
      });
  }
}

/** Where and with what headers a call goes. @throws AccountError when the account cannot be used */
export function evolutionEndpoint(account: SenderAccount, path: string): { url: URL; headers: Record<string, string> } {
  if (!/^[^\p{Cc}/?#\\]{1,128}$/u.test(account.externalId) || /^\.{1,2}$/.test(account.externalId)) {
    throw new AccountError('address', "Set the instance's name of this sender, as the Evolution manager shows it.");
  }
  const base = baseUrl(account.apiUrl, 'http://evolution:8080');
  const root = base.pathname.replace(/\/+$/, '');
  return {
    url: new URL(`${root}/${path}/${encodeURIComponent(account.externalId)}`, base.origin),
    headers: { apikey: headerSecret(account.credentials['apiKey'], 'API key'), 'content-type': 'application/json' },
  };
}

type Call = (route: string, payload: Content) => EvolutionCall;

function audioCall(content: Content, call: Call): EvolutionCall {
  const link = mediaLink(content, 'audio', EVOLUTION);
  if (content['voice'] === true) return call('sendWhatsAppAudio', { audio: link });
  return call('sendMedia', { mediatype: 'audio', media: link });
}

function locationCall(content: Content, call: Call): EvolutionCall {
  const [latitude, longitude] = [Number(content['latitude']), Number(content['longitude'])];
  const place = `${latitude}, ${longitude}`;
  // Both texts are required there.
  const name = asText(content['name'], 1_000) ?? asText(content['address'], 1_000) ?? place;
  return call('sendLocation', { latitude, longitude, name, address: asText(content['address'], 1_000) ?? name });
}

function contactOf(item: unknown, index: number): Content {
  const contact = asObject(item) ?? {};
  const phone = asObject(asArray(contact['phones'])[0]);
  const number = asText(phone?.['wa_id'], 64) ?? asText(phone?.['phone'], 64);
  const digits = number?.replace(/\D/g, '') ?? '';
  if (digits.length < 10) {
    throw new UnsupportedMessage(`contacts[${index}].phones`, 'Evolution sends contacts with a phone number only.');
  }
  const name = asObject(contact['name']);
  return present({
    fullName: asText(name?.['formatted_name'], 1_000) ?? digits,
    wuid: digits,
    phoneNumber: asText(phone?.['phone'], 64) ?? `+${digits}`,
    organization: asObject(contact['org'])?.['company'],
    email: asObject(asArray(contact['emails'])[0])?.['email'],
    url: asObject(asArray(contact['urls'])[0])?.['url'],
  });
}

function interactiveCall(content: Content, call: Call): EvolutionCall {
  const texts = {
    description: asObject(content['body'])?.['text'],
    footer: asObject(content['footer'])?.['text'],
  };
  const action = asObject(content['action']) ?? {};
  switch (content['type']) {
    case 'button': {
      const buttons = asArray(action['buttons']).map((button) => {
        const reply = asObject(asObject(button)?.['reply']);
        return { type: 'reply', displayText: reply?.['title'], id: reply?.['id'] };
      });
      return call('sendButtons', { ...headerOf(content), ...texts, buttons });
    }
    case 'cta_url': {
      const parameters = asObject(action['parameters']);
      const buttons = [{ type: 'url', displayText: parameters?.['display_text'], url: parameters?.['url'] }];
      return call('sendButtons', { ...headerOf(content), ...texts, buttons });
    }
    case 'list':
      return call('sendList', {
        title: asObject(content['header'])?.['text'] ?? '',
        description: texts.description,
        footerText: texts.footer ?? '',
        buttonText: action['button'],
        sections: asArray(action['sections']).map((section) => sectionOf(section, action['button'])),
      });
    default:
      throw new UnsupportedMessage(
        'interactive.type',
        `Evolution cannot send an interactive message of type ${String(content['type'])}: use button, list or cta_url.`,
      );
  }
}

function sectionOf(item: unknown, otherwise: unknown): Content {
  const section = asObject(item) ?? {};
  const rows = asArray(section['rows']).map((row) => {
    const { id, title, description } = asObject(row) ?? {};
    return present({ rowId: id, title, description });
  });
  // A section must have a title there.
  return { title: section['title'] ?? otherwise, rows };
}

function headerOf(content: Content): Content {
  const header = asObject(content['header']);
  if (header === null) return { title: '' };
  if (header['type'] === 'text') return { title: header['text'] };
  if (header['type'] === 'image') {
    const image = asObject(header['image']) ?? {};
    return { title: '', thumbnailUrl: mediaLink(image, 'interactive.header.image', EVOLUTION) };
  }
  throw new UnsupportedMessage('interactive.header', 'Evolution shows a text or an image above buttons, nothing else.');
}

/** Name of a document that has none: the last part of its address. */
function lastName(link: string): string {
  const name = URL.canParse(link) ? (new URL(link).pathname.split('/').at(-1) ?? '') : '';
  return name === '' ? 'document' : name.slice(0, 255);
}

function present(fields: Content): Content {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}
