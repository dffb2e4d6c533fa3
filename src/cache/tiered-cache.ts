import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { decodeEntry, freeze, headerOf } from './entry.ts';
import { storedKey } from './keys.ts';
import { type MemoryEntry, MemoryTier } from './memory-tier.ts';
import { assertTtl, type CachePolicy, isRetryable, jittered } from './policy.ts';
import { type Evicted, RedisLink } from './redis-link.ts';

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

/** Where a value came from; `shared` = another caller was computing it already. */
export type CacheSource = 'memory' | 'redis' | 'shared' | 'computed' | 'stale';

export interface Found {
  readonly value: unknown;
  readonly source: CacheSource;
}

interface Flight {
  promise: Promise<Found>;
  /** Something was evicted meanwhile: the result goes to those who wait and is not kept. */
  isVoid: boolean;
  readonly tags: readonly string[];
}

/** A read that is not shared; which tags its value carries is not known before it is read. */
interface Watch extends Flight {
  readonly key: string;
}
const NO_TAG: readonly string[] = [];

const NEVER = new Promise<never>(() => undefined);
const MEMORY_BYTES_MAX = 64 * 1024 * 1024;
/** A process that computes renews its lease; one that died is replaced after this time. */
const LEASE_MS = 4000;
/** Longest wait for another process's computation; then this one computes too, and does not keep the result. */
const WAIT_MAX_MS = 10_000;
/** After an old value served because the source is down, the source is asked again no sooner. */
const STALE_PAUSE_MS = 1000;

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
  readonly #flights = new Map<string, Flight>();
  readonly #watched = new Set<Watch>();
  readonly #listeners = new Set<(evicted: Evicted) => void>();
  readonly #bytesMax: number;
  readonly #now: () => number;
  readonly #random: () => number;

  constructor(options: TieredCacheOptions) {
    const { redisUrl, bytesMax, onChange } = options;
    this.#bytesMax = bytesMax;
    this.#now = options.now ?? (() => Date.now());
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
    return this.#fresh(key)?.value;
  }

  /** The value as it is kept, computing nothing; undefined when there is none. */
  async get(key: string, version = '1'): Promise<Found | undefined> {
    const known = this.#fresh(key);
    if (known !== undefined) return known.hit;
    const stored = storedKey(key);
    const flight = this.#watch(stored);
    try {
      const value = await this.#read(stored, version, flight);
      return value === undefined ? undefined : { value, source: 'redis' };
    } finally {
      this.#unwatch(flight);
    }
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
    return this.#fresh(key)?.hit ?? this.#share(key, policy, load, tags);
  }

  async #share(
    key: string,
    policy: CachePolicy,
    load: () => Promise<unknown>,
    tags: readonly string[],
  ): Promise<Found> {
    const stored = storedKey(key);
    const running = this.#flights.get(stored);
    if (running !== undefined) return { value: (await running.promise).value, source: 'shared' };
    const flight: Flight = { promise: NEVER, isVoid: false, tags };
    this.#flights.set(stored, flight);
    flight.promise = this.#find(stored, policy, load, tags, flight);
    try {
      return await flight.promise;
    } finally {
      if (this.#flights.get(stored) === flight) this.#flights.delete(stored);
    }
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
    const watch = this.#watch(stored);
    try {
      const ttlMs = jittered(policy.ttlSeconds, this.#random());
      const isKept = await this.#fill(true, stored, '', '', json, { ...policy, ttlMs }, tags);
      if (isKept && !watch.isVoid) this.#remember(stored, JSON.parse(json), json.length, ttlMs, policy, tags);
      // A value that could not be stored replaces what other processes have by nothing.
      if (!isKept && this.#link !== null) await this.#link.evict([stored]);
    } finally {
      this.#unwatch(watch);
    }
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

  #fresh(key: string): MemoryEntry | undefined {
    const entry = this.#memory.get(key);
    if (entry === undefined) return undefined;
    const nowMs = this.#now();
    const isTrusted = nowMs < entry.freshUntilMs && (this.#link === null || this.#link.isHearing(nowMs));
    return isTrusted ? entry : undefined;
  }

  async #find(
    key: string,
    policy: CachePolicy,
    load: () => Promise<unknown>,
    tags: readonly string[],
    flight: Flight,
  ): Promise<Found> {
    const read = await this.#read(key, policy.version, flight, policy);
    if (read !== undefined) return { value: read, source: 'redis' };
    const link = this.#link;
    const token = randomBytes(9).toString('base64url');
    const giveUpMs = performance.now() + WAIT_MAX_MS;
    for (let pauseMs = 4; link?.isUp === true; pauseMs = Math.min(100, pauseMs * 1.5)) {
      const header = headerOf(policy.version ?? '1', link.serverRun);
      const reply = await link.run<[string, string, string]>('lease', key, token, LEASE_MS, header, ...tags);
      if (reply === undefined) break;
      const [text, kind, gens] = reply;
      if (kind === 'fresh') {
        const value = await this.#take(key, text, header, flight, policy);
        if (value !== undefined) return { value, source: 'redis' };
        continue; // It could not be read and is gone now.
      }
      if (kind === 'lease') return this.#compute(key, policy, load, tags, flight, { token, gens, old: text });
      if (performance.now() > giveUpMs) break;
      await delay(pauseMs);
    }
    return this.#compute(key, policy, load, tags, flight, null);
  }

  /** Computes, with a lease or without; only with one the result is kept for others. */
  async #compute(
    key: string,
    policy: CachePolicy,
    load: () => Promise<unknown>,
    tags: readonly string[],
    flight: Flight,
    lease: { readonly token: string; readonly gens: string; readonly old: string } | null,
  ): Promise<Found> {
    const renewal =
      lease === null
        ? undefined
        : setInterval(() => void this.#link?.run('renew', key, lease.token, LEASE_MS), LEASE_MS / 3).unref();
    try {
      const value = await load();
      const ttlSeconds = value === null ? (policy.nullTtlSeconds ?? 0) : policy.ttlSeconds;
      const json = toJson(value);
      if (ttlSeconds <= 0 || json === undefined) {
        if (lease !== null) await this.#link?.run('drop', 'lock', key, lease.token);
        return { value: json === undefined ? value : freeze(JSON.parse(json)), source: 'computed' };
      }
      const ttlMs = jittered(ttlSeconds, this.#random());
      const copy = freeze(JSON.parse(json) as unknown);
      const isKept =
        lease === null
          ? this.#link === null
          : await this.#fill(false, key, lease.token, lease.gens, json, { ...policy, ttlMs }, tags);
      if (isKept && !flight.isVoid) this.#remember(key, copy, json.length, ttlMs, policy, tags);
      return { value: copy, source: 'computed' };
    } catch (error) {
      if (lease !== null) await this.#link?.run('drop', 'lock', key, lease.token);
      const isDown = (policy.isSourceDown ?? isRetryable)(error);
      const old = isDown && !flight.isVoid ? this.#stale(key, policy, lease?.old ?? '', tags) : undefined;
      if (old === undefined) throw error;
      return { value: old, source: 'stale' };
    } finally {
      clearInterval(renewal);
    }
  }

  /** A value past its time that may serve while the source is down. */
  #stale(key: string, policy: CachePolicy, text: string, tags: readonly string[]): unknown {
    const nowMs = this.#now();
    const staleMs = (policy.staleSeconds ?? 0) * 1000;
    if (staleMs <= 0) return undefined;
    const kept = this.#memory.get(key);
    const header = headerOf(policy.version ?? '1', this.#link?.serverRun ?? '');
    const decoded = text === '' ? null : decodeEntry(text, header);
    const usableUntilMs = decoded === null ? (kept?.usableUntilMs ?? 0) : this.#local(decoded.freshUntilMs) + staleMs;
    if (nowMs >= usableUntilMs) return undefined;
    const value = decoded === null ? kept?.value : decoded.value;
    const freshUntilMs = Math.min(usableUntilMs, nowMs + STALE_PAUSE_MS);
    this.#memory.set(key, memoryEntry(value, freshUntilMs, usableUntilMs, tags), decoded?.size ?? text.length);
    return value;
  }

  async #read(
    key: string,
    version = '1',
    flight: Flight,
    policy: Pick<CachePolicy, 'staleSeconds'> = {},
  ): Promise<unknown> {
    const link = this.#link;
    if (link === null) return undefined;
    const text = await link.get(key);
    if (text === null || text === undefined) return undefined;
    return this.#take(key, text, headerOf(version, link.serverRun), flight, policy);
  }

  /**
   * The value of an entry's text, remembered; undefined when it is old. One that cannot be read is removed, and only
   * that takes a promise: this is the way of every hit in Redis.
   */
  #take(key: string, text: string, header: string, flight: Flight, policy: Pick<CachePolicy, 'staleSeconds'>): unknown {
    const decoded = decodeEntry(text, header);
    if (decoded === null) return this.#link?.run('drop', 'entry', key, text).then(() => undefined);
    const leftMs = this.#local(decoded.freshUntilMs) - this.#now();
    if (leftMs <= 0) return undefined;
    if (!flight.isVoid) this.#remember(key, decoded.value, decoded.size, leftMs, policy, decoded.tags);
    return decoded.value;
  }

  #local(serverMs: number): number {
    return serverMs - (this.#link?.clockOffsetMs ?? 0);
  }

  async #fill(
    announce: boolean,
    key: string,
    token: string,
    gens: string,
    json: string,
    policy: { readonly ttlMs: number; readonly staleSeconds?: number; readonly version?: string },
    tags: readonly string[],
  ): Promise<boolean> {
    const link = this.#link;
    if (link === null) return true;
    const header = headerOf(policy.version ?? '1', link.serverRun);
    const staleMs = Math.round((policy.staleSeconds ?? 0) * 1000);
    const rest = [gens, header, `${tags.join(' ')}|${json}`, policy.ttlMs, staleMs, this.#bytesMax];
    return link.fill(announce, key, token, rest, tags);
  }

  #remember(
    key: string,
    value: unknown,
    characters: number,
    ttlMs: number,
    policy: Pick<CachePolicy, 'staleSeconds'>,
    tags: readonly string[],
  ): void {
    const freshUntilMs = this.#now() + ttlMs;
    const usableUntilMs = freshUntilMs + (policy.staleSeconds ?? 0) * 1000;
    this.#memory.set(key, memoryEntry(freeze(value), freshUntilMs, usableUntilMs, tags), characters);
  }

  /** A read that is not shared but must not be kept when something is evicted meanwhile. */
  #watch(key: string): Watch {
    const flight: Watch = { promise: NEVER, isVoid: false, tags: NO_TAG, key };
    this.#watched.add(flight);
    return flight;
  }

  #unwatch(flight: Watch): void {
    this.#watched.delete(flight);
  }

  #evicted(evicted: Evicted): void {
    this.#drop(evicted);
    for (const listener of this.#listeners) listener(evicted);
  }

  #drop(evicted: Evicted): void {
    const touches = (key: string, tags: readonly string[]): boolean =>
      evicted.kind === 'all' ||
      (evicted.kind === 'keys' ? evicted.names.includes(key) : tags.some((tag) => evicted.names.includes(tag)));
    for (const [key, flight] of this.#flights) {
      if (!touches(key, flight.tags)) continue;
      flight.isVoid = true;
      this.#flights.delete(key);
    }
    for (const watch of this.#watched) if (evicted.kind !== 'keys' || touches(watch.key, [])) watch.isVoid = true;
    if (evicted.kind === 'all') this.#memory.clear();
    else if (evicted.kind === 'keys') for (const key of evicted.names) this.#memory.delete(key);
    else for (const tag of evicted.names) this.#memory.deleteTag(tag);
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

function toJson(value: unknown): string | undefined {
  try {
    return JSON.stringify(value);
  } catch {
    return undefined; // A circle, a bigint: it is handed on and not kept.
  }
}
