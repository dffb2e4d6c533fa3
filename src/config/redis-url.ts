import type { ConfigValues } from './catalogue.ts';
import type { NodeAddress } from './setting.ts';

type RedisSettings = Pick<ConfigValues, 'redisUrl' | 'redisHost' | 'redisPort' | 'redisPassword' | 'redisQueueDb'>;

type ManySettings = Pick<
  ConfigValues,
  'redisClusterNodes' | 'redisSentinels' | 'redisSentinelName' | 'redisTls' | 'redisPassword' | 'redisQueueDb'
>;

/** A Redis that is more than one server. */
export interface ManyRedis {
  readonly clusterNodes?: readonly NodeAddress[];
  readonly sentinels?: readonly NodeAddress[];
  readonly sentinelName?: string;
  readonly password?: string;
  readonly tls: boolean;
  readonly db: number;
}

/** The queue Redis when it is a cluster or stands behind sentinels; undefined when it is one server. */
export function queueServers(values: ManySettings): ManyRedis | undefined {
  const { redisClusterNodes, redisSentinels, redisSentinelName, redisTls, redisPassword, redisQueueDb } = values;
  const shared = { ...(redisPassword === undefined ? {} : { password: redisPassword }), tls: redisTls };
  // A cluster has one database.
  if (redisClusterNodes.length > 0) return { ...shared, clusterNodes: redisClusterNodes, db: 0 };
  if (redisSentinels.length === 0) return undefined;
  return { ...shared, sentinels: redisSentinels, sentinelName: redisSentinelName, db: redisQueueDb };
}

type CacheSettings = Pick<ConfigValues, 'cacheRedisUrl' | 'redisDb'>;

/**
 * The queue Redis as one address with its database in it, from REDIS_URL or from REDIS_HOST, REDIS_PORT and
 * REDIS_PASSWORD; undefined when neither is set and the embedded one serves.
 */
export function queueRedis(values: RedisSettings): { readonly url: string; readonly db: number } | undefined {
  const base = values.redisUrl ?? fromParts(values);
  if (base === undefined) return undefined;
  const url = new URL(base);
  const given = /^\/(\d+)$/.exec(url.pathname)?.[1];
  const db = given === undefined ? values.redisQueueDb : Number(given);
  url.pathname = `/${db}`;
  return { url: url.toString(), db };
}

/**
 * The cache's Redis as one address with its database in it: CACHE_REDIS_URL, else the queues' server with REDIS_DB;
 * undefined when the embedded one serves.
 */
export function cacheRedis(values: RedisSettings & CacheSettings): string | undefined {
  const own = values.cacheRedisUrl;
  const base = own ?? values.redisUrl ?? fromParts(values);
  if (base === undefined) return undefined;
  const url = new URL(base);
  if (own === undefined) url.pathname = `/${values.redisDb}`;
  return url.toString();
}

function fromParts({ redisHost, redisPort, redisPassword }: RedisSettings): string | undefined {
  if (redisHost === undefined) return undefined;
  const host = redisHost.includes(':') && !redisHost.startsWith('[') ? `[${redisHost}]` : redisHost;
  const password = redisPassword === undefined ? '' : `:${encodeURIComponent(redisPassword)}@`;
  return `redis://${password}${host}:${redisPort ?? 6379}`;
}
