import type { Cache } from '../../cache/index.ts';
import type { Chat, SaidItem } from '../../record/index.ts';
import type { HistoryItem } from './contract.ts';

export interface ConversationPlace {
  readonly tenant: string;
  readonly sender: string;
  readonly conversation: string;
}

/** What was said lately in a conversation, from the cache where it is. */
export interface History {
  /** The newest 20, the oldest first, without the message itself and what came after it. Empty while nobody knows. */
  before(place: ConversationPlace, messageId: string): Promise<readonly HistoryItem[]>;
  /** Adds what was just said, for the record may not know it yet when the next question is asked. One call at a time. */
  add(place: ConversationPlace, items: readonly HistoryItem[]): Promise<void>;
}

interface Kept extends Omit<ConversationPlace, 'conversation'> {
  /** Epoch ms; after CACHE_CONVERSATION_TTL the record is asked again, however busy the conversation is. */
  readonly readAtMs: number;
  readonly items: readonly HistoryItem[];
}

const ITEMS_MAX = 20;

export function createHistory(options: {
  readonly chat: Pick<Chat, 'newest'>;
  readonly cache: Cache<[conversation: string], unknown>;
  /** What was just said; nothing evicts it. */
  readonly said: Cache<[tenant: string, sender: string, conversation: string], unknown>;
  /** CACHE_CONVERSATION_TTL, ms. */
  readonly ttlMs: number;
  readonly now?: () => number;
  readonly onError?: (error: unknown) => void;
}): History {
  const { chat, cache, said, ttlMs } = options;
  const now = options.now ?? Date.now;

  async function read(place: ConversationPlace): Promise<Kept> {
    const { tenant, sender, conversation: id } = place;
    const items = await chat.newest({ tenant, sender, id }, ITEMS_MAX + 1);
    return { tenant, sender, readAtMs: now(), items: items.map(historyItem).reverse() };
  }

  function serves(found: Kept, { tenant, sender }: ConversationPlace): boolean {
    // The key is what evictions know, the conversation's id; another tenant's conversation may have the same one.
    return now() - found.readAtMs < ttlMs && found.tenant === tenant && found.sender === sender;
  }

  async function known(place: ConversationPlace): Promise<Kept> {
    // What is said while the record is read evicts what is read: it must not be kept after that.
    const load = () => cache.getOrLoad([place.conversation], () => read(place)) as Promise<Kept>;
    const found = await load();
    if (serves(found, place)) return found;
    await cache.evict(place.conversation);
    const anew = await load();
    return serves(anew, place) ? anew : await read(place);
  }

  const saidIn = async ({ tenant, sender, conversation }: ConversationPlace) =>
    ((await said.get(tenant, sender, conversation)) ?? []) as readonly HistoryItem[];

  return {
    async before(place, messageId) {
      try {
        const [recorded, added] = await Promise.all([known(place), saidIn(place)]);
        const items = joined(recorded.items, added).sort((a, b) => Date.parse(a.at) - Date.parse(b.at));
        const at = items.findIndex(({ id }) => id === messageId);
        // Later messages have questions of their own; replies to earlier ones may stand behind this message.
        const isBefore = ({ direction }: HistoryItem, index: number) =>
          at === -1 || index < at || (index > at && direction === 'outbound');
        return items.filter(isBefore).slice(-ITEMS_MAX);
      } catch (error) {
        // An answer without a memory is better than none.
        options.onError?.(error);
        return [];
      }
    },

    async add(place, items) {
      const { tenant, sender, conversation } = place;
      const all = joined(await saidIn(place), items);
      await said.set([tenant, sender, conversation], all.slice(-ITEMS_MAX));
    },
  };
}

function joined(items: readonly HistoryItem[], more: readonly HistoryItem[]): HistoryItem[] {
  const there = new Set(items.map(({ id }) => id));
  return [...items, ...more.filter(({ id }) => !there.has(id))];
}

function historyItem({ id, isFromPerson, type, content, createdAtMs }: SaidItem): HistoryItem {
  const direction = isFromPerson ? 'inbound' : 'outbound';
  return { [type]: content, id, direction, type, at: new Date(createdAtMs).toISOString() };
}
