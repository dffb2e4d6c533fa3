import { LastSeen, type Seen } from './metrics-seen.ts';
import { HIT, MISS, CREATION, type Kind, Ring } from './metrics-ring.ts';

/** Rates are 0 … 1; 0 when nothing was asked. */
export interface Figures {
  readonly hits: number;
  readonly misses: number;
  readonly creations: number;
  readonly hitRate: number;
  readonly missRate: number;
}

export interface Condition {
  readonly kind: 'cache-miss-spike' | 'cache-low-hit-rate';
  /** Name of the cache. */
  readonly cache: string;
  /** Null = the whole cache. */
  readonly key: string | null;
  readonly threshold: number;
  /** Of the window for a spike, since the start for a low hit rate. */
  readonly figures: Figures;
  /** Epoch ms. */
  readonly sinceMs: number;
}

export interface MetricsOptions {
  readonly cache: string;
  /** CACHE_SPIKE_THRESHOLD: miss rate of the window above which it is a spike, 0 … 1. */
  readonly spikeThreshold: number;
  /** Thresholds of single keys. */
  readonly spikeThresholdOf?: Readonly<Record<string, number>>;
  /** Fewer hits and misses in the window say nothing. Default 20. */
  readonly trafficMin?: number;
  /** Fewer hits and misses since the start say nothing of the hit rate. Default 100. */
  readonly lifetimeTrafficMin?: number;
  /** Default 0.8. */
  readonly hitRateMin?: number;
  /** Keys with a row of their own; what comes later is counted under `other`. Default 1,000. */
  readonly keysMax?: number;
  /** Called with every look, for a log that shows them all. */
  readonly onLook?: (key: string, isHit: boolean) => void;
  /** Called when a condition begins and when it ends. */
  readonly onCondition?: (condition: Condition, isOn: boolean) => void;
  /** Epoch ms. */
  readonly now?: () => number;
}

/** The row of keys beyond the bound, and of keys that are no text. */
export const OTHER_KEY = 'other';
export const WINDOW_SECONDS = 300;
/** Buckets of ten seconds. */
const BUCKETS = 30;
const BUCKET_MS = (WINDOW_SECONDS * 1000) / BUCKETS;
const KEY_CHARACTERS_MAX = 200;

/**
 * Counts hits, misses and creations of one cache in constant time and memory, however many events come: since the
 * start, over the last five minutes, and for each key. Row 0 is the whole cache, row 1 is `other`.
 */
export class CacheMetrics {
  readonly cache: string;
  readonly spikeThreshold: number;
  readonly startedAtMs: number;
  readonly keysMax: number;
  readonly #ring: Ring;
  readonly #rows = new Map<string, number>();
  readonly #names: string[] = ['', OTHER_KEY];
  readonly #seen: LastSeen;
  readonly #spikingSinceMs: Float64Array;
  readonly #options: Required<Pick<MetricsOptions, 'trafficMin' | 'lifetimeTrafficMin' | 'hitRateMin'>> &
    MetricsOptions;
  readonly #now: () => number;
  #lowSinceMs = 0;

  constructor(options: MetricsOptions) {
    this.#options = { trafficMin: 20, lifetimeTrafficMin: 100, hitRateMin: 0.8, ...options };
    this.#now = options.now ?? (() => Date.now());
    this.cache = options.cache;
    this.spikeThreshold = options.spikeThreshold;
    this.startedAtMs = this.#now();
    this.keysMax = options.keysMax ?? 1000;
    this.#ring = new Ring(this.keysMax + 2, BUCKETS, this.#bucket());
    this.#seen = new LastSeen(this.keysMax + 2);
    this.#spikingSinceMs = new Float64Array(this.keysMax + 2);
    this.#rows.set(OTHER_KEY, 1);
  }

  hit(key: string, seen?: Seen): void {
    this.#count(HIT, key, seen);
    this.#options.onLook?.(key, true);
  }

  miss(key: string, seen?: Seen): void {
    const row = this.#count(MISS, key, seen);
    this.#options.onLook?.(key, false);
    this.#judge(0);
    this.#judge(row);
  }

  creation(key: string, seen?: Seen): void {
    this.#count(CREATION, key, seen);
  }

