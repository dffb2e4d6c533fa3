import { EventCollector, UnreadableItem } from '../collector.ts';
import type { ProviderEvent, ReadWebhook, WebhookReader } from '../events.ts';
import { asArray, asObject, asText } from '../json.ts';
import { isPersonal } from './addresses.ts';
import { connectionEvent, instanceEvent } from './connection-events.ts';
import { readDelete, readEdit, readUpsert, type Context } from './inbound.ts';
import { readOwnSend, readUpdate } from './statuses.ts';

type ItemReader = (item: Readonly<Record<string, unknown>>, context: Context) => ProviderEvent | ProviderEvent[];

const READERS: Readonly<Record<string, ItemReader>> = {
  'messages.upsert': readUpsert,
  'messages.update': readUpdate,
  'messages.edited': readEdit,
  'messages.delete': readDelete,
  'send.message': readOwnSend,
  'send.message.update': readUpdate,
  'connection.update': connectionEvent,
  'status.instance': instanceEvent,
  'logout.instance': instanceEvent,
  'remove.instance': instanceEvent,
};

/** Events about chats: what concerns a group or a broadcast list is told apart, because no person is behind it. */
const ABOUT_CHATS: ReadonlySet<string> = new Set([
  'messages.upsert',
  'messages.update',
  'messages.edited',
  'messages.delete',
  'send.message',
  'send.message.update',
]);

/**
 * Reads a webhook of Evolution API v2. One body is one event of one instance, whose `data` may be a list. Events
 * without a reader (contacts, chats, groups, presence, calls, labels, QR codes, bots) are `other` under their name.
 */
export const evolutionReader: WebhookReader = {
  provider: 'evolution',
  read(body: unknown, receivedAtMs: number): ReadWebhook {
    const collector = new EventCollector();
    const raw = asObject(body);
    // Servers write it in lower case with dots, some settings and forks as MESSAGES_UPSERT.
    const event = asText(raw?.['event'], 64)?.toLowerCase().replaceAll(/[_-]/g, '.') ?? null;
    if (raw === null || event === null) {
      collector.broken('event', 'it names no event');
      return collector.result();
    }
    const instance = asText(raw['instance'], 128);
    const reader = Object.hasOwn(READERS, event) ? READERS[event] : undefined;
    const other = (type: string): ProviderEvent => ({ kind: 'other', externalSenderId: instance, type });
    if (reader === undefined) {
      collector.item('data', () => other(event));
      return collector.result();
    }
    if (instance === null) {
      collector.broken('instance', 'it names no instance');
      return collector.result();
    }
    const context: Context = { instance, receivedAtMs, orderMs: orderOf(raw['date_time']) ?? receivedAtMs };
    const data = raw['data'];
    const items = Array.isArray(data) ? asArray(data) : [data];
    for (const [n, item] of items.entries()) {
      collector.item(Array.isArray(data) ? `data[${n}]` : 'data', () => {
        const object = asObject(item);
        if (object === null) throw new UnreadableItem('it is not an object');
        if (ABOUT_CHATS.has(event) && !isPersonal(object)) return other(`${event}.${kindOfChat(object)}`);
        return reader(object, context);
      });
    }
    return collector.result();
  },
};

function orderOf(value: unknown): number | null {
  const atMs = Date.parse(asText(value, 64) ?? '');
  return Number.isNaN(atMs) ? null : atMs;
}

function kindOfChat(item: Readonly<Record<string, unknown>>): string {
  const jid = asText((asObject(item['key']) ?? item)['remoteJid'], 256) ?? '';
  if (jid.endsWith('@g.us')) return 'group';
  return jid.endsWith('@newsletter') ? 'newsletter' : 'broadcast';
}
