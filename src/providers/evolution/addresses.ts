import { UnreadableItem } from '../collector.ts';
import type { ProviderContact } from '../events.ts';
import { asObject, asText } from '../json.ts';
import { contactOf, phoneOf } from '../person.ts';

type Item = Readonly<Record<string, unknown>>;

const PHONE_SERVERS = ['@s.whatsapp.net', '@c.us'];

/** The `key` of an item; events about changes have its fields in the item itself. */
export function keyOf(item: Item): Item {
  return asObject(item['key']) ?? item;
}

/** Is the chat one with a person, not a group, a newsletter or a broadcast list. */
export function isPersonal(item: Item): boolean {
  const jid = asText(keyOf(item)['remoteJid'], 256);
  return jid === null || !/@(g\.us|newsletter|broadcast)$/.test(jid);
}

/** Phone number of an address, `4915112345678:12@s.whatsapp.net` included; null for a hidden id (`@lid`). */
function phoneOfJid(jid: string | null): string | null {
  if (jid === null) return null;
  const server = jid.indexOf('@');
  if (server >= 0 && !PHONE_SERVERS.includes(jid.slice(server))) return null;
  const digits = server < 0 ? jid : jid.slice(0, server);
  return phoneOf(digits.replace(/:\d+$/, ''));
}

/** `123@lid` without the number of the device. */
function lidOf(jid: string | null): string | null {
  return jid?.endsWith('@lid') === true ? jid.replace(/:\d+@/, '@') : null;
}

/**
 * The person of a chat. WhatsApp names people by phone or by a hidden id (`@lid`); the other form stands in
 * `remoteJidAlt` when it is known, in a field of another name in some versions.
 * @throws UnreadableItem when it names nobody
 */
export function personOf(item: Item, name: string | null): ProviderContact {
  const key = keyOf(item);
  const jids = ['remoteJid', 'remoteJidAlt', 'senderPn', 'senderLid'].map((field) => asText(key[field], 256));
  const phone = jids.map(phoneOfJid).find((one) => one !== null) ?? null;
  const lid = jids.map(lidOf).find((one) => one !== null) ?? null;
  if (phone === null && lid === null) throw new UnreadableItem('it names no person');
  return contactOf({ waId: lid ?? phone?.slice(1) ?? null, phone, name });
}
