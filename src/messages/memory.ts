import { hasCode } from '../errors/app-error.ts';

export interface MemoryOptions {
  /** An entry younger than this is used as it is, ms. Default 5,000. */
  readonly freshMs?: number;
  /** An entry younger than this is used at once and looked up again in the background, ms. Default 60,000. */
  readonly usableMs?: number;
  /** How long "there is none" is believed, ms. Default 1,000. */
  readonly absentMs?: number;
  /** Entries kept; the one that was used longest ago goes first. Default 10,000. */
  readonly entriesMax?: number;
  /** Called with its key when an entry served without a look-up, for figures of a cache behind this memory. */
  readonly onHit?: (key: string) => void;
  /** Monotonic clock, ms. */
  readonly now?: () => number;
}

/** Rows of the record that every request needs, kept in memory. */
export interface Memory<V> {
  /**
   * The value under `key`, looked up when it is unknown or old. While the record is away, an old value serves: what
   * was known stays usable for as long as PostgreSQL is down.
   * @throws what `load` throws, when nothing is known
   */
  get(key: string, load: () => Promise<V | null>): Promise<V | null>;
  /** What is known right now, however old; undefined when nothing is. */
  peek(key: string): V | null | undefined;
  set(key: string, value: V | null): void;
  forget(key: string): void;
  clear(): void;
  /**
   * It changed elsewhere: the next `get` asks the record, and what was known serves only while the record is away.
   * Without a key: everything may have changed.
   */
  expire(key?: string): void;
}

interface Entry<V> {
  readonly value: V | null;
  readonly atMs: number;
}

interface LookUp<V> {
  readonly result: Promise<V | null>;
  /** `old`: it changed elsewhere while it was looked up. `none`: somebody knows better, or wants it forgotten. */
  keep: 'fresh' | 'old' | 'none';
}

export function createMemory<V>(options: MemoryOptions = {}): Memory<V> {
  const { freshMs = 5000, usableMs = 60_000, absentMs = 1000, entriesMax = 10_000, onHit } = options;
  const now = options.now ?? (() => performance.now());
  const entries = new Map<string, Entry<V>>();
  const loading = new Map<string, LookUp<V>>();

  function set(key: string, value: V | null, atMs = now()): void {
    entries.delete(key);
    entries.set(key, { value, atMs });
    if (entries.size <= entriesMax) return;
    const oldest = entries.keys().next();
    if (oldest.done !== true) entries.delete(oldest.value);
  }

  /** A look-up that is under way goes on, for who waits for it; the next one begins anew. */
  function overtake(key: string, keep: 'old' | 'none'): void {
    const running = loading.get(key);
    if (running !== undefined) running.keep = keep;
    loading.delete(key);
  }

  // One look-up per key at a time.
  function load(key: string, from: () => Promise<V | null>): Promise<V | null> {
    const running = loading.get(key);
    if (running !== undefined) return running.result;
    const keep = (value: V | null): V | null => {
      if (loading.get(key) === started) loading.delete(key);
      if (started.keep === 'fresh') set(key, value);
      else if (started.keep === 'old' && value !== null && !entries.has(key)) set(key, value, -Infinity);
      return value;
    };
    const fail = (error: unknown): never => {
      if (loading.get(key) === started) loading.delete(key);
      throw error;
    };
    const started: LookUp<V> = { result: from().then(keep, fail), keep: 'fresh' };
    loading.set(key, started);
    return started.result;
  }

  return {
    async get(key, from) {
      const entry = entries.get(key);
      if (entry === undefined) return load(key, from);
      const ageMs = now() - entry.atMs;
      if (entry.value === null) {
        if (ageMs >= absentMs) return load(key, from);
        onHit?.(key);
        return null;
      }
      if (ageMs < freshMs) {
        onHit?.(key);
      } else {
        const refreshed = load(key, from);
        if (ageMs < usableMs) {
          refreshed.catch(() => undefined);
        } else {
          try {
            return await refreshed;
          } catch (error) {
            if (!hasCode(error, 'RECORD_UNAVAILABLE')) throw error;
          }
        }
      }
      // Moves it to the end: the map's order is the order of use.
      if (entries.get(key) === entry) {
        entries.delete(key);
        entries.set(key, entry);
      }
      return entry.value;
    },
    peek: (key) => entries.get(key)?.value,
    set(key, value) {
      overtake(key, 'none');
      set(key, value);
    },
    forget(key) {
      overtake(key, 'none');
      entries.delete(key);
    },
    clear() {
      for (const key of loading.keys()) overtake(key, 'none');
      entries.clear();
    },
    expire(key) {
      for (const one of key === undefined ? [...loading.keys()] : [key]) overtake(one, 'old');
      for (const one of key === undefined ? [...entries.keys()] : [key]) {
        const entry = entries.get(one);
        if (entry !== undefined) entries.set(one, { value: entry.value, atMs: -Infinity });
      }
    },
  };
}
