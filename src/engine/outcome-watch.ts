import type { EventEntry } from '../model/events.ts';
import type { RedisClient, RedisTarget } from './connection.ts';
import { decodeStreamReply } from './event-log.ts';
import { shardPrefix } from './keys.ts';
import { ShardReader } from './shard-reader.ts';

export type Outcome = 'sent' | 'failed' | 'cancelled' | 'expired';

const READ_BLOCK_MS = 5000;

/**
 * Follows a shard's events while somebody waits for a message's outcome; idle otherwise.
 * Entries stay readable for a second after they were recorded, so following from the present misses none.
 */
export class OutcomeWatch {
  readonly #target: RedisTarget;
  readonly #shard: number;
  readonly #commands: RedisClient;
  readonly #waiting = new Map<string, Set<(outcome: Outcome) => void>>();
  #reader: ShardReader | undefined;
  #following = false;
  #position: Promise<string> | undefined;
  #closed = false;

  constructor(target: RedisTarget, shard: number, commands: RedisClient) {
    this.#target = target;
    this.#shard = shard;
    this.#commands = commands;
  }

  /** Registers at once, so that an outcome between this call and the wait is not missed. */
  async wait(id: string, timeoutMs: number): Promise<Outcome | null> {
    this.#position ??= this.#lastEntry();
    const outcome = new Promise<Outcome | null>((resolve) => {
      const waiters = this.#waiting.get(id) ?? new Set();
      this.#waiting.set(id, waiters);
      const timer = setTimeout(() => settle(null), timeoutMs);
      const settle = (result: Outcome | null) => {
        clearTimeout(timer);
        waiters.delete(settle);
        if (waiters.size === 0) this.#waiting.delete(id);
        resolve(result);
      };
      waiters.add(settle);
    });
    void this.#follow();
    return await outcome;
  }

  close(): void {
    this.#closed = true;
    this.#reader?.close();
  }

  async #lastEntry(): Promise<string> {
    try {
      const reply = (await this.#commands.call('XINFO', 'STREAM', `${shardPrefix(this.#shard)}ev`)) as unknown[];
      const at = reply.indexOf('last-generated-id');
      return String(reply[at + 1]);
    } catch {
      return '0-0'; // no events yet
    }
  }

  async #follow(): Promise<void> {
    if (this.#following) return;
    this.#following = true;
    try {
      this.#reader ??= new ShardReader(this.#target, this.#shard, READ_BLOCK_MS);
      let position = (await this.#position) ?? '0-0';
      while (this.#waiting.size > 0 && !this.#isClosed()) {
        if (!(await this.#reader.whenReady(READ_BLOCK_MS))) continue;
        const key = `${shardPrefix(this.#shard)}ev`;
        const reply = await this.#reader
          .read('XREAD', 'COUNT', 200, 'BLOCK', READ_BLOCK_MS, 'STREAMS', key, position)
          .catch(() => null);
        const entries = decodeStreamReply(reply);
        position = entries.at(-1)?.id ?? position;
        this.#tell(entries);
      }
    } finally {
      this.#following = false;
      this.#position = undefined;
    }
  }

  #isClosed(): boolean {
    return this.#closed;
  }

  #tell(entries: readonly EventEntry[]): void {
    for (const { events } of entries) {
      for (const event of events) {
        const { type } = event;
        if (type !== 'sent' && type !== 'failed' && type !== 'cancelled' && type !== 'expired') continue;
        for (const settle of this.#waiting.get(event.messageId) ?? []) settle(type);
      }
    }
  }
}
