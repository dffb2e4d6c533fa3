import { z } from 'zod';

/**
 * Building blocks of the message schemas. No transforms: what is validated is what is stored and sent, and the
 * schemas also become the OpenAPI document.
 *
 * Lengths count Unicode characters, as JSON Schema does, so that an emoji is one; whether Meta counts so is not
 * documented, and a text that it finds too long after all is a definite refusal.
 */

/** Does the text have at most `max` characters. */
function fits(text: string, max: number): boolean {
  // UTF-16 units are never fewer than characters, so the exact count is seldom needed.
  return text.length <= max || (text.length <= 2 * max && Array.from(text).length <= max);
}

/** PostgreSQL and other JSON readers refuse both, so they must not get in. */
const UNSTORABLE = /\u0000|\p{Surrogate}/u;

/** A text of `min` to `max` characters. */
export function text(max: number, { min = 1 }: { min?: 0 | 1 } = {}): z.ZodString {
  return z
    .string()
    .refine((value) => min === 0 || value !== '', { error: 'It must not be empty.', abort: true })
    .refine((value) => fits(value, max), { error: `It may have at most ${max.toLocaleString('en')} characters.` })
    .refine((value) => !UNSTORABLE.test(value), { error: 'It has a character that is not valid Unicode text, or NUL.' })
    .meta({ ...(min === 0 ? {} : { minLength: min }), maxLength: max });
}

/** Ids that the caller or Meta chose: one word, no spaces. */
export function token(max: number): z.ZodString {
  return text(max).regex(/^\S*$/, { error: 'It must not have spaces or line breaks.' });
}

/** http or https; Meta's servers, not ours, open it. */
export const url = text(4_096)
  .refine(isHttpUrl, { error: 'It must be an address that starts with https:// or http://.' })
  .meta({ format: 'uri' });

function isHttpUrl(value: string): boolean {
  // URL() mends what a caller got wrong, such as https:///host; Meta's servers need not.
  return /^https?:\/\/[^\s/?#]\S*$/i.test(value) && URL.canParse(value);
}

/** wamid of an earlier message. */
export const wamid = token(512).describe('Id that WhatsApp gave the message: wamid.…');

/** Quoted reply. */
export const contextSchema = z
  .strictObject({ message_id: wamid })
  .describe('Shows the message as an answer to an earlier one.');

const MEDIA_FIELDS = {
  id: token(256).describe('Id of media that was uploaded to WhatsApp.').optional(),
  link: url.describe('Address from which WhatsApp fetches the media.').optional(),
};

function hasOneSource(media: { id?: string | undefined; link?: string | undefined }): boolean {
  return (media.id === undefined) !== (media.link === undefined);
}

/** Media: `id` or `link`, exactly one of them, and the fields that its kind adds. */
export function media<Shape extends z.core.$ZodLooseShape>(extra: Shape) {
  return z
    .strictObject({ ...MEDIA_FIELDS, ...extra })
    .refine((value) => hasOneSource(value as { id?: string; link?: string }), {
      error: 'Give either id or link, and not both.',
    });
}

const caption = text(1_024, { min: 0 }).optional();
export const image = media({ caption });
export const video = media({ caption });
export const audio = media({ voice: z.boolean().describe('A voice note: the file must be ogg with opus.').optional() });
export const sticker = media({});
export const document = media({
  caption,
  filename: text(255).describe('Name that the recipient sees; its ending tells the type.').optional(),
});

/** Media inside a header or a template parameter: no caption. */
export const headerImage = media({});
export const headerVideo = media({});
export const headerDocument = media({ filename: text(255).optional() });

const DECIMAL = /^-?\d{1,3}(\.\d{1,20})?$/;

/** Degrees; Meta's own examples give them as text. The limits stand outside the union, so that one sentence tells all. */
function degrees(limit: 90 | 180) {
  const error = `It must be a number from -${limit} to ${limit}.`;
  return z
    .union([z.number(), z.string()], { error })
    .refine((value) => typeof value === 'number' || DECIMAL.test(value), { error, abort: true })
    .refine((value) => Math.abs(Number(value)) <= limit, { error })
    .describe(`Degrees from -${limit} to ${limit}, as a number or as text.`);
}

export const location = z.strictObject({
  latitude: degrees(90),
  longitude: degrees(180),
  name: text(1_000).optional(),
  address: text(1_000).optional(),
});

/** True when no two items have the same key. */
export function unique<Item>(items: readonly Item[], keyOf: (item: Item) => unknown): boolean {
  return new Set(items.map(keyOf)).size === items.length;
}
