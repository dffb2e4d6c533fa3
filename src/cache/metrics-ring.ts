export const HIT = 0;
export const MISS = 1;
export const CREATION = 2;
export const COUNTED = ['hit', 'miss', 'creation'] as const;
export type Kind = typeof HIT | typeof MISS | typeof CREATION;
const KINDS = COUNTED.length;

/**
 * Counters of many rows in a few arrays of fixed size: totals since the start, and a ring of time buckets whose sums
 * are kept, so that a window costs no adding up. A row that was quiet is brought up to date when it is looked at.
 */
export class Ring {
  readonly #buckets: number;
  readonly #totals: Float64Array;
  readonly #sums: Float64Array;
  readonly #counts: Uint32Array;
  /** Newest bucket of each row. */
  readonly #newest: Float64Array;

  constructor(rows: number, buckets: number, bucket: number) {
    this.#buckets = buckets;
    this.#totals = new Float64Array(rows * KINDS);
    this.#sums = new Float64Array(rows * KINDS);
    this.#counts = new Uint32Array(rows * KINDS * buckets);
    this.#newest = new Float64Array(rows).fill(bucket);
  }

  add(row: number, kind: Kind, bucket: number): void {
    if (bucket !== this.#newest[row]) this.advance(row, bucket);
    const cell = row * KINDS + kind;
    // A clock that was set back counts into the newest bucket.
    const slot = cell * this.#buckets + ((this.#newest[row] ?? 0) % this.#buckets);
    this.#totals[cell] = (this.#totals[cell] ?? 0) + 1;
    this.#sums[cell] = (this.#sums[cell] ?? 0) + 1;
    this.#counts[slot] = (this.#counts[slot] ?? 0) + 1;
  }

  /** Empties the buckets between a row's newest and this one. */
  advance(row: number, bucket: number): void {
    const newest = this.#newest[row] ?? 0;
    if (bucket <= newest) return;
    const steps = Math.min(this.#buckets, bucket - newest);
    for (let kind = 0; kind < KINDS; kind += 1) {
      const cell = row * KINDS + kind;
      for (let step = 1; step <= steps; step += 1) {
        const slot = cell * this.#buckets + ((newest + step) % this.#buckets);
        this.#sums[cell] = (this.#sums[cell] ?? 0) - (this.#counts[slot] ?? 0);
        this.#counts[slot] = 0;
      }
    }
    this.#newest[row] = bucket;
  }

  total(row: number, kind: Kind): number {
    return this.#totals[row * KINDS + kind] ?? 0;
  }

  /** Right only after `advance`. */
  window(row: number, kind: Kind): number {
    return this.#sums[row * KINDS + kind] ?? 0;
  }
}
