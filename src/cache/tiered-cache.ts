import type { Evicted } from './evicted.ts';
import { Flights } from './flights.ts';
import type { Found } from './found.ts';
import { storedKey } from './keys.ts';
import { Loader } from './loader.ts';
import { MemoryTier } from './memory-tier.ts';
import { assertTtl, type CachePolicy, jittered } from './policy.ts';
import { RedisLink } from './redis-link.ts';
import { ValueStore } from './value-store.ts';

export interface TieredCacheOptions {
  /** `redis://` address with the cache's database in it; null = memory of this process only. */
  readonly redisUrl: string | null;
  /** CACHE_MAX_BYTES: all entries in Redis together. */
  readonly bytesMax: number;
  /** Of this process's memory; default an eighth of `bytesMax`, at most 64 MiB. */
  readonly memoryBytesMax?: number;
  readonly onChange?: (isUp: boolean, reason: string) => void;
  /** Epoch ms. */
  readonly now?: () => number;
  /** 0 … 1, for the jitter. */
  readonly random?: () => number;
}

const NO_TAG: readonly string[] = [];
const MEMORY_BYTES_MAX = 64 * 1024 * 1024;

/**
 * Memory of this process before Redis before the source. A value is one that the source gave no longer than its TTL
 * ago and that nobody evicted; without Redis every read asks the source, because evictions could not be heard.
 *
 * Values are what JSON keeps, frozen, the same for the first caller as for the last: a Date becomes a text at once
 * and not only at the second read.
 */
export class TieredCache {
  readonly #memory: MemoryTier;
  readonly #link: RedisLink | null;
  readonly #store: ValueStore;
  readonly #loader: Loader;
  readonly #flights = new Flights();
  readonly #listeners = new Set<(evicted: Evicted) => void>();
  readonly #bytesMax: number;
  readonly #random: () => number;

  constructor(options: TieredCacheOptions) {
    const { redisUrl, bytesMax, onChange } = options;
    this.#bytesMax = bytesMax;
    this.#random = options.random ?? (() => Math.random());
    this.#memory = new MemoryTier(options.memoryBytesMax ?? Math.min(MEMORY_BYTES_MAX, Math.ceil(bytesMax / 8)));
    this.#link =
      redisUrl === null
        ? null
        : new RedisLink({
            url: redisUrl,
            onEvicted: (evicted) => this.#evicted(evicted),
            ...(onChange === undefined ? {} : { onChange }),
          });
    const now = options.now ?? (() => Date.now());
    this.#store = new ValueStore({ memory: this.#memory, link: this.#link, bytesMax, now });
    this.#loader = new Loader(this.#store, this.#link, this.#random);
  }

  async start(waitMs?: number): Promise<void> {
    await this.#link?.start(waitMs);
  }

  stop(): void {
    this.#link?.stop();
    this.#memory.clear();
  }

  /** Is Redis there, how much is kept where. */
  get state() {
    const { bytes, entries } = this.#link?.used ?? { bytes: 0, entries: 0 };
    return {
      isRedisUp: this.#link?.isUp ?? false,
      memoryBytes: this.#memory.bytes,
      memoryEntries: this.#memory.size,
      redisBytes: bytes,
      redisEntries: entries,
      bytesMax: this.#bytesMax,
    };
  }

  /** Hears every eviction, also of other processes; for memories that other rooms keep. @returns ends it */
  onEvicted(listener: (evicted: Evicted) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The value in this process's memory; undefined when there is none that may be used. */
  peek(key: string): unknown {
    return this.#store.fresh(key)?.value;
  }

  /** The value as it is kept, computing nothing; undefined when there is none. */
  async get(key: string, version = '1'): Promise<Found | undefined> {
    const known = this.#store.fresh(key);
    if (known !== undefined) return known.hit;
    const stored = storedKey(key);
    return await this.#flights.watch(stored, async (flight) => {
      const value = await this.#store.read(stored, { version }, flight);
      return value === undefined ? undefined : { value, source: 'redis' };
    });
  }

  /**
   * The value, computed by `load` when it is not kept: once for all who ask at the same time, over all processes.
   * @throws what `load` throws, to every waiter; it is not kept
   */
  getOrLoad(
    key: string,
    policy: CachePolicy,
    load: () => Promise<unknown>,
    tags: readonly string[] = NO_TAG,
  ): Promise<Found> {
    // The way of nearly all calls: nothing is made for it.
    return this.#store.fresh(key)?.hit ?? this.#find(key, policy, load, tags);
  }

  async #find(key: string, policy: CachePolicy, load: () => Promise<unknown>, tags: readonly string[]): Promise<Found> {
    const wanted = { key: storedKey(key), policy, load, tags };
    return await this.#flights.share(wanted.key, tags, (flight) => this.#loader.find(wanted, flight));
  }

  /**
   * Keeps a value. Other processes forget what they had under the key.
   * @throws RangeError for a TTL that is none, TypeError for a value that JSON cannot keep
   */
  async set(
    key: string,
    value: unknown,
    policy: Pick<CachePolicy, 'ttlSeconds' | 'staleSeconds' | 'version'>,
    tags: readonly string[] = [],
  ): Promise<void> {
    assertTtl(policy.ttlSeconds);
    const stored = storedKey(key);
    const json = JSON.stringify(value) as string | undefined;
    if (json === undefined) throw new TypeError(`The value for ${key} is nothing that JSON can keep.`);
    this.#drop({ kind: 'keys', names: [stored] });
    await this.#flights.watch(stored, async (flight) => {
      const ttlMs = jittered(policy.ttlSeconds, this.#random());
      const filling = { announce: true, token: '', gens: '', json, ttlMs };
      const isKept = await this.#store.fill(stored, filling, policy, tags);
      if (isKept && !flight.isVoid) {
        this.#store.remember(stored, JSON.parse(json), json.length, ttlMs, policy, tags);
      }
      // A value that could not be stored replaces what other processes have by nothing.
      if (!isKept && this.#link !== null) await this.#link.evict([stored]);
    });
  }

  /** Resolves when this process has forgotten them, and the others have been told or will be. Never rejects. */
  async evict(keys: readonly string[]): Promise<void> {
    const names = keys.map((key) => storedKey(key));
    this.#evicted({ kind: 'keys', names });
    await this.#link?.evict(names);
  }

  async evictTags(tags: readonly string[]): Promise<void> {
    this.#evicted({ kind: 'tags', names: tags });
    await this.#link?.evictTags(tags);
  }

  /**
   * As `evictTags()`, for tags that change many times a second: at once after a quiet time, else a second after the last
   * time, by whatever process. Resolves when it is certain, also if this process ends then.
   */
  async evictTagsPaced(tags: readonly string[]): Promise<void> {
    if (tags.length === 0) return;
    const evicted = this.#link === null ? tags : await this.#link.changed(tags);
    if (evicted.length > 0) this.#evicted({ kind: 'tags', names: evicted });
  }

  async reset(): Promise<void> {
    this.#evicted({ kind: 'all' });
    await this.#link?.reset();
  }

  #evicted(evicted: Evicted): void {
    this.#drop(evicted);
    for (const listener of this.#listeners) listener(evicted);
  }

  #drop(evicted: Evicted): void {
    this.#flights.evict(evicted);
    if (evicted.kind === 'all') this.#memory.clear();
    else if (evicted.kind === 'keys') for (const key of evicted.names) this.#memory.delete(key);
    else for (const tag of evicted.names) this.#memory.deleteTag(tag);
  }
}
