import { Redis } from 'ioredis';
import { afterAll, beforeEach, onTestFinished } from 'vitest';
import { Caches } from '../../../src/cache/cache.ts';
import { CacheService } from '../../../src/cache/cache-service.ts';
import { TieredCache, type TieredCacheOptions } from '../../../src/cache/tiered-cache.ts';
import { testRedis, type TestRedis } from '../../support/services.ts';

export const TTLS = {
  defaultSeconds: 3600,
  dashboardSeconds: 300,
  salonSeconds: 1800,
  templateSeconds: 3600,
  conversationSeconds: 600,
  userMappingSeconds: 300,
  configSeconds: 600,
  projectsSeconds: 180,
  conversationHistorySeconds: 60,
};

export interface Opened {
  readonly tiers: TieredCache;
  readonly service: CacheService;
}

/** A cache as one process has it; two of them on one Redis are two processes. Ended with the test. */
export async function openCache(redisUrl: string | null, more: Partial<TieredCacheOptions> = {}): Promise<Opened> {
  const tiers = new TieredCache({ redisUrl, bytesMax: 8 * 1024 * 1024, ...more });
  await tiers.start(3000);
  onTestFinished(() => tiers.stop());
  return { tiers, service: new CacheService(new Caches({ tiers, spikeThreshold: 0.5 }), TTLS) };
}

/** A server for the file's caches, emptied before each test, and a client of it. Called where the file begins, outside of any test. */
export async function cacheServer(): Promise<{ readonly server: TestRedis; readonly redis: Redis }> {
  const server = await testRedis({ fsync: 'none' });
  const redis = new Redis(server.url);
  beforeEach(() => redis.flushall());
  afterAll(() => redis.disconnect());
  return { server, redis };
}
