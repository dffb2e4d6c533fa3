import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { auditShard } from '../../src/engine/audit.ts';
import { commandClient, disconnect, type RedisClient, whenReady } from '../../src/engine/connection.ts';
import type { Grant } from '../../src/engine/contract.ts';
import { shardPrefix } from '../../src/engine/keys.ts';
import { RedisSendQueue } from '../../src/engine/queue.ts';
import { checkQueueSafety } from '../../src/engine/safety.ts';
import { slotOf } from '../../src/engine/slots.ts';
import { SendWorker } from '../../src/worker/send-worker.ts';
import { createJobWorkers, createQueueService } from '../../src/jobs/index.ts';
import { redisSource } from '../../src/observe/sources/redis.ts';
import { eventually } from '../support/eventually.ts';
import { testCluster, type TestCluster, withClient } from '../support/many-redis.ts';
import { watchStandstill } from '../support/standstill.ts';
import { FREE_SENDER, message } from './support/bench.ts';

const SHARDS = 16;
let cluster: TestCluster;
let client: RedisClient;
const open: { close(): unknown }[] = [];

beforeAll(async () => {
  cluster = await testCluster({ nodeTimeoutMs: 15_000 });
});
afterEach(async () => {
  for (const one of open.splice(0)) await one.close();
});

async function queueOn(durability: 'disk' | 'replica' = 'disk'): Promise<RedisSendQueue> {
  const queue = new RedisSendQueue({ redis: cluster.target, shards: SHARDS, durability });
  open.push(queue);
  await queue.connect();
  for (let shard = 0; shard < SHARDS; shard += 1) {
    await queue.configureSender({ ...FREE_SENDER, sender: `s${shard}`, shard });
  }
  client = queue.runner.client;
  return queue;
}

