import { parsePhoneNumberFromString } from 'libphonenumber-js';
import { z } from 'zod';
import { canonicalContact } from '../../util/canonical-contact.ts';

/** Business-scoped user id: country, dot, letters and digits; the parent form has `ENT.` in between. */
export const recipientSchema = z
  .string()
  .regex(/^[A-Z]{2}\.(ENT\.)?[A-Za-z0-9]{1,128}$/, {
    error: "It must be WhatsApp's business-scoped user id, such as US.13491208655302741918.",
  })
  .describe('Business-scoped user id, as WhatsApp webhooks give it (user_id).');

export type ParsedRecipient =
  | {
      readonly ok: true;
      /** E.164 with `+`, as the caller meant it: what is sent. */
      readonly e164: string;
      /** One key per person, see `canonicalContact()`. */
      readonly contact: string;
    }
  | { readonly ok: false; readonly sentence: string };

/** More is no phone number, however it is written; bounds the parser's work. */
const TO_CHARACTERS_MAX = 40;

/**
 * Reads a phone number that a caller gave. Spaces, dots, brackets and hyphens are allowed; the `+` is not optional,
 * because without it Meta may put the business's own country code in front.
 *
 * Only the length for its country is checked: numbering plans change faster than their metadata, and a valid
 * Brazilian number of eight digits is unknown to the stricter check.
 */
export function parseRecipient(to: string): ParsedRecipient {
  const given = to.trim();
  if (given.length > TO_CHARACTERS_MAX || !/^[+＋]?[\d\s().\-\u2010-\u2015\u00a0]+$/.test(given)) {
    return { ok: false, sentence: 'It must be a phone number such as +4915112345678.' };
  }
  if (!/^[+＋]/.test(given)) {
    return { ok: false, sentence: 'The phone number must start with + and its country code, such as +4915112345678.' };
  }
  const digits = `+${given.replace(/\D/g, '')}`;
  // The parser also takes out what people write inside, such as the (0) of +49 (0)151 … .
  const parsed = parsePhoneNumberFromString(digits);
  if (parsed?.isPossible() === true) return accepted(parsed.number);
  // WhatsApp itself writes Mexican numbers with a 1 that the numbering plan has dropped, and takes them so.
  if (parsePhoneNumberFromString(canonicalContact(digits))?.isPossible() === true) return accepted(digits);
  return { ok: false, sentence: 'No phone number has this country code and length; check the digits.' };
}

function accepted(e164: string): ParsedRecipient {
  return { ok: true, e164, contact: canonicalContact(e164) };
}
