/** Ticks of a message, as WhatsApp shows them. `accepted` = taken and nothing reported yet. */
export type ShownStatus = 'accepted' | 'sent' | 'delivered' | 'read' | 'played' | 'failed';

export interface ChatMessage {
  readonly id: string;
  /** Grows with every message of the emulator; the page orders by it. */
  readonly n: number;
  /** `out`: the business wrote; `in`: the customer. */
  readonly direction: 'out' | 'in';
  readonly type: string;
  readonly content: unknown;
  /** The template's text with its places filled, when it is known. */
  readonly rendered: string | null;
  /** Quick replies of a known template. */
  readonly buttons: readonly string[];
  readonly contextId: string | null;
  readonly tag: string | null;
  readonly atMs: number;
  status: ShownStatus;
  /** Why it failed: `131047 Re-engagement message`. */
  error: string | null;
  /** A fault of the emulator that the client saw, e.g. `reset after`. */
  readonly fault: string | null;
  /** Reactions on it, by side. */
  reactions: { out?: string; in?: string };
}

export interface Conversation {
  readonly key: string;
  readonly phoneNumberId: string;
  /** wa_id, user id or group id. */
  readonly party: string;
  name: string | null;
  readonly messages: ChatMessage[];
  /** Were old messages forgotten. */
  trimmed: boolean;
  /** What came from the business since a person looked. */
  unread: number;
  lastAtMs: number;
}

export interface ConversationSummary {
  readonly key: string;
  readonly phoneNumberId: string;
  readonly party: string;
  readonly name: string | null;
  readonly tenant: string | null;
  readonly unread: number;
  readonly count: number;
  readonly lastAtMs: number;
  readonly last: { direction: 'out' | 'in'; type: string; text: string; status: ShownStatus } | null;
}

export interface ConversationBounds {
  readonly conversationsMax: number;
  readonly messagesPerConversationMax: number;
  readonly messagesMax: number;
}

export interface ConversationListener {
  changed(conversation: Conversation, message: ChatMessage | null): void;
}

export type NewChatMessage = Omit<ChatMessage, 'n' | 'reactions' | 'error' | 'atMs'> & { atMs?: number };

/** The chats, in memory and bounded: the ones used longest ago are forgotten first. */
export class Conversations {
  readonly #byKey = new Map<string, Conversation>();
  readonly #listener: ConversationListener;
  #bounds: ConversationBounds;
  #messages = 0;
  #made = 0;

  constructor(bounds: ConversationBounds, listener: ConversationListener) {
    this.#bounds = bounds;
    this.#listener = listener;
  }

  set bounds(bounds: ConversationBounds) {
    this.#bounds = bounds;
    this.#evict();
  }

  get size(): number {
    return this.#byKey.size;
  }

  find(key: string): Conversation | undefined {
    return this.#byKey.get(key);
  }

