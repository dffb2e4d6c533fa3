import type { EventEntry, EventLog, LifecycleEvent } from '../../../src/model/events.ts';

/** Shared by all logs: like Redis' clock, ids of one log never come again in another. */
let nextMs = 1_700_000_000_000;

/** An event log in memory that keeps the contract of `EventLog`: what is not recorded stays, reads wait for entries. */
export class MemoryLog implements EventLog {
  readonly shard: number;
  readonly #entries: EventEntry[] = [];
  readonly #wakers = new Set<() => void>();
  readonly #closing = new AbortController();
  /** Entries handed to `recorded()`, oldest first, with repetitions. */
  readonly forgotten: string[] = [];
  /** Set to make reads fail, as when Redis is away. */
  readError: Error | null = null;
  /** Set to make `recorded()` fail once. */
  recordedError: Error | null = null;

  constructor(shard = 0) {
    this.shard = shard;
  }

  /** Entries that are not recorded yet. */
  get length(): number {
    return this.#entries.length;
  }

  /** Adds one entry per argument. */
  append(...entries: readonly (readonly LifecycleEvent[])[]): void {
    for (const events of entries) this.#entries.push({ id: `${nextMs++}-0`, events });
    this.wake();
  }

  /** Puts entries of an earlier log in again, as they were. */
  restore(entries: readonly EventEntry[]): void {
    this.#entries.push(...entries);
    this.wake();
  }

  /** What is not recorded yet. */
  entries(): EventEntry[] {
    return [...this.#entries];
  }

  wake(): void {
    for (const waker of this.#wakers) waker();
  }

  async read(after: string, count: number, blockMs: number): Promise<EventEntry[]> {
    const find = (): EventEntry[] => {
      if (this.readError !== null) throw this.readError;
      return this.#entries.filter((entry) => isAfter(entry.id, after)).slice(0, count);
    };
    const found = find();
    if (found.length > 0 || this.#isClosed()) return found;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#wakers.delete(done);
        resolve();
      };
      const timer = setTimeout(done, blockMs);
      this.#wakers.add(done);
    });
    return this.#isClosed() ? [] : find();
  }

  recorded(entries: readonly EventEntry[]): Promise<void> {
    const error = this.recordedError;
    this.recordedError = null;
    if (error !== null) return Promise.reject(error);
    const ids = new Set(entries.map((entry) => entry.id));
    this.forgotten.push(...ids);
    this.#entries.splice(0, this.#entries.length, ...this.#entries.filter((entry) => !ids.has(entry.id)));
    return Promise.resolve();
  }

  #isClosed(): boolean {
    return this.#closing.signal.aborted;
  }

  close(): Promise<void> {
    this.#closing.abort();
    this.wake();
    return Promise.resolve();
  }
}

function isAfter(id: string, other: string): boolean {
  const [ms = 0, seq = 0] = id.split('-').map(Number);
  const [otherMs = 0, otherSeq = 0] = other.split('-').map(Number);
  return ms > otherMs || (ms === otherMs && seq > otherSeq);
}
