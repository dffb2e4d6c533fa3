import { AppError } from '../errors/app-error.ts';
import type { EventEntry, EventLog } from '../model/events.ts';
import type { RedisClient } from './connection.ts';
import { decodeEvents } from './events.ts';
import { shardPrefix } from './keys.ts';
import type { ShardReader } from './shard-reader.ts';
import { unrecordedKey } from './unrecorded-index.ts';

/** Recorded entries stay readable this long, so that a process that waits for an outcome cannot miss it. */
const FORGET_AFTER_MS = 1000;
/** A repeated accept is told apart by the id for as long as its caller may repeat it, with a wide margin. */
const FORGET_ID_AFTER_MS = 15_000;

interface Forgettable {
  readonly atMs: number;
  readonly entryIds: string[];
  /** Fields of the index of unrecorded messages: key and entry. */
  readonly indexed: readonly (readonly [key: string, entryId: string])[];
}

/** The events of one shard as a log. Uses its own blocking connection for reads. */
export class ShardEventLog implements EventLog {
  readonly shard: number;
  readonly #commands: RedisClient;
  readonly #reader: ShardReader;
  readonly #prefix: string;
  #entriesToForget: Forgettable[] = [];
  #idsToForget: Forgettable[] = [];
  #sweep: NodeJS.Timeout | undefined;
  #closed = false;

  /** @param reader owned: closed with the log. @param commands shared: left open */
  constructor(shard: number, commands: RedisClient, reader: ShardReader) {
    this.shard = shard;
    this.#commands = commands;
    this.#reader = reader;
    this.#prefix = shardPrefix(shard);
  }

  async read(after: string, count: number, blockMs: number): Promise<EventEntry[]> {
    if (this.#closed) return [];
    // An empty answer would say that there is nothing to record.
    if (!(await this.#reader.whenReady(blockMs))) throw new AppError('QUEUE_UNAVAILABLE');
    let reply: unknown;
    try {
      const args = ['COUNT', count, 'BLOCK', Math.max(1, blockMs), 'STREAMS', `${this.#prefix}ev`, after];
      reply = await this.#reader.read('XREAD', ...args);
    } catch (error) {
      if (this.#isClosed()) return [];
      throw error;
    }
    return decodeStreamReply(reply);
  }

  recorded(entries: readonly EventEntry[]): Promise<void> {
    const atMs = performance.now();
    const entryIds = entries.map((entry) => entry.id);
    const indexed = entries.flatMap(({ id, events }) => {
      const accepted = events.filter((event) => event.type === 'accepted');
      const keys = new Set(accepted.map((event) => unrecordedKey(this.#prefix, event.messageId)));
      return [...keys].map((key) => [key, id] as const);
    });
    this.#entriesToForget.push({ atMs, entryIds, indexed });
    this.#armSweep();
    return Promise.resolve();
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#sweep);
    this.#reader.close();
    // The ids stay, because an accept may still be repeated; they expire after a day.
    await this.#forgetEntries(Number.POSITIVE_INFINITY).catch(() => undefined);
  }

  // A method, because the answer may change while something is awaited.
  #isClosed(): boolean {
    return this.#closed;
  }

  #armSweep(): void {
    if (this.#sweep !== undefined || this.#closed) return;
    this.#sweep = setTimeout(() => {
      this.#sweep = undefined;
      void this.#forget(performance.now())
        .catch(() => undefined)
        .finally(() => {
          if (this.#entriesToForget.length > 0 || this.#idsToForget.length > 0) this.#armSweep();
        });
    }, FORGET_AFTER_MS / 2);
    this.#sweep.unref();
  }

  async #forget(nowMs: number): Promise<void> {
    await this.#forgetEntries(nowMs);
    const old = this.#idsToForget.filter((one) => one.atMs + FORGET_ID_AFTER_MS <= nowMs);
    for (const one of old) await this.#unindex(one.indexed);
    this.#idsToForget = this.#idsToForget.filter((one) => !old.includes(one));
  }

  async #forgetEntries(nowMs: number): Promise<void> {
    const ripe = this.#entriesToForget.filter((one) => one.atMs + FORGET_AFTER_MS <= nowMs);
    for (const one of ripe) {
      for (const ids of chunks(one.entryIds, 500)) await this.#commands.call('XDEL', `${this.#prefix}ev`, ...ids);
      this.#idsToForget.push(one);
    }
    this.#entriesToForget = this.#entriesToForget.filter((one) => !ripe.includes(one));
  }

  async #unindex(indexed: Forgettable['indexed']): Promise<void> {
    const entries = new Map<string, string[]>();
    for (const [key, entryId] of indexed) entries.set(key, [...(entries.get(key) ?? []), entryId]);
    for (const [key, ids] of entries) {
      for (const some of chunks(ids, 500)) await this.#commands.call('HDEL', key, ...some);
    }
  }
}

function* chunks<T>(list: readonly T[], size: number): Generator<T[]> {
  for (let i = 0; i < list.length; i += size) yield list.slice(i, i + size);
}

type StreamEntryReply = [Buffer, Buffer[]];

export function decodeStreamReply(reply: unknown): EventEntry[] {
  if (!Array.isArray(reply)) return [];
  const streams = reply as [Buffer, StreamEntryReply[]][];
  return (streams[0]?.[1] ?? []).map(decodeStreamEntry);
}

export function decodeStreamEntry([id, fields]: StreamEntryReply): EventEntry {
  return { id: id.toString('latin1'), ...decodeEvents(fields) };
}
