import type { InboundMessage, ProviderContact, ProviderEvent } from '../events.ts';
import { UnreadableItem } from '../collector.ts';
import { asObject, asText, asWholeNumber } from '../json.ts';
import { contactOf, isUserId, phoneOf } from '../person.ts';

/** What stands beside an item in its change. */
export interface ChangeContext {
  readonly externalSenderId: string;
  readonly contacts: readonly Readonly<Record<string, unknown>>[];
  readonly receivedAtMs: number;
}

type Item = Readonly<Record<string, unknown>>;

/** Fields that become fields of `InboundMessage`; all others are content. */
const NOT_CONTENT = new Set(['id', 'from', 'to', 'from_user_id', 'to_user_id', 'timestamp', 'type', 'referral']);
const TEXT_MAX = 512;

/** One of `messages[]`: what a person sent, or a system message about the person. */
export function readMessage(item: unknown, context: ChangeContext): ProviderEvent {
  const raw = objectOf(item);
  const contact = senderOf(raw, context);
  if (raw['type'] === 'system') {
    const changed = readContactChange(raw, contact, context);
    if (changed !== null) return changed;
  }
  if (isOfGroup(raw)) return ofGroup('messages', context);
  return { kind: 'message', message: messageOf(raw, contact, false, context) };
}

/** One of `message_echoes[]`: the business wrote from its own phone. */
export function readEcho(item: unknown, context: ChangeContext): ProviderEvent {
  const raw = objectOf(item);
  if (isOfGroup(raw)) return ofGroup('smb_message_echoes', context);
  const contact = addressOf(asText(raw['to'], TEXT_MAX), asText(raw['to_user_id'], TEXT_MAX), context);
  return { kind: 'message', message: messageOf(raw, contact, true, context) };
}

/** One of `user_preferences[]`: the person stopped or resumed marketing. */
export function readPreference(item: unknown, context: ChangeContext): ProviderEvent {
  const raw = objectOf(item);
  const wish = asText(raw['value'], 32)?.toLowerCase();
  if (raw['category'] !== 'marketing_messages' || (wish !== 'stop' && wish !== 'resume')) {
    return { kind: 'other', externalSenderId: context.externalSenderId, type: 'user_preferences' };
  }
  const contact = addressOf(asText(raw['wa_id'], TEXT_MAX), asText(raw['user_id'], TEXT_MAX), context);
  const common = { externalSenderId: context.externalSenderId, contact, atMs: timeOf(raw, context) };
  return { kind: 'preference', ...common, wantsMarketing: wish === 'resume' };
}

/** What is said in a group is no word of its member to us: it opens no window, and is not answered in private. */
function isOfGroup(raw: Item): boolean {
  return asText(raw['group_id'], TEXT_MAX) !== null;
}

function ofGroup(field: string, { externalSenderId }: ChangeContext): ProviderEvent {
  return { kind: 'other', externalSenderId, type: `${field}.group` };
}

function messageOf(raw: Item, contact: ProviderContact, isEcho: boolean, context: ChangeContext): InboundMessage {
  const providerMessageId = asText(raw['id'], TEXT_MAX);
  const type = asText(raw['type'], 64);
  if (providerMessageId === null) throw new UnreadableItem('it has no id');
  if (type === null) throw new UnreadableItem('it has no type');
  return {
    externalSenderId: context.externalSenderId,
    providerMessageId,
    contact,
    atMs: timeOf(raw, context),
    type,
    content: contentOf(raw, type),
    replyTo: answeredBy(raw, type),
    referral: asObject(raw['referral']),
    isEcho,
  };
}

/** The object named after the type, and every other field that Meta sent beside it. */
function contentOf(raw: Item, type: string): Record<string, unknown> {
  const own = Object.hasOwn(raw, type) ? raw[type] : undefined;
  const object = asObject(own);
  const beside = Object.entries(raw).filter(
    ([name]) => !NOT_CONTENT.has(name) && name !== '__proto__' && (name !== type || object === null),
  );
  const context = asObject(raw['context']);
  const hasContext = context !== null && Object.keys(context).some((name) => name !== 'from' && name !== 'id');
  const kept = hasContext ? beside : beside.filter(([name]) => name !== 'context');
  // The type's own fields win over a field beside it that happens to have the same name.
  return { ...Object.fromEntries(kept), ...object };
}

function answeredBy(raw: Item, type: string): string | null {
  if (type === 'reaction') return asText(asObject(raw['reaction'])?.['message_id'], TEXT_MAX);
  if (type === 'edit' || type === 'revoke') {
    return asText(asObject(raw[type])?.['original_message_id'] ?? raw['original_message_id'], TEXT_MAX);
  }
  return asText(asObject(raw['context'])?.['id'], TEXT_MAX);
}

/** `user_changed_number` and `user_changed_user_id`; null when it is another system message. */
function readContactChange(raw: Item, before: ProviderContact, context: ChangeContext): ProviderEvent | null {
  const system = asObject(raw['system']);
  const kind = asText(system?.['type'], 64);
  if (system === null || kind === null || !kind.startsWith('user_changed')) return null;
  // Old versions of the API call the new number `new_wa_id`.
  const waId = asText(system['wa_id'], TEXT_MAX) ?? asText(system['new_wa_id'], TEXT_MAX);
  const userId = asText(system['user_id'], TEXT_MAX);
  if (waId === null && userId === null) return null;
  const after = contactOf({
    waId: waId ?? before.waId,
    userId: userId ?? before.userId,
    phone: waId === null ? before.phone : phoneOf(waId),
    name: before.name,
  });
  const { externalSenderId } = context;
  return { kind: 'contact-changed', externalSenderId, before, after, atMs: timeOf(raw, context) };
}

function senderOf(raw: Item, context: ChangeContext): ProviderContact {
  return addressOf(asText(raw['from'], TEXT_MAX), asText(raw['from_user_id'], TEXT_MAX), context);
}

/** The person behind the addresses, with what `contacts` beside the items says of them. */
function addressOf(waId: string | null, userId: string | null, { contacts }: ChangeContext): ProviderContact {
  // Some versions put the user id into the place of the phone.
  const user = userId ?? (waId !== null && isUserId(waId) ? waId : null);
  const wa = waId !== null && isUserId(waId) ? null : waId;
  const known = contacts.find(
    (contact) => (wa !== null && contact['wa_id'] === wa) || (user !== null && contact['user_id'] === user),
  );
  const waIdKnown = wa ?? asText(known?.['wa_id'], TEXT_MAX);
  const userIdKnown = user ?? asText(known?.['user_id'], TEXT_MAX);
  if (waIdKnown === null && userIdKnown === null) throw new UnreadableItem('it names no person');
  const name = asText(asObject(known?.['profile'])?.['name'], TEXT_MAX);
  return { waId: waIdKnown, userId: userIdKnown, phone: phoneOf(waIdKnown), name };
}

/** Seconds as text, or the time of arrival. */
function timeOf(raw: Item, { receivedAtMs }: ChangeContext): number {
  const seconds = asWholeNumber(raw['timestamp']);
  return seconds === null || seconds === 0 ? receivedAtMs : seconds * 1000;
}

function objectOf(item: unknown): Item {
  const raw = asObject(item);
  if (raw === null) throw new UnreadableItem('it is not an object');
  return raw;
}