  /** Adds a message to its chat, which is made when it is new. A reaction also appears on the message it is about. */
  add(phoneNumberId: string, party: string, fields: NewChatMessage, name?: string): ChatMessage {
    const conversation = this.#touch(phoneNumberId, party);
    if (name !== undefined) conversation.name = name;
    this.#made += 1;
    const atMs = fields.atMs ?? Date.now();
    const message: ChatMessage = { ...fields, n: this.#made, atMs, error: null, reactions: {} };
    conversation.lastAtMs = atMs;
    if (message.direction === 'out') conversation.unread += 1;
    else conversation.unread = 0;
    conversation.messages.push(message);
    this.#messages += 1;
    this.#react(conversation, message);
    if (conversation.messages.length > this.#bounds.messagesPerConversationMax) {
      conversation.messages.shift();
      conversation.trimmed = true;
      this.#messages -= 1;
    }
    this.#evict();
    this.#listener.changed(conversation, message);
    return message;
  }

  /** Moves a message's tick up; `failed` shows only while nothing better was reported. */
  setStatus(phoneNumberId: string, party: string, message: ChatMessage, status: ShownStatus, error?: string): void {
    if (RANK[status] <= RANK[message.status]) return;
    message.status = status;
    message.error = error ?? null;
    const conversation = this.#byKey.get(conversationKey(phoneNumberId, party));
    if (conversation) this.#listener.changed(conversation, message);
  }

  /** Does a message with this id exist; `unknown` when the chat is too long or too old to tell. */
  knows(phoneNumberId: string, party: string, id: string): 'yes' | 'no' | 'unknown' {
    const conversation = this.#byKey.get(conversationKey(phoneNumberId, party));
    if (conversation?.messages.some((message) => message.id === id)) return 'yes';
    return conversation && !conversation.trimmed ? 'no' : 'unknown';
  }

  /** The business read the customer's messages up to this one. Returns false when the message is not known here. */
  markRead(phoneNumberId: string, id: string): boolean {
    for (const conversation of this.#byKey.values()) {
      if (conversation.phoneNumberId !== phoneNumberId) continue;
      const index = conversation.messages.findIndex((message) => message.id === id && message.direction === 'in');
      if (index < 0) continue;
      for (const message of conversation.messages.slice(0, index + 1)) {
        if (message.direction !== 'in' || message.status === 'read') continue;
        message.status = 'read';
        this.#listener.changed(conversation, message);
      }
      return true;
    }
    return false;
  }

  /** A person looks at the chat. */
  viewed(key: string): Conversation | undefined {
    const conversation = this.#byKey.get(key);
    if (conversation && conversation.unread > 0) {
      conversation.unread = 0;
      this.#listener.changed(conversation, null);
    }
    return conversation;
  }

  /** Chats that were used last, newest first. `search` looks in number, name and last line. */
  list(options: { limit: number; search?: string; phoneNumberId?: string }): ConversationSummary[] {
    const search = options.search?.toLowerCase() ?? '';
    const found: ConversationSummary[] = [];
    for (const conversation of [...this.#byKey.values()].reverse()) {
      if (found.length >= options.limit) break;
      if (options.phoneNumberId !== undefined && conversation.phoneNumberId !== options.phoneNumberId) continue;
      const summary = summaryOf(conversation);
      const words = `${summary.party} ${summary.name ?? ''} ${summary.phoneNumberId} ${summary.last?.text ?? ''}`;
      if (search === '' || words.toLowerCase().includes(search)) found.push(summary);
    }
    return found;
  }

  clear(): void {
    this.#byKey.clear();
    this.#messages = 0;
  }

  #touch(phoneNumberId: string, party: string): Conversation {
    const key = conversationKey(phoneNumberId, party);
    let conversation = this.#byKey.get(key);
    if (conversation) this.#byKey.delete(key);
    else conversation = { key, phoneNumberId, party, name: null, messages: [], trimmed: false, unread: 0, lastAtMs: 0 };
    this.#byKey.set(key, conversation);
    return conversation;
  }

  #react(conversation: Conversation, message: ChatMessage): void {
    if (message.type !== 'reaction') return;
    const reaction = message.content as { message_id?: unknown; emoji?: unknown };
    const target = conversation.messages.find((entry) => entry.id === reaction.message_id);
    if (!target) return;
    if (typeof reaction.emoji === 'string' && reaction.emoji !== '')
      target.reactions[message.direction] = reaction.emoji;
    else Reflect.deleteProperty(target.reactions, message.direction);
    this.#listener.changed(conversation, target);
  }

  #evict(): void {
    for (const [key, conversation] of this.#byKey) {
      if (this.#byKey.size <= this.#bounds.conversationsMax && this.#messages <= this.#bounds.messagesMax) return;
      if (this.#byKey.size === 1) return;
      this.#byKey.delete(key);
      this.#messages -= conversation.messages.length;
    }
  }
}

const RANK: Readonly<Record<ShownStatus, number>> = {
  accepted: 0,
  sent: 1,
  failed: 2,
  delivered: 3,
  read: 4,
  played: 5,
};

export function conversationKey(phoneNumberId: string, party: string): string {
  return `${phoneNumberId}:${party}`;
}

export function summaryOf(conversation: Conversation): ConversationSummary {
  const last = conversation.messages.at(-1);
  return {
    key: conversation.key,
    phoneNumberId: conversation.phoneNumberId,
    party: conversation.party,
    name: conversation.name,
    tenant: tenantHint(last?.tag ?? null),
    unread: conversation.unread,
    count: conversation.messages.length,
    lastAtMs: conversation.lastAtMs,
    last: last ? { direction: last.direction, type: last.type, text: previewOf(last), status: last.status } : null,
  };
}

/** A tag is the client's own; when it says `tenant`, in JSON or as `tenant=…`, the page shows it. */
function tenantHint(tag: string | null): string | null {
  const match = tag === null ? null : /\btenant"?\s*[=:]\s*"?([\w.-]{1,64})/i.exec(tag);
  return match?.[1] ?? null;
}

/** One line for the list. */
function previewOf(message: ChatMessage): string {
  const content = (message.content ?? {}) as Record<string, unknown>;
  const nested = (key: string, inner: string): unknown =>
    (content[key] as Record<string, unknown> | undefined)?.[inner];
  const candidates: unknown[] = [
    content['body'],
    message.rendered,
    nested('body', 'text'),
    nested('button_reply', 'title'),
    nested('list_reply', 'title'),
    content['caption'],
    content['filename'],
    content['emoji'],
    content['text'],
    content['name'],
  ];
  const text = candidates.find((candidate): candidate is string => typeof candidate === 'string' && candidate !== '');
  return text === undefined ? '' : text.slice(0, 120);
}
