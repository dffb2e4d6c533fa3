import { Redis } from 'ioredis';
import { openClient, type RedisTarget, whenReady } from '../../src/engine/connection.ts';
import { ShardCluster } from '../../src/engine/shard-cluster.ts';
import { oncePerFile } from './file-end.ts';
import { testCluster, testSentinel } from './many-redis.ts';
import type { TestRedis } from './services.ts';

/*
 * Where an engine test has its queue. `npm run test:cluster` runs the same tests on a cluster of three masters and
 * three replicas with 16 shards, and behind sentinels: one of each for a file.
 */

export interface QueuePlace {
  readonly target: RedisTarget;
  readonly shards: number;
  /** A connection for looks at the keys. What concerns a whole server concerns all masters. */
  connect(): Promise<Redis>;
}

/** `WAXWING_TEST_QUEUE`: `cluster`, `sentinel`, or nothing for the one server that the test started. */
const kind = process.env['WAXWING_TEST_QUEUE'] ?? '';

export async function queuePlace(redis: Pick<TestRedis, 'url'>): Promise<QueuePlace> {
  if (kind === 'cluster') return await cluster();
  if (kind === 'sentinel') return await sentinel();
  if (kind !== '') throw new Error(`WAXWING_TEST_QUEUE=${kind} is neither cluster nor sentinel.`);
  const target = { url: redis.url, db: 0 };
  return { target, shards: 1, connect: () => Promise.resolve(new Redis(redis.url, { protocol: 2 })) };
}

const cluster = oncePerFile(async (): Promise<QueuePlace> => {
  // Nobody fails here; a busy machine must not look like a failure.
  const { target } = await testCluster({ nodeTimeoutMs: 15_000 });
  return {
    target,
    shards: 16,
    async connect() {
      const client = await ready(target);
      if (!(client instanceof ShardCluster)) throw new TypeError('not a cluster');
      const masters = () => client.nodes('master');
      client.flushall = async () => {
        await Promise.all(masters().map((node) => node.flushall()));
        return 'OK';
      };
      client.script = (async (...args: ['FLUSH']) =>
        await Promise.all(masters().map((node) => node.script(...args)))) as typeof client.script;
      return client as unknown as Redis;
    },
  };
});

const sentinel = oncePerFile(async (): Promise<QueuePlace> => {
  const { target } = await testSentinel(15_000);
  return { target, shards: 16, connect: async () => (await ready(target)) as Redis };
});

async function ready(target: RedisTarget): Promise<ReturnType<typeof openClient>> {
  const client = openClient(target, { protocol: 2 });
  if (!(await whenReady(client, 10_000))) throw new Error('the servers cannot be reached');
  return client;
}
