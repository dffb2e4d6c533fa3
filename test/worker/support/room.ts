import { afterEach, beforeAll } from 'vitest';
import { RedisSendQueue } from '../../../src/engine/queue.ts';
import type { MessageProvider, SenderAccount } from '../../../src/providers/contract.ts';
import { SendWorker, type SendWorkerOptions } from '../../../src/worker/send-worker.ts';
import { testRedis, type TestRedis } from '../../support/services.ts';

export interface Room {
  readonly queue: RedisSendQueue;
  /** A worker on the queue that sends through this provider; it has started when this resolves. */
  readonly startWorker: (
    provider: MessageProvider,
    options: Pick<SendWorkerOptions, 'slots' | 'globalRatePerSecond' | 'globalConcurrency'> &
      Partial<SendWorkerOptions>,
  ) => Promise<void>;
}

/** Queues with workers, each in a database of its own; all of a test ends with it. @returns what opens one */
export function useRooms(): (shards: number) => Promise<Room> {
  let redis: TestRedis;
  let databases = 0;
  const ends: (() => unknown)[] = [];
  beforeAll(async () => {
    redis = await testRedis();
  });
  afterEach(async () => {
    for (const end of ends.splice(0).reverse()) await end();
  });
  return async (shards) => {
    const target = { url: redis.url, db: (databases += 1) };
    const queue = new RedisSendQueue({ redis: target, shards });
    ends.push(() => {
      queue.close();
    });
    await queue.connect();
    return {
      queue,
      async startWorker(provider, options) {
        const worker = new SendWorker({
          redis: target,
          shards,
          worker: 'w1',
          providers: { cloud: provider },
          policyFor: () => ({ attemptsMax: 3, backoffMs: 1, scheduleSeconds: [], deferBlocks: false }),
          readAccount: (sender) => Promise.resolve(account(sender)),
          tagKey: Buffer.alloc(32),
          ...options,
        });
        await worker.start();
        ends.push(() => worker.stop(1000));
      },
    };
  };
}

const account = (id: string): SenderAccount => ({
  id,
  provider: 'cloud',
  externalId: id,
  apiUrl: 'http://127.0.0.1:1/v23.0',
  credentials: { accessToken: 't', appSecret: 's' },
});
