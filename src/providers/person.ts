import type { ProviderContact } from './events.ts';

/** Digits of a phone number as WhatsApp writes it, without `+`; hidden ids (`@lid`) are longer or no numbers at all. */
const PHONE_DIGITS = /^[1-9]\d{6,14}$/;
const USER_ID = /^[A-Z]{2}\.(?:ENT\.)?[A-Za-z0-9]{1,128}$/;

/** `+` and digits when the text is a phone number in WhatsApp's form, with or without `+`; else null. */
export function phoneOf(text: string | null): string | null {
  const digits = text?.replace(/^\+/, '') ?? '';
  return PHONE_DIGITS.test(digits) ? `+${digits}` : null;
}

/** Is it a business-scoped user id, such as `US.13491208655302741918`. */
export function isUserId(text: string): boolean {
  return USER_ID.test(text);
}

/** A person of whom at least one address is known. */
export function contactOf(parts: Partial<ProviderContact>): ProviderContact {
  return { waId: null, userId: null, phone: null, name: null, ...parts };
}
