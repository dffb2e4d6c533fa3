import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { type Caches, TEMPLATE_SIDS, type TemplateMetrics } from '../cache/index.ts';
import type { CacheCounts, WaxwingRecord } from '../record/index.ts';
import type { ContentSidCache } from '../templates/index.ts';

export interface CacheReporterOptions {
  readonly caches: Caches;
  readonly metrics: TemplateMetrics;
  readonly record: Pick<WaxwingRecord, 'cacheHistory' | 'contentSids'>;
  readonly contentSids: ContentSidCache;
  readonly log: Logger;
}

const SUMMARY_MS = 300_000;
const RECORD_MS = 60_000;
const TOP_KEYS = 5;
const WARM_UP_KEYS = 200;
/** A record that is away must not hold up the start. */
const WARM_UP_WAIT_MS = 1000;

/**
 * Tells of the caches: a line in the log every five minutes, and every minute what was counted to the record, from
 * which it takes the figures that reports show of it. With the record away it tells later.
 */
export class CacheReporter {
  readonly #options: CacheReporterOptions;
  readonly #told = new Map<string, { hits: number; misses: number; creations: number }>();
  #timers: NodeJS.Timeout[] = [];
  #running: Promise<void> | null = null;

  constructor(options: CacheReporterOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    this.#timers = [
      setInterval(() => this.summary(), SUMMARY_MS).unref(),
      setInterval(() => void this.tell(), RECORD_MS).unref(),
    ];
    const warm = this.#options.contentSids.warmUp(WARM_UP_KEYS).catch(() => 0);
    await Promise.race([warm, sleep(WARM_UP_WAIT_MS, 0, { ref: false })]);
    void this.tell();
  }

  async stop(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    await this.tell();
  }

  /** One line: totals, hit rates, the templates that were used most. */
  summary(): void {
    const { caches, metrics, log } = this.#options;
    // Judges what time alone has changed, so that conditions end without a call.
    metrics.conditions();
    const { runtime, metadata, health } = metrics.getCacheReport();
    const others = [...caches.metrics].filter(([name]) => name !== TEMPLATE_SIDS);
    log.info(
      {
        templates: {
          ...runtime.cumulative,
          windowHitRate: runtime.window.metrics.hitRate,
          topKeys: metrics.topKeys(TOP_KEYS),
          callsSaved: metadata.callsSaved,
        },
        caches: Object.fromEntries(
          others.map(([name, one]) => {
            const { hits, misses, hitRate } = one.cumulative();
            return [name, { hits, misses, hitRate }];
          }),
        ),
        isMissRateAboveThreshold: health.missRateAboveThreshold,
        ...metadata.tiers,
      },
      'caches, last 5 min',
    );
  }

  /** Adds what was counted since the last time to the record's hour, and reads the record's figures. */
  tell(): Promise<void> {
    return (this.#running ??= this.#tell().finally(() => (this.#running = null)));
  }

  async #tell(): Promise<void> {
    const { record, metrics, contentSids } = this.#options;
    try {
      const counts = this.#counted();
      if (counts.length > 0) {
        await record.cacheHistory.add(Date.now(), counts);
        for (const one of counts) this.#add(one);
      }
      await contentSids.tellUses();
      const { entries, keys, newestAtMs } = await record.contentSids.figures();
      metrics.setDatabaseFigures({
        entries,
        keys,
        newestAt: newestAtMs === null ? null : new Date(newestAtMs).toISOString(),
        refreshedAt: new Date().toISOString(),
      });
    } catch (error) {
      this.#options.log.debug({ err: error }, 'the figures of the caches are recorded later');
    }
  }

  #counted(): CacheCounts[] {
    const counts: CacheCounts[] = [];
    for (const [cache, one] of this.#options.caches.metrics) {
      const { hits, misses, creations } = one.cumulative();
      const told = this.#told.get(cache) ?? { hits: 0, misses: 0, creations: 0 };
      const now = {
        cache,
        hits: hits - told.hits,
        misses: misses - told.misses,
        creations: creations - told.creations,
      };
      if (now.hits + now.misses + now.creations > 0) counts.push(now);
    }
    return counts;
  }

  #add({ cache, hits, misses, creations }: CacheCounts): void {
    const told = this.#told.get(cache) ?? { hits: 0, misses: 0, creations: 0 };
    this.#told.set(cache, {
      hits: told.hits + hits,
      misses: told.misses + misses,
      creations: told.creations + creations,
    });
  }
}
