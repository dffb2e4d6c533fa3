import type { ServerResponse } from 'node:http';
import { summaryOf, type ChatMessage, type Conversation, type ConversationListener } from './conversations.ts';

/** What a frame's `stats` holds; made by the server once per frame for all pages. */
export type LiveStats = Readonly<Record<string, unknown>>;

interface Client {
  readonly response: ServerResponse;
  /** Key of the chat that is open on this page, or null. */
  readonly open: string | null;
  readonly conversations: Map<string, Conversation>;
  readonly messages: Map<string, ChatMessage>;
  stats: boolean;
  reset: boolean;
}

const FRAME_MS = 200;
const KEEPALIVE_MS = 15_000;
/** Bounds one frame: a page shows no more chats than this, and the rest would be outdated by the next frame. */
const CONVERSATIONS_PER_FRAME = 200;
const CLIENTS_MAX = 50;
/** A page that does not read gets nothing new until it has caught up. */
const UNREAD_BYTES_MAX = 1024 * 1024;

/**
 * Server-sent events for the page: at most one frame per 200 ms, which holds what changed since the last one. Between
 * frames a change costs one map entry, so that a million messages do not.
 */
export class Live implements ConversationListener {
  readonly #clients = new Set<Client>();
  readonly #stats: () => LiveStats;
  #timer: NodeJS.Timeout | null = null;
  #keepaliveAtMs = 0;

  constructor(stats: () => LiveStats) {
    this.#stats = stats;
  }

  /** Takes over a response as an event stream. Returns false when there are too many. */
  connect(response: ServerResponse, open: string | null): boolean {
    if (this.#clients.size >= CLIENTS_MAX) return false;
    response.writeHead(200, {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
    });
    const client: Client = {
      response,
      open,
      conversations: new Map(),
      messages: new Map(),
      stats: true,
      reset: false,
    };
    this.#clients.add(client);
    response.on('close', () => {
      this.#clients.delete(client);
      if (this.#clients.size === 0) this.#stop();
    });
    response.on('error', () => response.destroy());
    this.#timer ??= setInterval(() => this.#frame(), FRAME_MS);
    this.#send(client, { stats: this.#stats() });
    return true;
  }

  changed(conversation: Conversation, message: ChatMessage | null): void {
    for (const client of this.#clients) {
      // Deleted first, so that the map's order is the order of the last change.
      client.conversations.delete(conversation.key);
      client.conversations.set(conversation.key, conversation);
      if (client.conversations.size > CONVERSATIONS_PER_FRAME) {
        const oldest = client.conversations.keys().next().value;
        if (oldest !== undefined) client.conversations.delete(oldest);
      }
      if (client.open !== conversation.key) continue;
      conversation.unread = 0;
      if (message) client.messages.set(message.id, message);
    }
  }

  statsChanged(): void {
    for (const client of this.#clients) client.stats = true;
  }

  /** Tells every page to load everything again. */
  reset(): void {
    for (const client of this.#clients) {
      client.conversations.clear();
      client.messages.clear();
      client.reset = true;
    }
  }

  close(): void {
    this.#stop();
    for (const client of this.#clients) client.response.destroy();
    this.#clients.clear();
  }

  #stop(): void {
    if (this.#timer) clearInterval(this.#timer);
    this.#timer = null;
  }

  #frame(): void {
    const stats = this.#stats();
    const keepalive = Date.now() - this.#keepaliveAtMs > KEEPALIVE_MS;
    if (keepalive) this.#keepaliveAtMs = Date.now();
    for (const client of this.#clients) {
      if (client.response.writableLength > UNREAD_BYTES_MAX) continue;
      const changed = client.conversations.size > 0 || client.messages.size > 0 || client.reset;
      // The rate has to fall back to zero on the page too, so it is sent as long as it is not zero.
      if (!changed && !client.stats && stats['perSecond'] === 0 && !keepalive) continue;
      this.#send(client, {
        stats,
        ...(client.reset ? { reset: true } : {}),
        conversations: [...client.conversations.values()].map(summaryOf),
        messages: [...client.messages.values()],
      });
      client.conversations.clear();
      client.messages.clear();
      client.reset = false;
      client.stats = stats['perSecond'] !== 0;
    }
  }

  #send(client: Client, frame: unknown): void {
    client.response.write(`data: ${JSON.stringify(frame)}\n\n`);
  }
}
