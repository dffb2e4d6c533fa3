import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'vitest';
import { shardPrefix } from '../../src/engine/keys.ts';
import { slotOf } from '../../src/engine/slots.ts';
import { eventually } from '../support/eventually.ts';
import { LOOK_MS, withClient } from '../support/many-redis.ts';
import type { TestRedis } from '../support/services.ts';
import { acceptThrough, describeOp } from './harness/load.ts';
import { faultTest } from './harness/fault-test.ts';
import { spread } from './harness/measure.ts';
import { scaled } from './harness/settings.ts';
import type { World } from './harness/world.ts';
import type { WorldOptions } from './harness/world-options.ts';

/* A master of the queue's cluster dies, stands still, or gives its place away, while messages are accepted and sent. */

const SENDERS = Array.from({ length: 16 }, (_, index) => `s${index}`);
const CLUSTER: WorldOptions = {
  workers: 2,
  senders: SENDERS,
  durability: 'replica',
  // Two replicas: when one is promoted, the other confirms. With one, nothing could be confirmed until a server is back.
  cluster: { nodeTimeoutMs: 1000, replicas: 2 },
  limits: { ratePerSecond: 40 },
};
/** The shard that the faults meet. */
const SHARD = 0;

function clusterOf({ cluster }: World) {
  if (cluster === undefined) throw new Error('this world has no cluster');
  return cluster;
}

let probes = 0;

/** How long a client of the shard waits for a 2xx that it asks for from now on, ms. */
async function untilAccepted(world: World, fromMs = performance.now()): Promise<number> {
  const accept = acceptThrough(world.queue, world.tenantConcurrency);
  probes += 1;
  const shape = { name: `probe${probes}x`, senders: [SENDERS[SHARD] ?? ''], tenants: 1, conversations: 1 };
  const op = describeOp({ ...shape, tenantConcurrency: 5 }, 0, 1);
  const answer = await eventually(
    async () => {
      const got = await accept(op);
      return got.kind === 'ok' ? got : false;
    },
    { timeoutMs: 60_000, what: 'the shard to accept again' },
  );
  const ids = new Set([answer.id]);
  world.judge([{ ...op, state: 'ok', id: answer.id, acceptedAtMs: undefined, ids }]);
  return performance.now() - fromMs;
}

/** How long the cluster itself needs until the shard has another master that a replica follows, ms. */
async function untilPromoted(world: World, oldPort: number, fromMs: number): Promise<number> {
  await eventually(
    async () => {
      const { port } = await clusterOf(world).masterOf(SHARD);
      if (port === oldPort) return false;
      return await withClient(port, async (node) => /state=online/.test(await node.info('replication')), LOOK_MS);
    },
    { timeoutMs: 60_000, what: 'a replica to be promoted' },
  );
  return performance.now() - fromMs;
}

/** On a busy machine the cluster's own failover takes longer; what we add to it is bounded all the same. */
function expectInTime(gaps: readonly number[], promoted: readonly number[], boundMs: number): void {
  gaps.forEach((gap, index) => expect(gap).toBeLessThanOrEqual(Math.max(boundMs, (promoted[index] ?? 0) + 2000)));
}

/** Waits until every node of the cluster is there and follows or is followed: the next fault must find a whole one. */
async function whole(world: World): Promise<void> {
  await eventually(
    async () => {
      const infos = await Promise.all(
        clusterOf(world).nodes.map(
          async ({ port }) => await withClient(port, async (node) => await node.info('replication'), LOOK_MS),
        ),
      );
      const roles = infos.map((info) =>
        info.match(/role:master|master_link_status:\w+|connected_slaves:\d/g)?.join(' '),
      );
      const followed = roles.filter((role) => role === 'role:master connected_slaves:2');
      const following = roles.filter((role) => role === 'master_link_status:up connected_slaves:0');
      if (followed.length !== 3 || following.length !== 6)
        throw new Error(`the cluster is not whole: ${roles.join(', ')}`);
      return true;
    },
    { timeoutMs: 60_000, what: 'the cluster to be whole again' },
  );
}

interface MasterFault {
  readonly signal: NodeJS.Signals;
  /** Brings the master back; `promoted` resolves when another one has its place. */
  readonly mend: (master: TestRedis, promoted: Promise<unknown>) => Promise<void>;
  /** Until accepts go on, unless the cluster itself needs longer, ms. */
  readonly boundMs: number;
}