describe('R10 · A queue on three masters', () => {
  test('knows the slot of a key as the server does', async () => {
    await withClient(cluster.nodes[0]?.port ?? 0, async (node) => {
      for (const key of ['{wx:0}', '{wx:15}g', '{wx:jobs}:x', 'plain', '{}empty', 'a{b}c{d}', 'ü']) {
        expect(slotOf(key), key).toBe(await node.call('CLUSTER', 'KEYSLOT', key));
      }
    });
  });

  test('sends over all shards in the order of each conversation, and its counters hold', async () => {
    await cluster.flush();
    const queue = await queueOn();
    const sent: Grant[] = [];
    const worker = new SendWorker({
      redis: cluster.target,
      shards: SHARDS,
      worker: 'w1',
      slots: 50,
      globalRatePerSecond: 0,
      globalConcurrency: 0,
      providers: {},
      policyFor: () => ({ attemptsMax: 1, backoffMs: 1, scheduleSeconds: [], deferBlocks: false }),
      readAccount: () => Promise.resolve(null),
      tagKey: Buffer.alloc(32),
      onSettled: ({ grant }) => sent.push(grant),
    });
    await worker.start();
    open.push({ close: () => worker.stop(1000) });
    const accepted = await Promise.all(
      Array.from({ length: 320 }, (_, index) => {
        return queue.accept(message({ sender: `s${index % SHARDS}`, conversation: `c${index % 64}` }));
      }),
    );
    expect(accepted.every(({ kind }) => kind === 'accepted')).toBe(true);
    // The worker knows no account, so the first message of each sender pauses it: every shard was served.
    await eventually(() => new Set(sent.map(({ shard }) => shard)).size === SHARDS, { timeoutMs: 20_000 });
    await worker.stop(1000);
    expect((await queue.counters()).accepted).toBe(320);
    const masters = new Set<number>();
    for (let shard = 0; shard < SHARDS; shard += 1) {
      expect(await auditShard(client, shard)).toEqual([]);
      masters.add((await cluster.masterOf(shard)).port);
    }
    expect(masters.size).toBe(3);
  });

  test('a message is on a replica of its own master when its client hears of it', async () => {
    await cluster.flush();
    const queue = await queueOn('replica');
    for (let shard = 0; shard < SHARDS; shard += 1) await queue.accept(message({ sender: `s${shard}` }));
    const stored = await Promise.all(
      cluster.nodes.map(({ port }) =>
        withClient(port, async (node) => {
          if ((await node.info('replication')).includes('role:master')) return 0;
          await node.readonly();
          const mine = Array.from({ length: SHARDS }, (_, shard) => `${shardPrefix(shard)}n`);
          const counts = await Promise.all(mine.map((key) => node.hget(key, 'accepted').catch(() => '0')));
          return counts.reduce((sum, count) => sum + Number(count ?? 0), 0);
        }),
      ),
    );
    expect(stored.reduce((sum, count) => sum + count, 0)).toBe(SHARDS);
  });

  test('every master is checked: one that may evict is named', async () => {
    const queue = await queueOn();
    expect(await checkQueueSafety(queue.runner.client, 'disk')).toEqual({ problems: [], warnings: [] });
    const { port } = await cluster.masterOf(3);
    await withClient(port, async (node) => await node.config('SET', 'maxmemory-policy', 'allkeys-lru'));
    const { problems } = await checkQueueSafety(queue.runner.client, 'disk');
    await withClient(port, async (node) => await node.config('SET', 'maxmemory-policy', 'noeviction'));
    expect(problems).toEqual([expect.stringContaining(`127.0.0.1:${port}: This Redis may evict keys`)]);
  });

  test('figures are told of each master', async () => {
    const queue = await queueOn();
    const figures = await redisSource(() => [{ name: 'queue', client: queue.runner.client }]).read();
    const up = figures.filter(({ name }) => name === 'waxwing_redis_up');
    expect(up.map(({ value }) => value)).toEqual([1, 1, 1]);
    expect(new Set(up.map(({ labels }) => labels?.['redis'])).size).toBe(3);
  });

  test('jobs of BullMQ are done on it, too', async () => {
    const jobs = createQueueService({ redis: cluster.target, attempts: 1, backoffMs: 10 });
    open.push(jobs);
    const done: string[] = [];
    const workers = await createJobWorkers({
      redis: cluster.target,
      concurrency: { webhook: 2, 'message-status': 2, reminder: 1, email: 1, respond: 1 },
      processors: {
        webhook: ({ data }) => {
          done.push(data.salonId);
          return Promise.resolve();
        },
      },
    });
    open.push({ close: () => workers.stop(1000) });
    for (let index = 0; index < 10; index += 1)
      await jobs.addWebhookJob({ salonId: `t${index}`, payload: {}, receivedAt: new Date() });
    await eventually(() => done.length === 10, { timeoutMs: 10_000 });
    await eventually(async () => (await jobs.getQueueStats('webhook')).completed === 10);
  });

  /** The command that is repeated by itself is the one that runs twice. */
  test('a slot on its way takes no scripts: nothing is half of a shard', async () => {
    await cluster.flush();
    const queue = await queueOn();
    await queue.accept(message({ sender: 's5' }));
    const slot = slotOf(shardPrefix(5));
    const from = await cluster.masterOf(5);
    const to = cluster.nodes.find(
      ({ port }) => port !== from.port && cluster.nodes.slice(0, 3).some((n) => n.port === port),
    );
    if (to === undefined) throw new Error('unreachable');
    const idOf = async (port: number) =>
      await withClient(port, async (node) => String(await node.call('CLUSTER', 'MYID')));
    const [fromId, toId] = [await idOf(from.port), await idOf(to.port)];
    await withClient(to.port, async (node) => await node.call('CLUSTER', 'SETSLOT', slot, 'IMPORTING', fromId));
    await withClient(from.port, async (node) => await node.call('CLUSTER', 'SETSLOT', slot, 'MIGRATING', toId));
    await expect(queue.accept(message({ sender: 's5' }))).rejects.toMatchObject({ code: 'QUEUE_UNAVAILABLE' });
    expect(await withClient(to.port, async (node) => await node.call('CLUSTER', 'COUNTKEYSINSLOT', slot))).toBe(0);
    await withClient(from.port, async (node) => {
      const keys = (await node.call('CLUSTER', 'GETKEYSINSLOT', slot, 1000)) as string[];
      await node.call('MIGRATE', '127.0.0.1', to.port, '', 0, 5000, 'KEYS', ...keys);
      for (const { port } of [to, from]) {
        await withClient(port, async (one) => await one.call('CLUSTER', 'SETSLOT', slot, 'NODE', toId));
      }
    });
    expect((await eventually(() => queue.accept(message({ sender: 's5' })), { timeoutMs: 10_000 })).kind).toBe(
      'accepted',
    );
    expect((await queue.counters()).accepted).toBe(2);
    expect(await auditShard(queue.runner.client, 5)).toEqual([]);
  });
});

test('R10 · a client without a cluster says so in time', async () => {
  const lost = commandClient({ url: '', clusterNodes: [{ host: '127.0.0.1', port: 1 }] }, 500);
  const standstill = watchStandstill();
  const startMs = performance.now();
  expect(await whenReady(lost, 500)).toBe(false);
  expect(performance.now() - startMs).toBeLessThan(2000 + standstill.ms());
  disconnect(lost);
});
