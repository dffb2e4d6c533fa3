import { Queue, Worker } from 'bullmq';
import { atOnce, type LoadMessage } from '../load.ts';
import type { AcceptPlan, Contestant, DrainPlan } from './contestant.ts';

/** Jobs of one `addBulk` call. */
const BULK = 50;
const NAME = 'bench';

interface Payload {
  readonly conversation: string;
  readonly index: number;
  readonly tenant: string;
  readonly body: LoadMessage['body'];
}

/** BullMQ 6: keeps neither order nor limits per conversation. Finished jobs are removed, as ours are. */
export class BullmqContestant implements Contestant {
  readonly name: string;
  #queue: Queue | undefined;
  #url = '';

  constructor(name: string) {
    this.name = name;
  }

  async open(url: string): Promise<void> {
    this.#url = url;
    this.#queue = new Queue(NAME, {
      connection: { url },
      defaultJobOptions: { removeOnComplete: true, attempts: 3 },
    });
    await this.#queue.waitUntilReady();
  }

  async accept({ from, count, places, mode, message }: AcceptPlan): Promise<void> {
    const queue = this.#queue;
    if (queue === undefined) throw new Error('open() first');
    const data = (index: number): Payload => {
      const { conversation, tenant, body } = message(index);
      return { conversation, index, tenant, body };
    };
    if (mode === 'bulk') {
      for (let at = from; at < from + count; at += BULK) {
        const size = Math.min(BULK, from + count - at);
        await queue.addBulk(Array.from({ length: size }, (_, n) => ({ name: 'send', data: data(at + n) })));
      }
      return;
    }
    const options = (index: number) => (mode === 'keyed' ? { jobId: `booking-${index}` } : undefined);
    await atOnce(count, places, (index) => queue.add('send', data(index), options(index)), from);
  }

  async drain({ count, places, handle }: DrainPlan): Promise<number> {
    const worker = new Worker<Payload>(NAME, async (job) => handle(job.data), {
      connection: { url: this.#url },
      concurrency: places,
      autorun: false,
    });
    worker.on('error', () => undefined);
    await worker.waitUntilReady();
    let done = 0;
    const finished = new Promise<void>((resolve) => {
      worker.on('completed', () => {
        done += 1;
        if (done === count) resolve();
      });
    });
    const startedAt = performance.now();
    void worker.run();
    await finished;
    const tookMs = performance.now() - startedAt;
    await worker.close();
    return tookMs;
  }

  async close(): Promise<void> {
    await this.#queue?.close();
  }
}
