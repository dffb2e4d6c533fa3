import { Queue, Worker } from 'groupmq';
import { Redis } from 'ioredis';
import { atOnce, type LoadMessage } from '../load.ts';
import type { AcceptPlan, Contestant, DrainPlan } from './contestant.ts';

interface Payload {
  readonly conversation: string;
  readonly index: number;
  readonly tenant: string;
  readonly body: LoadMessage['body'];
}

/** GroupMQ 1.1: keeps order per group (our conversation), no limits above it. */
export class GroupmqContestant implements Contestant {
  readonly name = 'GroupMQ';
  #redis: Redis | undefined;
  #queue: Queue<Payload> | undefined;

  async open(url: string): Promise<void> {
    this.#redis = new Redis(url, { maxRetriesPerRequest: null, protocol: 2 });
    this.#redis.on('error', () => undefined);
    this.#queue = new Queue<Payload>({ redis: this.#redis, namespace: 'bench' });
    await this.#redis.ping();
  }

  async accept({ from, count, places, mode, message }: AcceptPlan): Promise<void> {
    const queue = this.#queue;
    if (queue === undefined) throw new Error('open() first');
    const one = async (index: number): Promise<void> => {
      const { conversation, tenant, body } = message(index);
      const data = { conversation, index, tenant, body };
      await queue.add({ groupId: conversation, data, ...(mode === 'keyed' ? { jobId: `booking-${index}` } : {}) });
    };
    await atOnce(count, places, one, from);
  }

  async drain({ count, places, handle }: DrainPlan): Promise<number> {
    const queue = this.#queue;
    if (queue === undefined) throw new Error('open() first');
    const worker = new Worker<Payload>({
      queue,
      concurrency: places,
      handler: async (job) => {
        await handle(job.data);
      },
    });
    let done = 0;
    const finished = new Promise<void>((resolve) => {
      worker.on('completed', () => {
        done += 1;
        if (done === count) resolve();
      });
    });
    worker.on('error', () => undefined);
    const startedAt = performance.now();
    void worker.run();
    await finished;
    const tookMs = performance.now() - startedAt;
    await worker.close();
    return tookMs;
  }

  async close(): Promise<void> {
    await this.#queue?.close();
    this.#redis?.disconnect();
  }
}
