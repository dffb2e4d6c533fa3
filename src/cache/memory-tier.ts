import { LRUCache } from 'lru-cache';

export interface MemoryEntry {
  readonly value: unknown;
  /** Epoch ms, this process's clock. */
  readonly freshUntilMs: number;
  /** Until then it may serve while the source is down; epoch ms. */
  readonly usableUntilMs: number;
  readonly tags: readonly string[];
  /** The answer to whoever asks, made once. */
  readonly hit: Promise<{ readonly value: unknown; readonly source: 'memory' }>;
}

/** Objects take more room than their text; what is counted is the text, twice, and this. */
const OVERHEAD_BYTES = 300;

/** The first tier: values of this process, within a budget of bytes; the one that was used longest ago goes first. */
export class MemoryTier {
  readonly #entries: LRUCache<string, MemoryEntry>;
  readonly #tagged = new Map<string, Set<string>>();

  constructor(bytesMax: number) {
    this.#entries = new LRUCache({
      maxSize: bytesMax,
      // One value must not push out everything else.
      maxEntrySize: Math.ceil(bytesMax / 8),
      dispose: (entry, key) => this.#untag(entry, key),
    });
  }

  get bytes(): number {
    return this.#entries.calculatedSize;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(key: string): MemoryEntry | undefined {
    return this.#entries.get(key);
  }

  /** @param characters of the value's text */
  set(key: string, entry: MemoryEntry, characters: number): void {
    this.#entries.set(key, entry, { size: 2 * (characters + key.length) + OVERHEAD_BYTES });
    if (entry.tags.length === 0 || !this.#entries.has(key)) return;
    for (const tag of entry.tags) {
      const keys = this.#tagged.get(tag);
      if (keys === undefined) this.#tagged.set(tag, new Set([key]));
      else keys.add(key);
    }
  }

  delete(key: string): void {
    this.#entries.delete(key);
  }

  deleteTag(tag: string): void {
    for (const key of [...(this.#tagged.get(tag) ?? [])]) this.#entries.delete(key);
  }

  clear(): void {
    this.#entries.clear();
  }

  #untag(entry: MemoryEntry, key: string): void {
    for (const tag of entry.tags) {
      const keys = this.#tagged.get(tag);
      keys?.delete(key);
      if (keys?.size === 0) this.#tagged.delete(tag);
    }
  }
}
