import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { expect } from 'vitest';
import { Child } from './harness/child.ts';
import { describeOp, type OpRecord } from './harness/load.ts';
import { faultTest } from './harness/fault-test.ts';
import { spread } from './harness/measure.ts';
import type { AcceptorProgram, FromAcceptor, LoadShape } from './harness/protocol.ts';
import { scaled } from './harness/settings.ts';
import { makeShim } from './harness/shim.ts';
import type { World } from './harness/world.ts';

/*
 * Power cuts: Redis is killed and every file of its log is cut back to what had been fsynced, as a preloaded library
 * remembers it.
 */

async function rewriteLog(world: World): Promise<void> {
  const client = new Redis(world.redis.url, { maxRetriesPerRequest: 3 });
  await client.bgrewriteaof().finally(() => client.disconnect());
}

const shim = await makeShim();

faultTest(
  'F14',
  'power cuts of Redis, some while it rewrites its log',
  { workers: 3, redis: { shim } },
  async (world, report) => {
    const load = world.load({ name: 'a', conversations: 80 });
    load.start(100);
    const cuts = scaled(50, 5);
    const gaps: number[] = [];
    let cutBytes = 0;
    for (let cut = 0; cut < cuts; cut += 1) {
      await delay(world.random.whole(300, 1000));
      if (cut % 2 === 1) {
        await rewriteLog(world);
        await delay(world.random.whole(0, 30));
      }
      const startMs = performance.now();
      cutBytes += (await world.redis.cutPower()).cutBytes;
      await world.redis.start();
      gaps.push(performance.now() - startMs);
    }
    await delay(300);
    await load.stop();
    report('cuts', cuts);
    report('bytes cut', cutBytes);
    report('gap ms p50/p99/max', spread(gaps));
    return (verdict) => {
      report('lost at most (95 %)', `${(3 / Math.max(1, verdict.accepted)).toExponential(1)} of accepted`);
      expect(verdict.dupAmbiguous).toBe(0);
    };
  },
);

/** A host's accepting process; what it had answered is known here when it dies. */
class Acceptor {
  readonly ops = new Map<string, OpRecord>();
  readonly #child: Child<FromAcceptor, never>;

  private constructor(child: Child<FromAcceptor, never>, shape: LoadShape) {
    this.#child = child;
    child.on((message) => {
      if (message.type === 'ready') return;
      const record = this.ops.get(message.op) ?? newRecord(shape, message.op);
      this.ops.set(message.op, record);
      if (message.type !== 'ok') return;
      record.state = 'ok';
      record.id = message.id;
      record.ids.add(message.id);
    });
  }

  static async start(program: AcceptorProgram): Promise<Acceptor> {
    const child = await Child.start<FromAcceptor, never>({ program: 'acceptor', argument: program });
    const acceptor = new Acceptor(child, program.shape);
    await child.next('ready');
    return acceptor;
  }

  async kill(): Promise<void> {
    await this.#child.kill();
  }
}

function newRecord(shape: LoadShape, op: string): OpRecord {
  const [conversation = '', n = '1'] = op.split('#');
  const index = Number(conversation.slice(shape.name.length));
  return {
    ...describeOp(shape, index, Number(n)),
    state: 'trying',
    id: undefined,
    acceptedAtMs: undefined,
    ids: new Set(),
  };
}

const hostShim = await makeShim();

faultTest(
  'F15',
  'the whole host loses power: Redis, workers and accepting processes at once, statuses come later',
  {
    workers: 2,
    redis: { shim: hostShim },
    engine: { ambiguousWaitMs: 5000 },
    // Told again and again until somebody is there to hear it, as Meta does.
    plan: { statuses: { delayMs: 1500, copies: 1 } },
  },
  async (world, report) => {
    const cuts = scaled(30, 3);
    const acceptors: Acceptor[] = [];
    const startAcceptor = async (round: number): Promise<Acceptor> => {
      const shape: LoadShape = {
        name: `host${round}x`,
        senders: ['s1'],
        tenants: 8,
        conversations: 30,
        tenantConcurrency: world.tenantConcurrency,
      };
      const acceptor = await Acceptor.start({
        redisUrl: world.redis.url,
        seed: world.seed + round,
        ratePerSecond: 80,
        shape,
      });
      acceptors.push(acceptor);
      return acceptor;
    };
    for (let cut = 0; cut < cuts; cut += 1) {
      const acceptor = await startAcceptor(cut);
      await delay(world.random.whole(800, 1600));
      await Promise.all([acceptor.kill(), ...world.living().map((worker) => worker.kill()), world.redis.cutPower()]);
      await world.redis.start();
      await Promise.all([world.startWorker(), world.startWorker()]);
    }
    world.judge(acceptors.flatMap(({ ops }) => [...ops.values()]));
    report('cuts', cuts);
    return (verdict) => {
      report('ambiguous', verdict.ambiguous);
      expect(verdict.dupAmbiguous).toBe(0);
    };
  },
);
