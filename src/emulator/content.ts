import {
  badParameter,
  badValue,
  checkMediaSource,
  listAt,
  missing,
  objectAt,
  onlyKeys,
  optionalBooleanAt,
  optionalTextAt,
  textAt,
} from './checks.ts';
import { checkInteractive } from './interactive.ts';
import { checkTemplate } from './template.ts';

/**
 * What the Cloud API accepts as the object named after `type`. Written apart from the validation of our own API on
 * purpose: this is the judge of what we send.
 */
type Check = (content: unknown, strict: boolean) => void;

const MEDIA_KEYS: Readonly<Record<string, ReadonlySet<string>>> = {
  image: new Set(['id', 'link', 'caption']),
  video: new Set(['id', 'link', 'caption']),
  document: new Set(['id', 'link', 'caption', 'filename']),
  audio: new Set(['id', 'link', 'voice']),
  sticker: new Set(['id', 'link']),
};
const TEXT_KEYS = new Set(['body', 'preview_url']);
const LOCATION_KEYS = new Set(['latitude', 'longitude', 'name', 'address']);
const REACTION_KEYS = new Set(['message_id', 'emoji']);
const CONTACT_KEYS = new Set(['name', 'phones', 'emails', 'addresses', 'urls', 'org', 'birthday']);
const EMOJI = /[\p{Extended_Pictographic}\p{Regional_Indicator}\u20e3]/u;
const graphemes = new Intl.Segmenter('en', { granularity: 'grapheme' });

const CHECKS: Readonly<Record<string, Check>> = {
  text: (content, strict) => {
    const text = objectAt(content, 'text');
    onlyKeys(text, 'text', TEXT_KEYS, strict);
    textAt(text['body'], "text['body']", 4096);
    optionalBooleanAt(text['preview_url'], "text['preview_url']");
  },
  image: (content, strict) => checkMedia('image', content, strict),
  video: (content, strict) => checkMedia('video', content, strict),
  document: (content, strict) => checkMedia('document', content, strict),
  audio: (content, strict) => checkMedia('audio', content, strict),
  sticker: (content, strict) => checkMedia('sticker', content, strict),
  location: (content, strict) => {
    const location = objectAt(content, 'location');
    onlyKeys(location, 'location', LOCATION_KEYS, strict);
    checkDegrees(location['latitude'], "location['latitude']", 90);
    checkDegrees(location['longitude'], "location['longitude']", 180);
    optionalTextAt(location['name'], "location['name']", 1024);
    optionalTextAt(location['address'], "location['address']", 1024);
  },
  contacts: (content, strict) => {
    const contacts = listAt(content, 'contacts', { min: 1, max: 257 });
    for (const [index, item] of contacts.entries()) {
      const contact = objectAt(item, `contacts[${index}]`);
      onlyKeys(contact, `contacts[${index}]`, CONTACT_KEYS, strict);
      const name = objectAt(contact['name'], `contacts[${index}]['name']`);
      textAt(name['formatted_name'], `contacts[${index}]['name']['formatted_name']`, 1024);
      for (const key of ['phones', 'emails', 'addresses', 'urls'])
        if (contact[key] !== undefined) listAt(contact[key], `contacts[${index}]['${key}']`, { min: 0, max: 100 });
    }
  },
  reaction: (content, strict) => {
    const reaction = objectAt(content, 'reaction');
    onlyKeys(reaction, 'reaction', REACTION_KEYS, strict);
    textAt(reaction['message_id'], "reaction['message_id']", 512);
    const emoji = reaction['emoji'];
    if (emoji === undefined || emoji === null) throw missing("reaction['emoji']");
    if (typeof emoji !== 'string') throw badParameter("Param reaction['emoji'] must be a string.");
    // An empty text takes the reaction back.
    if (emoji !== '' && (emoji.length > 64 || !EMOJI.test(emoji) || [...graphemes.segment(emoji)].length !== 1))
      throw badValue("Param reaction['emoji'] must be a single emoji.");
  },
  interactive: checkInteractive,
  template: checkTemplate,
};

export const SENDABLE_TYPES: readonly string[] = Object.keys(CHECKS);

/** Throws a `GraphError` when the Cloud API would not take this content for this type. */
export function checkContent(type: string, content: unknown, strict: boolean): void {
  CHECKS[type]?.(content, strict);
}

function checkMedia(type: string, content: unknown, strict: boolean): void {
  const media = objectAt(content, type);
  onlyKeys(media, type, MEDIA_KEYS[type] ?? new Set(), strict);
  checkMediaSource(media, type);
  optionalTextAt(media['caption'], `${type}['caption']`, 1024);
  optionalTextAt(media['filename'], `${type}['filename']`, 240);
  optionalBooleanAt(media['voice'], `${type}['voice']`);
}

function checkDegrees(value: unknown, param: string, limit: number): void {
  if (value === undefined || value === null) throw missing(param);
  // Meta takes numbers and numbers in text.
  const degrees = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  if (typeof degrees !== 'number' || Number.isNaN(degrees) || Math.abs(degrees) > limit)
    throw badValue(`Param ${param} must be a number between -${limit} and ${limit}.`);
}
