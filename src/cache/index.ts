export { Cacheable, CacheEvict, cacheable, cacheEvict, useCache } from './decorators.ts';
export type { CacheableOptions, CacheEvictOptions, MethodDecorator } from './decorators.ts';
export { CacheService } from './cache-service.ts';
export { Caches, type Cache } from './cache.ts';
export { ALL_SALONS, define as defineCache, type CacheDefinition, type CacheTtls } from './named-caches.ts';
export { CacheMetrics, type Condition, type Figures } from './metrics.ts';
export type { CachePolicy } from './policy.ts';
export {
  callsSaved,
  TEMPLATE_SIDS,
  TemplateMetrics,
  type CacheReport,
  type DatabaseFigures,
  type HitDetail,
  type HitSource,
} from './report.ts';
export { TieredCache } from './tiered-cache.ts';
export type { Evicted } from './evicted.ts';
export { historyChart } from './history-chart.ts';
