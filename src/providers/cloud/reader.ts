import type { ProviderEvent, ReadWebhook, WebhookReader } from '../events.ts';
import { EventCollector } from '../collector.ts';
import { asArray, asObject, asText, asWholeNumber } from '../json.ts';
import { withHold } from '../status-hold.ts';
import { accountEvent } from './account-events.ts';
import { lookupCloudError } from './errors.ts';
import { readEcho, readMessage, readPreference, type ChangeContext } from './inbound.ts';
import { readStatus } from './statuses.ts';

/** Parts of `value` that are no lists of things that happened. */
const FRAME = new Set(['messaging_product', 'metadata', 'contacts']);

/** What stands beside the changes of an entry. */
interface EntryContext {
  readonly accountId: string | null;
  /** When Meta made the entry, epoch ms. */
  readonly atMs: number;
  readonly receivedAtMs: number;
}

type ItemReader = (item: unknown, context: ChangeContext) => ProviderEvent | ProviderEvent[];

const readStatusEvent: ItemReader = (item, { externalSenderId, receivedAtMs }) =>
  withHold(readStatus(externalSenderId, item, receivedAtMs), (code) => lookupCloudError(code, 400, false));

/** Lists with readers of their own, by field and name of the list. */
const LISTS: Readonly<Record<string, Readonly<Record<string, ItemReader>>>> = {
  messages: { statuses: readStatusEvent, messages: readMessage },
  smb_message_echoes: { message_echoes: readEcho },
  user_preferences: { user_preferences: readPreference },
};

/**
 * Reads a webhook of the Cloud API: every entry, change and item of it, of every field. Fields without a reader are
 * `other` under their own name.
 */
export const cloudReader: WebhookReader = {
  provider: 'cloud',
  read(body: unknown, receivedAtMs: number): ReadWebhook {
    const collector = new EventCollector();
    const entries = asObject(body)?.['entry'];
    if (!Array.isArray(entries)) collector.broken('entry', 'it is not a list of entries');
    for (const [n, entry] of asArray(entries).entries()) {
      const where = `entry[${n}]`;
      const changes = asObject(entry)?.['changes'];
      if (!Array.isArray(changes)) collector.broken(where, 'it has no list of changes');
      const of: EntryContext = {
        accountId: asText(asObject(entry)?.['id'], 128),
        atMs: timeOf(asObject(entry)?.['time']) ?? receivedAtMs,
        receivedAtMs,
      };
      for (const [m, change] of asArray(changes).entries()) {
        readChange(collector, `${where}.changes[${m}]`, change, of);
      }
    }
    return collector.result();
  },
};

/** Meta writes seconds; milliseconds are understood too. */
function timeOf(value: unknown): number | null {
  const time = asWholeNumber(value);
  if (time === null || time === 0) return null;
  return time < 100_000_000_000 ? time * 1000 : time;
}

function readChange(
  collector: EventCollector,
  where: string,
  change: unknown,
  { accountId, atMs, receivedAtMs }: EntryContext,
): void {
  const field = asText(asObject(change)?.['field'], 128);
  const value = asObject(asObject(change)?.['value']);
  if (field === null || value === null) {
    collector.broken(where, 'it has no field or no value');
    return;
  }
  const externalSenderId = asText(asObject(value['metadata'])?.['phone_number_id'], 128);
  const readers = Object.hasOwn(LISTS, field) ? LISTS[field] : undefined;
  if (readers === undefined) {
    collector.item(where, () => accountEvent(field, value, accountId, externalSenderId, atMs));
    return;
  }
  const contacts = asArray(value['contacts']).map((contact) => asObject(contact) ?? {});
  const context = { externalSenderId: externalSenderId ?? '', contacts, receivedAtMs };
  const lists = Object.entries(value).filter(([name]) => !FRAME.has(name));
  for (const [name, list] of lists) {
    const read = Object.hasOwn(readers, name) ? readers[name] : undefined;
    const other: ProviderEvent = { kind: 'other', externalSenderId, type: `${field}.${name.slice(0, 64)}` };
    if (read === undefined) collector.item(`${where}.value.${name.slice(0, 64)}`, () => other);
    else if (!Array.isArray(list)) collector.broken(`${where}.value.${name}`, 'it is not a list');
    else {
      for (const [n, item] of list.entries()) {
        collector.item(`${where}.value.${name}[${n}]`, () => read(item, context));
      }
    }
  }
  if (lists.length === 0) collector.item(where, () => ({ kind: 'other', externalSenderId, type: field }));
}
