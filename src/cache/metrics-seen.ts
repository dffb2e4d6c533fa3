import type { Kind } from './metrics-ring.ts';

/** What an event of the template cache tells besides its kind. */
export interface Seen {
  readonly dataSignature: string | null;
  readonly sid: string | null;
  readonly source: string | null;
  readonly friendlyName: string | null;
}

const CHARACTERS_MAX = 200;

function bounded(given: unknown): string | null {
  // What callers pass in their own code was never checked: figures must not fail their sending.
  const text = typeof given === 'number' || typeof given === 'bigint' ? String(given) : given;
  if (typeof text !== 'string') return null;
  if (text.length <= CHARACTERS_MAX) return text;
  // A part of a long text would keep the whole in memory.
  return Buffer.from(text.slice(0, CHARACTERS_MAX), 'utf8').toString('utf8');
}

/** The newest event of each row, written over in place. */
export class LastSeen {
  readonly #kinds: Int8Array;
  readonly #atMs: Float64Array;
  readonly #texts: (string | null)[];

  constructor(rows: number) {
    this.#kinds = new Int8Array(rows).fill(-1);
    this.#atMs = new Float64Array(rows);
    this.#texts = new Array<string | null>(rows * 4).fill(null);
  }

  put(row: number, kind: Kind, atMs: number, seen: Seen): void {
    this.#kinds[row] = kind;
    this.#atMs[row] = atMs;
    this.#texts[row * 4] = bounded(seen.dataSignature);
    this.#texts[row * 4 + 1] = bounded(seen.sid);
    this.#texts[row * 4 + 2] = bounded(seen.source);
    this.#texts[row * 4 + 3] = bounded(seen.friendlyName);
  }

  of(row: number): (Seen & { readonly kind: Kind; readonly atMs: number }) | null {
    const kind = this.#kinds[row] ?? -1;
    if (kind < 0) return null;
    const [dataSignature = null, sid = null, source = null, friendlyName = null] = this.#texts.slice(row * 4);
    return { kind: kind as Kind, atMs: this.#atMs[row] ?? 0, dataSignature, sid, source, friendlyName };
  }
}
