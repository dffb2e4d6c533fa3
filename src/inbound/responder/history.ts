import type { Cache } from '../../cache/index.ts';
import type { Chat, ChatItem } from '../../record/index.ts';
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
  /** Adds what was just said, so that the next question finds it without asking the record. */
  add(place: ConversationPlace, items: readonly HistoryItem[]): Promise<void>;
}

interface Kept extends Omit<ConversationPlace, 'conversation'> {
  /** Epoch ms; after CACHE_CONVERSATION_TTL the record is asked again, however busy the conversation is. */
  readonly readAtMs: number;
  readonly items: readonly HistoryItem[];
}

const ITEMS_MAX = 20;

export function createHistory(options: {
  readonly chat: Pick<Chat, 'list'>;
  readonly cache: Cache<[conversation: string], unknown>;
  /** CACHE_CONVERSATION_TTL, ms. */
  readonly ttlMs: number;
  readonly now?: () => number;
  readonly onError?: (error: unknown) => void;
}): History {
  const { chat, cache, ttlMs } = options;
  const now = options.now ?? Date.now;

  async function read(place: ConversationPlace): Promise<Kept> {
    const { items } = await chat.list(
      { tenant: place.tenant, sender: place.sender, id: place.conversation },
      { limit: ITEMS_MAX + 1 },
    );
    return { tenant: place.tenant, sender: place.sender, readAtMs: now(), items: items.map(historyItem).reverse() };
  }

  async function kept(place: ConversationPlace): Promise<Kept | null> {
    const found = (await cache.get(place.conversation)) as Kept | null | undefined;
    if (found === null || found === undefined || now() - found.readAtMs >= ttlMs) return null;
    // The key is what evictions know, the conversation's id; another tenant's conversation may have the same one.
    return found.tenant === place.tenant && found.sender === place.sender ? found : null;
  }

  return {
    async before(place, messageId) {
      try {
        let known = await kept(place);
        if (known === null) {
          known = await read(place);
          await cache.set([place.conversation], known);
        }
        const at = known.items.findIndex(({ id }) => id === messageId);
        // Later messages have questions of their own; replies to earlier ones may stand behind this message.
        const isBefore = ({ direction }: HistoryItem, index: number) =>
          at === -1 || index < at || (index > at && direction === 'outbound');
        return known.items.filter(isBefore).slice(-ITEMS_MAX);
      } catch (error) {
        // An answer without a memory is better than none.
        options.onError?.(error);
        return [];
      }
    },

    async add(place, items) {
      const known = await kept(place);
      if (known === null) return;
      const there = new Set(known.items.map(({ id }) => id));
      const all = [...known.items, ...items.filter(({ id }) => !there.has(id))];
      await cache.set([place.conversation], { ...known, items: all.slice(-ITEMS_MAX - 1) });
    },
  };
}

function historyItem(item: ChatItem): HistoryItem {
  const { id, type, content, createdAtMs } = item.message;
  const isInbound = item.direction === 'inbound' && !item.message.isEcho;
  return {
    [type]: content,
    id,
    direction: isInbound ? 'inbound' : 'outbound',
    type,
    at: new Date(createdAtMs).toISOString(),
  };
}
