import { canonicalContact } from '../util/canonical-contact.ts';
import type { ProviderContact } from '../providers/events.ts';
import type { Alias } from '../record/index.ts';

/**
 * Every name of a person, the best one first. The first of a phone number is its canonical form, the same that an
 * outgoing message has, so that writing and being written to meet in one contact.
 */
export function aliasesOf({ phone, waId, userId }: ProviderContact): Alias[] {
  const aliases: Alias[] = [];
  const number = phone ?? (waId !== null && /^[1-9]\d{6,14}$/.test(waId) ? `+${waId}` : null);
  if (number !== null) {
    const canonical = canonicalContact(number);
    aliases.push({ kind: 'e164', value: canonical });
    if (number !== canonical) aliases.push({ kind: 'e164', value: number });
  }
  if (waId !== null) aliases.push({ kind: 'wa_id', value: waId });
  if (userId !== null) aliases.push({ kind: 'user_id', value: userId });
  return aliases;
}

/** Id of the conversation with a person with whom there is none yet: that of a message to the person. */
export function conversationOf(aliases: readonly Alias[]): string {
  const best = aliases.find(({ kind }) => kind === 'e164') ?? aliases.find(({ kind }) => kind === 'user_id');
  return (best ?? aliases[0])?.value ?? 'unknown';
}
