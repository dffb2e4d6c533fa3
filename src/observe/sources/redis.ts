import { Redis } from 'ioredis';
import { mastersOf, type RedisClient } from '../../engine/connection.ts';
import { parseInfo } from '../../engine/safety.ts';
import type { Figure, MetricDefinition, MetricSource } from '../../model/figures.ts';

const shared = { scope: 'shared', labels: ['redis'] } as const;
const gauge = { ...shared, type: 'gauge' } as const;
const counter = { ...shared, type: 'counter' } as const;

export const REDIS_METRICS: readonly MetricDefinition[] = [
  { ...gauge, scope: 'process', name: 'waxwing_redis_up', help: '1 while this process reaches the Redis.' },
  { ...gauge, name: 'waxwing_redis_memory_used_bytes', help: 'Memory in use.' },
  {
    ...gauge,
    name: 'waxwing_redis_memory_max_bytes',
    help: "What it may use: maxmemory, or the machine's memory without one.",
  },
  { ...gauge, name: 'waxwing_redis_clients', help: 'Connected clients.' },
  { ...counter, name: 'waxwing_redis_evicted_keys_total', help: 'Keys thrown away for want of memory; 0 for queues.' },
  { ...counter, name: 'waxwing_redis_keyspace_hits_total', help: 'Reads that found their key.' },
  { ...counter, name: 'waxwing_redis_keyspace_misses_total', help: 'Reads that did not.' },
  { ...counter, name: 'waxwing_redis_commands_total', help: 'Commands.' },
  { ...gauge, name: 'waxwing_redis_fsync_delayed', help: 'Writes that waited for a slow fsync, since its start.' },
];

/** A Redis by the name that people know it by: `queue`, `cache`. */
export interface NamedRedis {
  readonly name: string;
  readonly client: RedisClient;
}

/** Servers that this program works with. `list` is asked each time, because caches may connect later. */
export function redisSource(list: () => readonly NamedRedis[]): MetricSource {
  return {
    name: 'redis',
    metrics: REDIS_METRICS,
    async read() {
      return (await Promise.all(list().flatMap(serversOf).map(ofServer))).flat();
    },
  };
}

/** Each master of a cluster has a memory of its own to be full. */
function serversOf({ name, client }: NamedRedis): NamedRedis[] {
  if (client instanceof Redis) return [{ name, client }];
  const masters = mastersOf(client);
  if (masters.length === 0) return [{ name, client }];
  return masters.map((node) => ({
    name: `${name} ${node.options.host ?? ''}:${node.options.port ?? ''}`,
    client: node,
  }));
}

async function ofServer({ name, client }: NamedRedis): Promise<Figure[]> {
  const labels = { redis: name };
  const of = (metric: string, value: number) => ({ name: metric, labels, value });
  try {
    const info = parseInfo(await client.info());
    const field = (key: string) => Number(info[key] ?? NaN);
    const max = field('maxmemory');
    return [
      of('waxwing_redis_up', 1),
      of('waxwing_redis_memory_used_bytes', field('used_memory')),
      of('waxwing_redis_memory_max_bytes', max > 0 ? max : field('total_system_memory')),
      of('waxwing_redis_clients', field('connected_clients')),
      of('waxwing_redis_evicted_keys_total', field('evicted_keys')),
      of('waxwing_redis_keyspace_hits_total', field('keyspace_hits')),
      of('waxwing_redis_keyspace_misses_total', field('keyspace_misses')),
      of('waxwing_redis_commands_total', field('total_commands_processed')),
      of('waxwing_redis_fsync_delayed', field('aof_delayed_fsync')),
    ];
  } catch {
    // Away is a figure too, and the one that matters.
    return [of('waxwing_redis_up', 0)];
  }
}
