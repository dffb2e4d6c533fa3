import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { WorkerLink } from '../../src/engine/worker-link.ts';
import { eventually, testRedis } from '../support/services.ts';
import { Bench } from './support/bench.ts';

let bench: Bench;
let link: WorkerLink;
beforeEach(async () => {
  bench = await Bench.open(await testRedis());
  link = new WorkerLink({ redis: bench.target, shard: 0, worker: 'w1', slots: 1, onGrants: () => undefined });
  bench.links.push(link);
});
afterEach(async () => {
  vi.restoreAllMocks();
  await bench.close();
});

const beats = async (): Promise<number> => Number(await bench.client.hget('{wx:0}hb', 'w1'));

describe('A worker that registers', () => {
  it('goes on asking a Redis that is there and refuses, until it does not', async () => {
    const asked = vi.spyOn(link.runner, 'run');
    await bench.client.replicaof('127.0.0.1', '1'); // of nobody: it takes no writes
    const started = link.start();
    await eventually(() => asked.mock.calls.length >= 2, { what: 'a second try' });
    await bench.client.replicaof('NO', 'ONE');
    await started;
    expect(await beats()).toBeGreaterThanOrEqual(1);
  });

  it('goes on when the link is cut between the greeting and its first beat', async () => {
    const real = link.runner.run.bind(link.runner);
    const cut = vi.spyOn(link.runner, 'run').mockImplementationOnce(async (name, ...rest) => {
      await bench.client.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
      return await real(name, ...rest);
    });
    await link.start();
    expect(cut.mock.calls.length).toBeGreaterThanOrEqual(2);
    expect(await beats()).toBeGreaterThanOrEqual(1);
  });

  it('gives up at once when its script has a fault, which no waiting mends', async () => {
    vi.spyOn(link.runner, 'run').mockRejectedValue(
      Object.assign(new Error('ERR Error running script'), { name: 'ReplyError' }),
    );
    await expect(link.start()).rejects.toThrow('ERR Error running script');
  });
});
