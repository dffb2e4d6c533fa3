import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { OwnLeases } from '../../src/engine/own-leases.ts';
import type { WorkerLink } from '../../src/engine/worker-link.ts';
import { eventually, testRedis, type TestRedis } from '../support/services.ts';
import { Bench, SILENT } from './support/bench.ts';
import { Ghost } from './support/ghost.ts';

let redis: TestRedis;
let bench: Bench;
beforeAll(async () => {
  redis = await testRedis();
});
afterEach(async () => {
  vi.restoreAllMocks();
  await bench.close();
});

async function startWorker(engine: { claimIdleMs?: number } = {}, slots = 100): Promise<WorkerLink> {
  bench = await Bench.open(redis, {}, engine);
  return await bench.worker('w1', SILENT, slots);
}

const beats = async (): Promise<number> => Number(await bench.client.hget('{wx:0}hb', 'w1'));

describe('A worker’s heartbeat', () => {
  it('goes on while something that it also looks after gets no answer', async () => {
    const link = await startWorker({ claimIdleMs: 300 });
    const { client } = link.runner;
    const real = client.call.bind(client) as (...args: unknown[]) => Promise<unknown>;
    const hung = vi.fn();
    vi.spyOn(client, 'call').mockImplementation((...args: unknown[]) => {
      if (args[0] !== 'XAUTOCLAIM') return real(...args);
      hung();
      return new Promise(() => undefined);
    });
    await eventually(() => hung.mock.calls.length === 1, { what: 'the sweep to hang' });
    const before = await beats();
    await eventually(async () => (await beats()) >= before + 4, { what: 'four beats more' });
  });

  it('goes on while the answers to it are on their way', async () => {
    const link = await startWorker();
    const { runner } = link;
    const real = runner.run.bind(runner);
    let release = (): void => undefined;
    const released = new Promise<void>((resolve) => (release = resolve));
    vi.spyOn(runner, 'run').mockImplementation(async (name, ...rest) => {
      const reply = await real(name, ...rest);
      if (name === 'beat') await released;
      return reply;
    });
    const before = await beats();
    await eventually(async () => (await beats()) >= before + 4, { what: 'four beats more' });
    release();
  });

  it('gives up what it does not hold in pieces, so that no script is long', async () => {
    const link = await startWorker({}, 0);
    const ghost = new Ghost(bench, 'w1');
    const entries: string[] = [];
    for (let n = 0; n < 70; n += 1) {
      await bench.accept({ conversation: `c${n}`, limits: { concurrency: 1000 } });
      const [grant] = await ghost.take(1, 900 + n);
      if (grant !== undefined) entries.push(grant.entry);
    }
    expect(entries).toHaveLength(70);
    const pieces: number[] = [];
    const real = link.runner.run.bind(link.runner);
    vi.spyOn(link.runner, 'run').mockImplementation(async (name, shard, args, over) => {
      if (name === 'reclaim') pieces.push(args.length - 6);
      return await real(name, shard, args, over);
    });
    vi.spyOn(OwnLeases.prototype, 'unheard').mockResolvedValueOnce(entries);
    await eventually(() => pieces.length === 3, { what: 'all pieces' });
    expect(pieces).toEqual([32, 32, 6]);
  });
});
