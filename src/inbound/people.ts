import { canonicalContact } from '../util/canonical-contact.ts';
import type { ProviderContact } from '../providers/events.ts';
import type { Alias } from '../record/index.ts';

/**
 * Every name of a person, the best one first. The first phone number is the provider's own: an answer goes to it, and
 * callers are told it. Its canonical form follows, the same that an outgoing message has, so that writing and being
 * written to meet in one contact; it only finds people, because in Argentina it is somebody else's landline.
 */
export function aliasesOf({ phone, waId, userId }: ProviderContact): Alias[] {
  const aliases: Alias[] = [];
  const number = phone ?? (waId !== null && /^[1-9]\d{6,14}$/.test(waId) ? `+${waId}` : null);
  if (number !== null) {
    const canonical = canonicalContact(number);
    aliases.push({ kind: 'e164', value: number });
    if (number !== canonical) aliases.push({ kind: 'e164', value: canonical });
  }
  if (waId !== null) aliases.push({ kind: 'wa_id', value: waId });
  if (userId !== null) aliases.push({ kind: 'user_id', value: userId });
  return aliases;
}

/** Id of the conversation with a person with whom there is none yet: that of a message to the person. */
export function conversationOf(aliases: readonly Alias[]): string {
  const number = aliases.find(({ kind }) => kind === 'e164');
  if (number !== undefined) return canonicalContact(number.value);
  return (aliases.find(({ kind }) => kind === 'user_id') ?? aliases[0])?.value ?? 'unknown';
}
