import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { afterAll, inject } from 'vitest';
import type { RedisTarget } from '../../src/engine/connection.ts';
import { freePort } from '../../src/embedded/free-port.ts';
import { endProcess, identify } from '../../src/embedded/process-identity.ts';
import { findRedis, redisEnvironment } from '../../src/embedded/redis-binary.ts';
import { shardPrefix } from '../../src/engine/keys.ts';
import { slotOf } from '../../src/engine/slots.ts';
import { eventually } from './eventually.ts';
import { testRedis, type TestRedis } from './services.ts';

/* A cluster of real servers, and a primary with a replica and sentinels, as processes on loopback. */

const SLOTS = 16_384;

export interface TestCluster {
  readonly target: RedisTarget;
  readonly nodes: readonly TestRedis[];
  /** The server that is the master of a shard's slot now. */
  masterOf(shard: number): Promise<TestRedis>;
  /** Empties every master. */
  flush(): Promise<void>;
}

export interface TestClusterOptions {
  /** Default 3. */
  readonly masters?: number;
  /** Of each master. Default 1. */
  readonly replicas?: number;
  /** When a node counts as failed. Default 1,000. */
  readonly nodeTimeoutMs?: number;
  readonly settings?: Readonly<Record<string, string>>;
}

/** Starts a cluster and resolves when every replica follows and every node knows all slots. */
export async function testCluster(options: TestClusterOptions = {}): Promise<TestCluster> {
  const { masters = 3, replicas = 1, nodeTimeoutMs = 1000 } = options;
  const nodes = await Promise.all(
    Array.from({ length: masters * (1 + replicas) }, async () =>
      testRedis({
        settings: {
          'cluster-enabled': 'yes',
          // The default, port + 10,000, may lie beyond the last port.
          'cluster-port': String(await freePort()),
          'cluster-node-timeout': String(nodeTimeoutMs),
          // Replicas that look dead for a second would be replaced by those of another master, for good.
          'cluster-allow-replica-migration': 'no',
          'repl-diskless-sync-delay': '0',
          'repl-ping-replica-period': '1',
          databases: '1',
          ...options.settings,
        },
      }),
    ),
  );
  const clients = nodes.map(({ port }) => new Redis(port, '127.0.0.1', { protocol: 2 }));
  try {
    const ids = await Promise.all(clients.map(async (client) => String(await client.call('CLUSTER', 'MYID'))));
    const [first] = clients;
    for (const [index, { port }] of nodes.entries()) {
      if (index === 0) continue;
      const bus = String(valueOf(await clients[index]?.config('GET', 'cluster-port')));
      await first?.call('CLUSTER', 'MEET', '127.0.0.1', port, bus);
    }
    for (let index = 0; index < masters; index += 1) {
      const from = Math.floor((SLOTS * index) / masters);
      const to = Math.floor((SLOTS * (index + 1)) / masters) - 1;
      await clients[index]?.call('CLUSTER', 'ADDSLOTSRANGE', from, to);
      await clients[index]?.call('CLUSTER', 'SET-CONFIG-EPOCH', index + 1).catch(() => undefined);
    }
    for (let index = masters; index < nodes.length; index += 1) {
      const master = ids[index % masters] ?? '';
      await eventually(async () => (await clients[index]?.call('CLUSTER', 'REPLICATE', master)) === 'OK', {
        timeoutMs: 20_000,
        what: 'a node to know its master',
      });
    }
    await eventually(
      async () => {
        const infos = await Promise.all(clients.map((client) => client.info('replication')));
        const follows = infos.slice(masters).every((info) => info.includes('master_link_status:up'));
        const states = await Promise.all(clients.map(async (client) => String(await client.call('CLUSTER', 'INFO'))));
        const isWhole = states.every(
          (state) => state.includes('cluster_state:ok') && state.includes(`cluster_known_nodes:${nodes.length}`),
        );
        const followers = infos.slice(0, masters).every((info) => info.includes(`connected_slaves:${replicas}`));
        return follows && isWhole && followers;
      },
      { timeoutMs: 30_000, what: 'the cluster to be whole' },
    );
  } finally {
    for (const client of clients) client.disconnect();
  }
  return {
    target: { url: '', clusterNodes: nodes.map(({ port }) => ({ host: '127.0.0.1', port })), db: 0 },
    nodes,
    masterOf: async (shard) => await masterOf(nodes, slotOf(shardPrefix(shard))),
    async flush() {
      await Promise.all(
        nodes.map(async ({ port }) => {
          await withClient(port, async (client) => {
            if ((await client.info('replication')).includes('role:master')) await client.flushall();
          });
        }),
      );
    },
  };
}

