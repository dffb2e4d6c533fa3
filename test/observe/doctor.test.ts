import { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { AppError } from '../../src/errors/app-error.ts';
import { diagnoseServices, type JobQueue, type ServiceChecks } from '../../src/observe/doctor-services.ts';
import { testRedis } from '../support/services.ts';

let client: Redis;
beforeAll(async () => {
  client = new Redis((await testRedis()).url);
});
beforeEach(() => client.flushall());
afterAll(() => client.disconnect());

const quiet: JobQueue = {
  ...{ queue: 'webhook', waiting: 0, active: 0, failed: 0, delayed: 0, paused: false, workers: 1 },
};
function examine(more: Partial<ServiceChecks> = {}) {
  return diagnoseServices({
    ...{ client, shards: 1 },
    pendingMigrations: () => Promise.resolve([]),
    jobQueues: () => Promise.resolve([quiet]),
    pendingFailures: () => Promise.resolve(0),
    pingCache: () => Promise.resolve(),
    ...more,
  });
}
const wrong = async (more: Partial<ServiceChecks>) =>
  (await examine(more))
    .filter(({ severity }) => severity === 'finding')
    .map(({ about, detail }) => `${about}: ${detail}`);

describe('the doctor on what stands beside the queue', () => {
  it('finds nothing where nothing is wrong, and says what it looked at', async () => {
    expect(await wrong({})).toEqual([]);
    expect((await examine()).map(({ about }) => about)).toEqual([
      'PostgreSQL',
      'recorder',
      'slow retries',
      'job queue webhook',
      'cache',
    ]);
  });

  it('names pending migrations and what to run', async () => {
    expect(await wrong({ pendingMigrations: () => Promise.resolve(['7']) })).toEqual([
      expect.stringMatching(/^PostgreSQL: 1 migrations are pending \(7\): run waxwing migrate/),
    ]);
  });

  it('says by how much the recorder is behind', async () => {
    await client.xadd('{wx:0}ev', `${Date.now() - 120_000}-0`, 'A', 'x');
    expect(await wrong({})).toEqual([
      expect.stringMatching(/^shard 0, recorder: .* is 12\d s old: is a worker running/),
    ]);
  });

  it('tells jobs that have stalled, and messages whose failure row is missing', async () => {
    await client.hset('{wx:0}n', 'deferred', 3);
    const queues = [
      { ...quiet, active: 2, workers: 0 },
      { ...quiet, queue: 'email', waiting: 1, workers: 0 },
    ];
    expect(await wrong({ jobQueues: () => Promise.resolve(queues) })).toEqual([
      expect.stringMatching(/^slow retries: the engine holds 3, the failure record has 0 pending/),
      expect.stringMatching(/^job queue webhook: .*stalled/),
      expect.stringMatching(/^job queue email: .*no worker is there/),
    ]);
  });

  it('goes on when a server cannot be asked', async () => {
    const away = () => Promise.reject(new AppError('RECORD_UNAVAILABLE'));
    expect(await wrong({ pendingMigrations: away, pendingFailures: away })).toEqual([
      expect.stringMatching(/^PostgreSQL: It cannot be asked/),
      expect.stringMatching(/^slow retries: It cannot be asked/),
    ]);
  });
});
