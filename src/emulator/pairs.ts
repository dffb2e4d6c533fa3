/** One number and one recipient: the bucket, the pace that was seen, and the customer's last message. */
interface Pair {
  tokens: number;
  tokensAtMs: number;
  lastAtMs: number;
  minGapMs: number;
  lastInboundAtMs: number;
}

export interface PairGap {
  readonly phoneNumberId: string;
  readonly recipient: string;
  readonly minGapMs: number;
}

/** Bounds memory: the pairs used longest ago are forgotten first, when their bucket is full again. */
const PAIRS_MAX = 300_000;

/** All pairs of the emulator, least recently used first. */
export class Pairs {
  readonly #pairs = new Map<string, Pair>();

  /** Notes an attempt at a pair, before any limit is looked at. */
  arrived(phoneNumberId: string, party: string, atMs: number): void {
    const pair = this.#touch(phoneNumberId, party);
    if (pair.lastAtMs > 0) pair.minGapMs = Math.min(pair.minGapMs, Math.max(0, atMs - pair.lastAtMs));
    pair.lastAtMs = Math.max(pair.lastAtMs, atMs);
  }

  /** Takes a token of the pair's bucket. Returns false when it is empty; capacity 0 = no limit. */
  take(phoneNumberId: string, party: string, atMs: number, limit: { capacity: number; refillMs: number }): boolean {
    if (limit.capacity === 0) return true;
    const pair = this.#touch(phoneNumberId, party);
    const refilled =
      pair.tokensAtMs === 0 ? limit.capacity : pair.tokens + Math.max(0, atMs - pair.tokensAtMs) / limit.refillMs;
    pair.tokens = Math.min(limit.capacity, refilled);
    pair.tokensAtMs = atMs;
    // A tenth of a millisecond of float error must not refuse a caller that waited exactly long enough.
    if (pair.tokens < 1 - 1e-4) return false;
    pair.tokens = Math.max(0, pair.tokens - 1);
    return true;
  }

  /** The customer wrote: the service window is open from now on. */
  wrote(phoneNumberId: string, party: string, atMs: number): void {
    this.#touch(phoneNumberId, party).lastInboundAtMs = atMs;
  }

  windowOpen(phoneNumberId: string, party: string, atMs: number, lengthMs: number): boolean {
    const last = this.#pairs.get(keyOf(phoneNumberId, party))?.lastInboundAtMs ?? 0;
    return last > 0 && atMs - last < lengthMs;
  }

  /** Pairs with the smallest gap between two attempts, smallest first. */
  smallestGaps(count: number): PairGap[] {
    const gaps: PairGap[] = [];
    for (const [key, pair] of this.#pairs) {
      if (!Number.isFinite(pair.minGapMs)) continue;
      const [phoneNumberId = '', recipient = ''] = key.split('|');
      gaps.push({ phoneNumberId, recipient, minGapMs: pair.minGapMs });
    }
    return gaps.sort((a, b) => a.minGapMs - b.minGapMs).slice(0, count);
  }

  resetGaps(): void {
    for (const pair of this.#pairs.values()) {
      pair.lastAtMs = 0;
      pair.minGapMs = Infinity;
    }
  }

  resetBuckets(): void {
    for (const pair of this.#pairs.values()) pair.tokensAtMs = 0;
  }

  get size(): number {
    return this.#pairs.size;
  }

  #touch(phoneNumberId: string, party: string): Pair {
    const key = keyOf(phoneNumberId, party);
    let pair = this.#pairs.get(key);
    if (pair) this.#pairs.delete(key);
    else pair = { tokens: 0, tokensAtMs: 0, lastAtMs: 0, minGapMs: Infinity, lastInboundAtMs: 0 };
    this.#pairs.set(key, pair);
    if (this.#pairs.size > PAIRS_MAX) {
      const oldest = this.#pairs.keys().next().value;
      if (oldest !== undefined) this.#pairs.delete(oldest);
    }
    return pair;
  }
}

function keyOf(phoneNumberId: string, party: string): string {
  return `${phoneNumberId}|${party}`;
}