/** Asks the living nodes; a master that stands still is not asked, and may still be the one that they name. */
async function masterOf(nodes: readonly TestRedis[], slot: number): Promise<TestRedis> {
  for (const { port } of nodes) {
    const ranges = await withClient(port, async (client) => await client.call('CLUSTER', 'SLOTS'), LOOK_MS).catch(
      () => null,
    );
    for (const [from, to, master] of (ranges ?? []) as [number, number, [string, number]][]) {
      if (slot < from || slot > to) continue;
      const found = nodes.find((node) => node.port === master[1]);
      if (found !== undefined) return found;
    }
  }
  throw new Error(`no node knows the master of slot ${slot}`);
}

/** For a server that may stand still, and is asked again. */
export const LOOK_MS = 1000;

/** @param patienceMs longest time of one command: a busy disk holds a server up for seconds, and an act is not repeated */
export async function withClient<T>(
  port: number,
  work: (client: Redis) => Promise<T>,
  patienceMs = 10_000,
): Promise<T> {
  const client = new Redis(port, '127.0.0.1', { protocol: 2, maxRetriesPerRequest: 0, commandTimeout: patienceMs });
  client.on('error', () => undefined);
  try {
    return await work(client);
  } finally {
    client.disconnect();
  }
}

function valueOf(reply: unknown): unknown {
  return Array.isArray(reply) ? reply[1] : undefined;
}

export interface TestPair {
  readonly primary: TestRedis;
  readonly replica: TestRedis;
}

/** A primary with one replica that follows it. */
export async function testPair(): Promise<TestPair> {
  const settings = { 'repl-diskless-sync-delay': '0', 'repl-ping-replica-period': '1' };
  const primary = await testRedis({ settings });
  const replica = await testRedis({ settings: { ...settings, replicaof: `127.0.0.1 ${primary.port}` } });
  await followed(primary);
  return { primary, replica };
}

/** Resolves when a replica follows this server. */
export async function followed({ port }: Pick<TestRedis, 'port'>): Promise<void> {
  await eventually(
    async () =>
      await withClient(port, async (client) => /slave0:.*state=online/.test(await client.info('replication')), LOOK_MS),
    { timeoutMs: 20_000, what: 'the replica to follow' },
  );
}

export interface TestSentinel extends TestPair {
  readonly target: RedisTarget;
}

/** A pair, and three sentinels that promote the replica when the primary is silent for `downAfterMs`. */
export async function testSentinel(downAfterMs = 1000): Promise<TestSentinel> {
  const pair = await testPair();
  const sentinels = await Promise.all([0, 1, 2].map(() => startSentinel(pair.primary.port, downAfterMs)));
  for (const port of sentinels) {
    await eventually(
      async () =>
        await withClient(port, async (client) => {
          const known = (await client.call('SENTINEL', 'MASTER', 'wx')) as string[];
          const of = (name: string): string => known[known.indexOf(name) + 1] ?? '';
          return of('num-slaves') === '1' && of('num-other-sentinels') === '2';
        }),
      { timeoutMs: 30_000, what: 'the sentinels to know each other' },
    );
  }
  return {
    ...pair,
    target: { url: '', sentinels: sentinels.map((port) => ({ host: '127.0.0.1', port })), sentinelName: 'wx', db: 0 },
  };
}

async function startSentinel(masterPort: number, downAfterMs: number): Promise<number> {
  const binary = await findRedis();
  const run = inject('waxwingRunFolder');
  const folder = mkdtempSync(join(run, 'sentinel-'));
  const port = await freePort();
  const file = join(folder, 'sentinel.conf');
  const lines = [
    `port ${port}`,
    'bind 127.0.0.1',
    `dir "${folder}"`,
    `sentinel monitor wx 127.0.0.1 ${masterPort} 2`,
    `sentinel down-after-milliseconds wx ${downAfterMs}`,
    'sentinel failover-timeout wx 6000',
  ];
  writeFileSync(file, `${lines.join('\n')}\n`);
  const child = spawn(binary.path, [file, '--sentinel'], { env: redisEnvironment(binary), stdio: 'ignore' });
  const identity = child.pid === undefined ? undefined : identify(child.pid);
  if (identity === undefined) throw new Error('the sentinel did not start');
  const record = join(run, `server-${identity.pid}.json`);
  writeFileSync(record, JSON.stringify(identity));
  afterAll(async () => {
    await endProcess(identity, 'SIGTERM', 5000);
    rmSync(record, { force: true });
    rmSync(folder, { recursive: true, force: true });
  });
  await eventually(async () => await withClient(port, async (client) => (await client.ping()).length > 0), {
    timeoutMs: 10_000,
  });
  return port;
}