/** Does this to the shard's master again and again under load. */
function masterFault(id: string, title: string, { signal, mend, boundMs }: MasterFault): void {
  faultTest(id, title, CLUSTER, async (world, report) => {
    const load = world.load({ name: 'a', conversations: 64, tenants: 16 });
    load.start(60);
    const gaps: number[] = [];
    const promoted: number[] = [];
    for (let round = 0; round < scaled(10, 2); round += 1) {
      await delay(world.random.whole(1000, 2000));
      const master = await clusterOf(world).masterOf(SHARD);
      const startMs = performance.now();
      await master.kill(signal);
      const probes = Promise.all([untilAccepted(world, startMs), untilPromoted(world, master.port, startMs)]);
      await mend(master, probes);
      const [gap, ready] = await probes;
      gaps.push(gap);
      promoted.push(ready);
      await whole(world);
    }
    await load.stop();
    report('times', gaps.length);
    report('failover of the cluster ms', spread(promoted));
    report('gap ms p50/p99/max', spread(gaps));
    report('accepts repeated', load.repeats);
    return () => expectInTime(gaps, promoted, boundMs);
  });
}

masterFault('F22', 'a master of the cluster killed under load: accepting again in 4 s, nothing lost', {
  signal: 'SIGKILL',
  mend: async (master, promoted) => {
    await promoted;
    await master.restart();
  },
  boundMs: 4000,
});

masterFault('F23', 'a master of the cluster stands still for 9 s and goes on: accepting again in 5 s, nothing lost', {
  signal: 'SIGSTOP',
  mend: async (master) => {
    await delay(9000);
    await master.kill('SIGCONT');
  },
  boundMs: 5000,
});

faultTest(
  'F24',
  'shards fail over by hand and move to another master under load: nothing lost, nothing halved',
  CLUSTER,
  async (world, report) => {
    const cluster = clusterOf(world);
    const load = world.load({ name: 'a', conversations: 64, tenants: 16 });
    load.start(60);
    const gaps: number[] = [];
    for (let round = 0; round < scaled(10, 2); round += 1) {
      await delay(1000);
      const master = await cluster.masterOf(SHARD);
      let startMs = performance.now();
      for (const { port } of cluster.nodes) {
        await withClient(port, async (node) => {
          const role = (await node.call('ROLE')) as [string, string, number];
          if (role[0] === 'slave' && role[2] === master.port) await node.call('CLUSTER', 'FAILOVER');
        });
      }
      await eventually(async () => (await cluster.masterOf(SHARD)).port !== master.port, { timeoutMs: 20_000 });
      gaps.push(await untilAccepted(world, startMs));
      await whole(world);
      startMs = performance.now();
      await moveSlot(world, slotOf(shardPrefix(SHARD)));
      gaps.push(await untilAccepted(world, startMs));
      await whole(world);
    }
    await load.stop();
    report('moves', gaps.length);
    report('gap ms p50/p99/max', spread(gaps));
    report('accepts repeated', load.repeats);
    return undefined;
  },
);

/** As `redis-cli --cluster reshard` does it, key by key, to a master that does not have the slot. */
async function moveSlot(world: World, slot: number): Promise<void> {
  const cluster = clusterOf(world);
  const from = await cluster.masterOf(SHARD);
  const masters: { port: number; id: string }[] = [];
  for (const { port } of cluster.nodes) {
    await withClient(port, async (node) => {
      if ((await node.info('replication')).includes('role:master')) {
        masters.push({ port, id: String(await node.call('CLUSTER', 'MYID')) });
      }
    });
  }
  const source = masters.find(({ port }) => port === from.port);
  const to = masters.find(({ port }) => port !== from.port);
  if (source === undefined || to === undefined) throw new Error('the cluster has no two masters');
  await withClient(to.port, async (node) => await node.call('CLUSTER', 'SETSLOT', slot, 'IMPORTING', source.id));
  await withClient(source.port, async (node) => {
    await node.call('CLUSTER', 'SETSLOT', slot, 'MIGRATING', to.id);
    for (;;) {
      const keys = (await node.call('CLUSTER', 'GETKEYSINSLOT', slot, 20)) as string[];
      if (keys.length === 0) break;
      await node.call('MIGRATE', '127.0.0.1', to.port, '', 0, 5000, 'KEYS', ...keys);
    }
  });
  for (const port of [to.port, source.port]) {
    await withClient(port, async (node) => await node.call('CLUSTER', 'SETSLOT', slot, 'NODE', to.id));
  }
}
