import type { Caches } from './cache.ts';
import type { CacheMetrics, Condition, Figures } from './metrics.ts';
import { WINDOW_SECONDS } from './metrics.ts';

/** Name of the cache of content ids, whose figures the report shows in full. */
export const TEMPLATE_SIDS = 'template-sids';

export type HitSource = 'memory' | 'environment' | 'database';

export interface HitDetail {
  readonly source?: HitSource;
  readonly friendlyName?: string;
}

/** What the record knows of content ids; refreshed in the background. */
export interface DatabaseFigures {
  /** Content ids kept. */
  readonly entries: number;
  /** Templates that they belong to. */
  readonly keys: number;
  /** Null = none yet. */
  readonly newestAt: string | null;
  readonly refreshedAt: string;
}

export interface CacheReport {
  readonly runtime: {
    readonly cumulative: Figures;
    readonly window: { readonly metrics: Figures };
    readonly byKey: Readonly<Record<string, Figures>>;
  };
  /** Null until it was read once, or while the record was always away. */
  readonly database: DatabaseFigures | null;
  readonly health: { readonly missRateAboveThreshold: boolean };
  /** Every named cache that was used: figures, and is its miss rate a spike. */
  readonly caches: Readonly<
    Record<
      string,
      {
        readonly cumulative: Figures;
        readonly window: { readonly metrics: Figures };
        readonly health: { readonly missRateAboveThreshold: boolean };
      }
    >
  >;
  /** Share of a template's uses that cost no call to the provider, 0 … 1, by key. */
  readonly efficiency: Readonly<Record<string, number>>;
  readonly metadata: {
    readonly generatedAt: string;
    readonly startedAt: string;
    readonly windowSeconds: number;
    readonly spikeThreshold: number;
    readonly targets: { readonly hitRate: number; readonly missRate: number };
    /** Calls to the provider that the cache of content ids saved since the start. */
    readonly callsSaved: number;
    readonly tiers: Caches['tiers']['state'];
  };
}

const TARGETS = { hitRate: 0.9, missRate: 0.1 };

export interface TemplateMetricsOptions {
  readonly caches: Caches;
  /** Epoch ms. */
  readonly now?: () => number;
}

/** Records what became of each look for a template's content id, and reports on all caches. */
export class TemplateMetrics {
  readonly #caches: Caches;
  readonly #metrics: CacheMetrics;
  readonly #now: () => number;
  #database: DatabaseFigures | null = null;

  constructor(options: TemplateMetricsOptions) {
    this.#caches = options.caches;
    this.#metrics = options.caches.metricsOf(TEMPLATE_SIDS);
    this.#now = options.now ?? (() => Date.now());
  }

  /** The content id was known. @param dataSignature hash of the template's data, or null */
  recordCacheHit(key: string, dataSignature?: string | null, sid?: string | null, detail?: HitDetail | null): void {
    const { source = 'memory', friendlyName = null } = detail ?? {};
    this.#metrics.hit(key, { dataSignature: dataSignature ?? null, sid: sid ?? null, source, friendlyName });
  }

  /** It was not known. */
  recordCacheMiss(key: string, dataSignature?: string | null): void {
    this.#metrics.miss(key, { dataSignature: dataSignature ?? null, sid: null, source: null, friendlyName: null });
  }

  /** It was made at the provider. */
  recordCacheCreation(key: string, dataSignature?: string | null, sid?: string | null): void {
    const seen = { dataSignature: dataSignature ?? null, sid: sid ?? null, source: 'provider', friendlyName: null };
    this.#metrics.creation(key, seen);
  }

  /** What was last recorded of a template. */
  lastEvent(key: string) {
    return this.#metrics.lastSeen(key);
  }

  /** Conditions of all caches that somebody should hear of. */
  conditions(): Condition[] {
    return [...this.#caches.metrics.values()].flatMap((metrics) => metrics.conditions());
  }

  setDatabaseFigures(figures: DatabaseFigures | null): void {
    this.#database = figures;
  }

  /** Everything at once, from memory: at most a millisecond with a thousand keys. */
  getCacheReport(): CacheReport {
    const byKey = this.#metrics.byKey();
    const cumulative = this.#metrics.cumulative();
    const efficiency = Object.create(null) as Record<string, number>;
    for (const [key, figures] of Object.entries(byKey)) efficiency[key] = efficiencyOf(figures);
    const caches = Object.create(null) as Record<string, CacheReport['caches'][string]>;
    for (const [name, metrics] of this.#caches.metrics) {
      caches[name] = {
        cumulative: metrics.cumulative(),
        window: { metrics: metrics.window() },
        health: { missRateAboveThreshold: metrics.isMissRateAboveThreshold },
      };
    }
    return {
      runtime: { cumulative, window: { metrics: this.#metrics.window() }, byKey },
      database: this.#database,
      health: { missRateAboveThreshold: this.#metrics.isMissRateAboveThreshold },
      caches,
      efficiency,
      metadata: {
        generatedAt: new Date(this.#now()).toISOString(),
        startedAt: new Date(this.#metrics.startedAtMs).toISOString(),
        windowSeconds: WINDOW_SECONDS,
        spikeThreshold: this.#metrics.spikeThreshold,
        targets: TARGETS,
        callsSaved: callsSaved(cumulative),
        tiers: this.#caches.tiers.state,
      },
    };
  }

  /** The most used templates, most used first. */
  topKeys(count: number): { readonly key: string; readonly uses: number; readonly hitRate: number }[] {
    return Object.entries(this.#metrics.byKey())
      .map(([key, { hits, misses, hitRate }]) => ({ key, uses: hits + misses, hitRate }))
      .sort((a, b) => b.uses - a.uses)
      .slice(0, count);
  }
}

/** A hit would otherwise have been a call that creates the content. */
export function callsSaved({ hits }: Figures): number {
  return hits;
}

/** Uses that needed no creation; a key that was only created saved nothing. */
export function efficiencyOf({ hits, misses, creations }: Figures): number {
  const uses = Math.max(hits + misses, creations);
  return uses === 0 ? 0 : (uses - creations) / uses;
}