  /** Since the start. */
  cumulative(): Figures {
    return figures(this.#ring.total(0, HIT), this.#ring.total(0, MISS), this.#ring.total(0, CREATION));
  }

  /** Of the last five minutes, to the bucket of ten seconds; of one key when it is given. */
  window(key?: string): Figures {
    const row = key === undefined ? 0 : this.#rows.get(nameOf(key));
    return row === undefined ? figures(0, 0, 0) : this.#windowOf(row);
  }

  /** Since the start, by key. */
  byKey(): Record<string, Figures> {
    // Without a prototype, because a key may be `__proto__`.
    const all = Object.create(null) as Record<string, Figures>;
    for (let row = 1; row < this.#names.length; row += 1) {
      const one = figures(this.#ring.total(row, HIT), this.#ring.total(row, MISS), this.#ring.total(row, CREATION));
      if (row === 1 && one.hits + one.misses + one.creations === 0) continue;
      all[this.#names[row] ?? ''] = one;
    }
    return all;
  }

  /** What was last told of a key: signature, sid, source, friendly name. */
  lastSeen(key: string): (Seen & { readonly kind: Kind; readonly atMs: number }) | null {
    const row = this.#rows.get(nameOf(key));
    return row === undefined ? null : this.#seen.of(row);
  }

  /** What is the case now. Ends conditions that time has ended. */
  conditions(): Condition[] {
    for (let row = 0; row < this.#names.length; row += 1) {
      if (this.#spikingSinceMs[row] !== 0) this.#judge(row);
    }
    this.#judgeLifetime();
    const conditions: Condition[] = [];
    for (let row = 0; row < this.#names.length; row += 1) {
      if (this.#spikingSinceMs[row] !== 0) conditions.push(this.#spike(row));
    }
    if (this.#lowSinceMs !== 0) conditions.push(this.#lowHitRate());
    return conditions;
  }

  get isMissRateAboveThreshold(): boolean {
    this.#judge(0);
    return this.#spikingSinceMs[0] !== 0;
  }

  #bucket(): number {
    return Math.floor(this.#now() / BUCKET_MS);
  }

  #count(kind: Kind, key: string, seen: Seen | undefined): number {
    const row = this.#rows.get(key) ?? this.#rowOf(key);
    const nowMs = this.#now();
    const bucket = Math.floor(nowMs / BUCKET_MS);
    this.#ring.add(0, kind, bucket);
    this.#ring.add(row, kind, bucket);
    if (seen !== undefined) this.#seen.put(row, kind, nowMs, seen);
    return row;
  }

  #rowOf(key: string): number {
    const name = nameOf(key);
    const known = this.#rows.get(name);
    if (known !== undefined) return known;
    if (this.#rows.size > this.keysMax) return 1;
    const row = this.#names.length;
    this.#names.push(name);
    this.#rows.set(name, row);
    return row;
  }

  #windowOf(row: number): Figures {
    this.#ring.advance(row, this.#bucket());
    return figures(this.#ring.window(row, HIT), this.#ring.window(row, MISS), this.#ring.window(row, CREATION));
  }

  #thresholdOf(row: number): number {
    const own = row === 0 ? undefined : this.#options.spikeThresholdOf?.[this.#names[row] ?? ''];
    return own ?? this.spikeThreshold;
  }

  /** Begins or ends the spike of a row: constant time, because the window's sums are kept. */
  #judge(row: number): void {
    this.#ring.advance(row, this.#bucket());
    const hits = this.#ring.window(row, HIT);
    const misses = this.#ring.window(row, MISS);
    const isSpike = hits + misses >= this.#options.trafficMin && misses > this.#thresholdOf(row) * (hits + misses);
    const wasSpike = this.#spikingSinceMs[row] !== 0;
    if (isSpike === wasSpike) return;
    const before = wasSpike ? this.#spike(row) : null;
    this.#spikingSinceMs[row] = isSpike ? this.#now() : 0;
    this.#options.onCondition?.(before ?? this.#spike(row), isSpike);
  }

  #judgeLifetime(): void {
    const { hits, misses, hitRate } = this.cumulative();
    const isLow = hits + misses >= this.#options.lifetimeTrafficMin && hitRate < this.#options.hitRateMin;
    if (isLow === (this.#lowSinceMs !== 0)) return;
    if (isLow) this.#lowSinceMs = this.#now();
    this.#options.onCondition?.(this.#lowHitRate(), isLow);
    if (!isLow) this.#lowSinceMs = 0;
  }

  #spike(row: number): Condition {
    return {
      kind: 'cache-miss-spike',
      cache: this.cache,
      key: row === 0 ? null : (this.#names[row] ?? ''),
      threshold: this.#thresholdOf(row),
      figures: this.#windowOf(row),
      sinceMs: this.#spikingSinceMs[row] ?? 0,
    };
  }

  #lowHitRate(): Condition {
    const { cache } = this;
    const threshold = this.#options.hitRateMin;
    const sinceMs = this.#lowSinceMs;
    return { kind: 'cache-low-hit-rate', cache, key: null, threshold, figures: this.cumulative(), sinceMs };
  }
}

function figures(hits: number, misses: number, creations: number): Figures {
  const asked = hits + misses;
  return {
    hits,
    misses,
    creations,
    hitRate: asked === 0 ? 0 : hits / asked,
    missRate: asked === 0 ? 0 : misses / asked,
  };
}

/** The name of a key's row: bounded, and different for keys that differ only after the bound. */
function nameOf(key: unknown): string {
  const text = typeof key === 'string' ? key : typeof key === 'object' && key !== null ? OTHER_KEY : String(key);
  if (text.length <= KEY_CHARACTERS_MAX) return text;
  let hash = 0;
  for (let at = 0; at < text.length; at += 1) hash = (Math.imul(hash, 31) + text.charCodeAt(at)) | 0;
  return detached(`${text.slice(0, KEY_CHARACTERS_MAX)}…${(hash >>> 0).toString(36)}`);
}

/** A part of a long text keeps the whole in memory; a copy does not. */
export function detached(text: string): string {
  return Buffer.from(text, 'utf8').toString('utf8');
}
