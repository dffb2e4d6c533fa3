import { decodeEntry, freeze, headerOf } from './entry.ts';
import type { Flight } from './flights.ts';
import type { MemoryEntry, MemoryTier } from './memory-tier.ts';
import type { CachePolicy } from './policy.ts';
import type { RedisLink } from './redis-link.ts';

export interface ValueStoreOptions {
  readonly memory: MemoryTier;
  /** Null = memory only. */
  readonly link: RedisLink | null;
  /** CACHE_MAX_BYTES: all entries in Redis together. */
  readonly bytesMax: number;
  /** Epoch ms. */
  readonly now: () => number;
}

/** A value on its way to Redis. */
export interface Filling {
  /** Shall the other processes forget what they have under the key. */
  readonly announce: boolean;
  /** What the lease gave for it; '' = it has none. */
  readonly token: string;
  readonly gens: string;
  readonly json: string;
  readonly ttlMs: number;
}

type Shape = Pick<CachePolicy, 'version' | 'staleSeconds'>;

/** After an old value served because the source is down, the source is asked again no sooner. */
const STALE_PAUSE_MS = 1000;

/** Where values lie: memory of this process before Redis. Every key is one of `storedKey()`. */
export class ValueStore {
  readonly #memory: MemoryTier;
  readonly #link: RedisLink | null;
  readonly #bytesMax: number;
  readonly #now: () => number;

  constructor({ memory, link, bytesMax, now }: ValueStoreOptions) {
    this.#memory = memory;
    this.#link = link;
    this.#bytesMax = bytesMax;
    this.#now = now;
  }

  /** What memory has, as long as its eviction would have been heard. */
  fresh(key: string): MemoryEntry | undefined {
    const entry = this.#memory.get(key);
    if (entry === undefined) return undefined;
    const nowMs = this.#now();
    const isTrusted = nowMs < entry.freshUntilMs && (this.#link === null || this.#link.isHearing(nowMs));
    return isTrusted ? entry : undefined;
  }

  /** What Redis has, remembered; undefined when that is nothing that may be used. */
  async read(key: string, shape: Shape, flight: Flight): Promise<unknown> {
    const link = this.#link;
    if (link === null) return undefined;
    const text = await link.get(key);
    if (text === null || text === undefined) return undefined;
    return this.take(key, text, headerOf(shape.version ?? '1', link.serverRun), shape, flight);
  }

  /**
   * The value of an entry's text, remembered; undefined when it is old. One that cannot be read is removed, and only
   * that takes a promise: this is the way of every hit in Redis.
   */
  take(key: string, text: string, header: string, shape: Shape, flight: Flight): unknown {
    const decoded = decodeEntry(text, header);
    if (decoded === null) return this.#link?.run('drop', 'entry', key, text).then(() => undefined);
    const leftMs = this.#local(decoded.freshUntilMs) - this.#now();
    if (leftMs <= 0) return undefined;
    if (!flight.isVoid) this.remember(key, decoded.value, decoded.size, leftMs, shape, decoded.tags);
    return decoded.value;
  }

  /** Puts a value into Redis. @returns is it there; without Redis there is nothing to miss */
  async fill(key: string, filling: Filling, shape: Shape, tags: readonly string[]): Promise<boolean> {
    const link = this.#link;
    if (link === null) return true;
    const { announce, token, gens, json, ttlMs } = filling;
    const header = headerOf(shape.version ?? '1', link.serverRun);
    const staleMs = Math.round((shape.staleSeconds ?? 0) * 1000);
    const rest = [gens, header, `${tags.join(' ')}|${json}`, ttlMs, staleMs, this.#bytesMax];
    return link.fill(announce, key, token, rest, tags);
  }

  /** Puts a value into memory. @param characters of its text */
  remember(
    key: string,
    value: unknown,
    characters: number,
    ttlMs: number,
    shape: Shape,
    tags: readonly string[],
  ): void {
    const freshUntilMs = this.#now() + ttlMs;
    const usableUntilMs = freshUntilMs + (shape.staleSeconds ?? 0) * 1000;
    this.#memory.set(key, memoryEntry(freeze(value), freshUntilMs, usableUntilMs, tags), characters);
  }

  /**
   * A value past its time that may serve while the source is down; undefined when there is none.
   * @param text of the entry in Redis; '' = there was none
   */
  stale(key: string, text: string, shape: Shape, tags: readonly string[]): unknown {
    const nowMs = this.#now();
    const staleMs = (shape.staleSeconds ?? 0) * 1000;
    if (staleMs <= 0) return undefined;
    const kept = this.#memory.get(key);
    const header = headerOf(shape.version ?? '1', this.#link?.serverRun ?? '');
    const decoded = text === '' ? null : decodeEntry(text, header);
    const usableUntilMs = decoded === null ? (kept?.usableUntilMs ?? 0) : this.#local(decoded.freshUntilMs) + staleMs;
    if (nowMs >= usableUntilMs) return undefined;
    const value = decoded === null ? kept?.value : decoded.value;
    const freshUntilMs = Math.min(usableUntilMs, nowMs + STALE_PAUSE_MS);
    this.#memory.set(key, memoryEntry(value, freshUntilMs, usableUntilMs, tags), decoded?.size ?? text.length);
    return value;
  }

  /** A time of the server's clock on this process's. */
  #local(serverMs: number): number {
    return serverMs - (this.#link?.clockOffsetMs ?? 0);
  }
}

function memoryEntry(
  value: unknown,
  freshUntilMs: number,
  usableUntilMs: number,
  tags: readonly string[],
): MemoryEntry {
  return { value, freshUntilMs, usableUntilMs, tags, hit: Promise.resolve({ value, source: 'memory' as const }) };
}
