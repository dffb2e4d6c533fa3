import { createHash } from 'node:crypto';
import { open, type FileHandle } from 'node:fs/promises';
import type { ParsedMessage } from './request.ts';
import { isPlainObject } from './settings.ts';

/** One request that reached `/messages`, and what became of it. Times are epoch ms with a fraction. */
export interface LedgerEntry {
  /** 1, 2, 3, … in the order in which the emulator decided. */
  readonly n: number;
  /** When the request's head arrived. */
  readonly atMs: number;
  readonly phoneNumberId: string;
  readonly kind: 'message' | 'read' | 'typing' | 'invalid';
  /** Message type; empty when it is not known. */
  readonly type: string;
  /** `to` or `recipient` as sent. */
  readonly to: string;
  /** The canonical recipient (wa_id or user id). */
  readonly recipient: string;
  /** `textDigest()` of the content. */
  readonly digest: string;
  readonly tag: string | null;
  /** Did the message go out, whatever the client was told. */
  readonly taken: boolean;
  /** `accepted`: 200 with an id · `rejected`: refused with an envelope · `limited`: 130429 or 131056 · `fault`: a rule. */
  readonly outcome: 'accepted' | 'rejected' | 'limited' | 'fault';
  /** Meta's error code, in the answer or (fail-later) in the status; null without one. */
  readonly code: number | null;
  /** 0 when no answer was given. */
  readonly httpStatus: number;
  readonly wamid: string | null;
  /** Rule that applied. */
  readonly rule: string | null;
  /** Requests of this number in flight when it arrived, itself included. */
  readonly inFlight: number;
}

export interface LedgerQuery {
  /** Entries with a greater `n`. */
  readonly after?: number;
  readonly limit?: number;
  readonly phoneNumberId?: string;
  readonly recipient?: string;
  readonly outcome?: string;
  readonly tag?: string;
}

/**
 * Digest by which a test finds its message again: 16 hex digits of SHA-256, over the text's UTF-8 for type `text`,
 * over the JSON of the content for the other types.
 */
export function textDigest(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}

export function messageDigest({ type, content }: Pick<ParsedMessage, 'type' | 'content'>): string {
  const body = type === 'text' && isPlainObject(content) ? content['body'] : null;
  return textDigest(typeof body === 'string' ? body : JSON.stringify(content));
}

/** The last requests in memory, and all of them in a file when one was named. */
export class Ledger {
  readonly #file: LedgerFile | null;
  readonly #listeners = new Set<(entry: LedgerEntry) => void>();
  #entries: LedgerEntry[] = [];
  #start = 0;
  #max: number;
  #n = 0;

  constructor(max: number, file: LedgerFile | null) {
    this.#max = max;
    this.#file = file;
  }

  /** Entries ever recorded. */
  get count(): number {
    return this.#n;
  }

  set max(max: number) {
    this.#max = max;
    this.#trim();
  }

  /** Keeps an entry. With a file, resolves when it is on disk (one fsync for all that wait at the same time). */
  record(fields: Omit<LedgerEntry, 'n'>): Promise<void> | undefined {
    this.#n += 1;
    const entry: LedgerEntry = { n: this.#n, ...fields };
    this.#entries.push(entry);
    this.#trim();
    for (const listener of this.#listeners) listener(entry);
    return this.#file?.append(`${JSON.stringify(entry)}\n`);
  }

  /** Matching entries, oldest first; without `limit`, all that are in memory. */
  *query(query: LedgerQuery = {}): Generator<LedgerEntry> {
    let left = query.limit ?? Infinity;
    const first = this.#entries[this.#start]?.n ?? 1;
    const from = this.#start + Math.max(0, (query.after ?? 0) - first + 1);
    for (let i = from; i < this.#entries.length && left > 0; i += 1) {
      const entry = this.#entries[i];
      if (!entry || !wanted(entry, query)) continue;
      left -= 1;
      yield entry;
    }
  }

  /** Calls back for every new entry, before its answer is sent. Returns the way to stop that. */
  onEntry(listener: (entry: LedgerEntry) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Forgets what is in memory; numbering goes on, the file stays. */
  clear(): void {
    this.#entries = [];
    this.#start = 0;
  }

  async close(): Promise<void> {
    this.#listeners.clear();
    await this.#file?.close();
  }

  #trim(): void {
    this.#start = Math.max(this.#start, this.#entries.length - this.#max);
    // The head is cut off in large pieces: one by one would move the whole array each time.
    if (this.#start > 1024 && this.#start > this.#entries.length / 4) {
      this.#entries = this.#entries.slice(this.#start);
      this.#start = 0;
    }
  }
}

function wanted(entry: LedgerEntry, query: LedgerQuery): boolean {
  return (
    (query.phoneNumberId === undefined || entry.phoneNumberId === query.phoneNumberId) &&
    (query.recipient === undefined || entry.recipient === query.recipient || entry.to === query.recipient) &&
    (query.outcome === undefined || entry.outcome === query.outcome) &&
    (query.tag === undefined || entry.tag === query.tag)
  );
}

/** A file of JSON lines, appended and fsynced in groups. */
export class LedgerFile {
  readonly #handle: FileHandle;
  #waiting: { line: string; resolve: () => void; reject: (error: unknown) => void }[] = [];
  #loop: Promise<void> | null = null;

  private constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  /** Opens a file for appending; it is made when it does not exist. */
  static async open(path: string): Promise<LedgerFile> {
    return new LedgerFile(await open(path, 'a'));
  }

  /** Resolves when the line is on disk. */
  append(line: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ line, resolve, reject });
      this.#loop ??= this.#write();
    });
  }

  async close(): Promise<void> {
    await this.#loop;
    await this.#handle.close();
  }

  async #write(): Promise<void> {
    while (this.#waiting.length > 0) {
      const group = this.#waiting;
      this.#waiting = [];
      try {
        await this.#handle.appendFile(group.map((item) => item.line).join(''));
        await this.#handle.sync();
        for (const item of group) item.resolve();
      } catch (error) {
        for (const item of group) item.reject(error);
      }
    }
    this.#loop = null;
  }
}
