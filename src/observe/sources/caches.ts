import type { MetricDefinition, MetricSource } from '../../model/figures.ts';

const counter = { type: 'counter', scope: 'process', labels: ['cache'] } as const;
const gauge = { type: 'gauge', scope: 'process', labels: ['cache'] } as const;

export const CACHE_METRICS: readonly MetricDefinition[] = [
  { ...counter, name: 'waxwing_cache_hits_total', help: 'Reads that found what they looked for.' },
  { ...counter, name: 'waxwing_cache_misses_total', help: 'Reads that did not.' },
  { ...counter, name: 'waxwing_cache_creations_total', help: 'Values that were made because they were missing.' },
  { ...gauge, name: 'waxwing_cache_window_miss_share', help: 'Misses of all reads in the last five minutes, 0 … 1.' },
  {
    ...gauge,
    name: 'waxwing_cache_spike',
    help: '1 while the misses of the last five minutes are above the threshold.',
  },
];

interface Counts {
  readonly hits: number;
  readonly misses: number;
  readonly creations: number;
  readonly missRate: number;
}

/** What a cache counts; the cache's own metrics have this shape. */
export interface CountedCache {
  readonly cache: string;
  cumulative(): Counts;
  window(): Counts;
  conditions(): readonly { readonly kind: string }[];
}

/** Caches of this process by name. */
export function cacheSource(caches: () => readonly CountedCache[]): MetricSource {
  return {
    name: 'cache',
    metrics: CACHE_METRICS,
    read() {
      return caches().flatMap((one) => {
        const labels = { cache: one.cache };
        const { hits, misses, creations } = one.cumulative();
        const isSpike = one.conditions().some(({ kind }) => kind === 'cache-miss-spike');
        return [
          { name: 'waxwing_cache_hits_total', labels, value: hits },
          { name: 'waxwing_cache_misses_total', labels, value: misses },
          { name: 'waxwing_cache_creations_total', labels, value: creations },
          { name: 'waxwing_cache_window_miss_share', labels, value: one.window().missRate },
          { name: 'waxwing_cache_spike', labels, value: isSpike ? 1 : 0 },
        ];
      });
    },
  };
}
