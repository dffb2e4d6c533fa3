import type { CacheSource } from './found.ts';
import { CacheMetrics, type Condition } from './metrics.ts';
import type { CacheDefinition } from './named-caches.ts';
import type { TieredCache } from './tiered-cache.ts';

export interface CachesOptions {
  readonly tiers: TieredCache;
  /** CACHE_SPIKE_THRESHOLD. */
  readonly spikeThreshold: number;
  /** Thresholds of single keys. */
  readonly spikeThresholdOf?: Readonly<Record<string, number>>;
  readonly onCondition?: (condition: Condition, isOn: boolean) => void;
  /** Called with every look. */
  readonly onLook?: (cache: string, key: string, isHit: boolean) => void;
  readonly now?: () => number;
}

/** One kind of values, with the type of its key and of its value. */
export interface Cache<Args extends readonly unknown[], Value> {
  readonly name: string;
  key(...args: Args): string;
  /** The kept value; undefined when there is none, null when it is known that there is none. */
  get(...args: Args): Promise<Value | null | undefined>;
  /** The kept value, else that of `load`, which runs once for all who ask at the same time in all processes. */
  getOrLoad(args: Args, load: () => Promise<Value | null>): Promise<Value | null>;
  set(args: Args, value: Value): Promise<void>;
  /** A memory in front of this cache knew the value: a hit in its figures. */
  remembered(...args: Args): void;
  /** In every process within 100 ms. */
  evict(...args: Args): Promise<void>;
}

/** A cache's figures count each key under its kind: `salon:s1`. */
export class Caches {
  readonly tiers: TieredCache;
  readonly #metrics = new Map<string, CacheMetrics>();
  readonly #options: CachesOptions;

  constructor(options: CachesOptions) {
    this.#options = options;
    this.tiers = options.tiers;
  }

  /** Figures of every cache that was used, by name. */
  get metrics(): ReadonlyMap<string, CacheMetrics> {
    return this.#metrics;
  }

  /** @param isJudged can it be in a condition; counts when the cache is named for the first time */
  metricsOf(name: string, isJudged = true): CacheMetrics {
    const known = this.#metrics.get(name);
    if (known !== undefined) return known;
    const { spikeThreshold, spikeThresholdOf, onCondition, onLook, now } = this.#options;
    const made = new CacheMetrics({
      cache: name,
      spikeThreshold,
      // Keys of named caches come and go with tenants; the template cache's are few and looked at one by one.
      ...(name === 'template-sids' ? {} : { keysMax: 100 }),
      ...(isJudged ? {} : { trafficMin: Infinity, lifetimeTrafficMin: Infinity }),
      ...(spikeThresholdOf === undefined ? {} : { spikeThresholdOf }),
      ...(onCondition === undefined ? {} : { onCondition }),
      ...(onLook === undefined ? {} : { onLook: (key: string, isHit: boolean) => onLook(name, key, isHit) }),
      ...(now === undefined ? {} : { now }),
    });
    this.#metrics.set(name, made);
    return made;
  }

  of<Args extends readonly unknown[], Value>(definition: CacheDefinition<Args, Value>): Cache<Args, Value> {
    const { tiers } = this;
    const metrics = this.metricsOf(definition.name, definition.isJudged);
    const version = definition.version ?? '1';
    const count = (key: string, source: CacheSource | undefined): void => {
      if (source === undefined || source === 'computed' || source === 'stale') metrics.miss(key);
      else metrics.hit(key);
      if (source === 'computed') metrics.creation(key);
    };
    return {
      name: definition.name,
      key: definition.key,
      async get(...args) {
        const key = definition.key(...args);
        const found = await tiers.get(key, version);
        count(key, found?.source);
        return found?.value as Value | null | undefined;
      },
      async getOrLoad(args, load) {
        const key = definition.key(...args);
        try {
          const found = await tiers.getOrLoad(key, definition, load, definition.tags?.(...args));
          count(key, found.source);
          return found.value as Value | null;
        } catch (error) {
          metrics.miss(key);
          throw error;
        }
      },
      async set(args, value) {
        const key = definition.key(...args);
        metrics.creation(key);
        await tiers.set(key, value, definition, definition.tags?.(...args));
      },
      remembered: (...args) => metrics.hit(definition.key(...args)),
      evict: (...args) => tiers.evict([definition.key(...args)]),
    };
  }
}
