import { z } from 'zod';
import { text, token, wamid } from './fields.ts';

/** `text`: plain text with WhatsApp's own markup. */
export const textContent = z.strictObject({
  body: text(4_096),
  preview_url: z.boolean().describe('Shows a preview of the first link in the text.').optional(),
});

/** True for one emoji as a person sees it, which may be several code points. */
function isOneEmoji(value: string): boolean {
  if (value === '') return true;
  const shown = [...new Intl.Segmenter('en', { granularity: 'grapheme' }).segment(value)];
  return shown.length === 1 && /\p{Extended_Pictographic}|\p{Regional_Indicator}{2}|[0-9#*]\uFE0F?\u20E3/u.test(value);
}

/** `reaction`: an empty emoji takes an earlier reaction back. */
export const reactionContent = z.strictObject({
  message_id: wamid,
  emoji: text(64, { min: 0 })
    .refine(isOneEmoji, { error: 'It must be one emoji, or empty to take the reaction back.' })
    .describe('One emoji; empty takes an earlier reaction back.'),
});

const kind = text(64).describe('HOME, WORK, CELL, …').optional();
const short = text(1_000);

const contactCard = z.strictObject({
  name: z.strictObject({
    formatted_name: short,
    first_name: short.optional(),
    last_name: short.optional(),
    middle_name: short.optional(),
    prefix: short.optional(),
    suffix: short.optional(),
  }),
  phones: z
    .array(z.strictObject({ phone: text(64).optional(), type: kind, wa_id: token(128).optional() }))
    .max(100)
    .optional(),
  emails: z
    .array(z.strictObject({ email: text(320), type: kind }))
    .max(100)
    .optional(),
  addresses: z
    .array(
      z.strictObject({
        street: short.optional(),
        city: short.optional(),
        state: short.optional(),
        zip: short.optional(),
        country: short.optional(),
        country_code: short.optional(),
        type: kind,
      }),
    )
    .max(100)
    .optional(),
  urls: z
    .array(z.strictObject({ url: text(4_096), type: kind }))
    .max(100)
    .optional(),
  org: z.strictObject({ company: short.optional(), department: short.optional(), title: short.optional() }).optional(),
  birthday: z
    .string()
    .regex(/^\d{4}-\d{2}-\d{2}$/, { error: 'It must be a date such as 1990-12-31.' })
    .optional(),
});

/** `contacts`: one or more contact cards. WhatsApp names no limit; 100 is ours and bounds the work. */
export const contactsContent = z.array(contactCard).min(1).max(100);
