import { hasCode } from '../errors/app-error.ts';
import type { StatusEvidence } from './contract.ts';
import { TickBatches } from './tick-batches.ts';

/** Statuses per script call: a script stays under 2 ms. */
const BATCH_MAX = 32;
/** One runs while the next is collected. */
const CALLS_MAX = 2;

interface Waiting {
  readonly status: StatusEvidence;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Joins the statuses of one tick into calls. A provider whose webhooks were refused for a while tells all of them at
 * once, each by itself: told one by one to every shard, they would still be under way when the wait for the evidence in
 * them is over.
 */
export class StatusBatcher {
  readonly #tell: (batch: readonly StatusEvidence[]) => Promise<unknown>;
  readonly #batches = new TickBatches<Waiting>({
    batchMax: BATCH_MAX,
    callsMax: CALLS_MAX,
    call: (batch) => this.#call(batch),
  });

  /** @param tell tells every shard */
  constructor(tell: (batch: readonly StatusEvidence[]) => Promise<unknown>) {
    this.#tell = tell;
  }

  /** @throws what `tell` throws */
  add(status: StatusEvidence): Promise<void> {
    return new Promise((resolve, reject) => this.#batches.add({ status, resolve, reject }));
  }

  async #call(batch: readonly Waiting[]): Promise<void> {
    try {
      await this.#tell(batch.map(({ status }) => status));
      for (const { resolve } of batch) resolve();
    } catch (error) {
      // While the queue is away those in line would wait as long for the same answer; a fault of this call is its own.
      const inLine = hasCode(error, 'QUEUE_UNAVAILABLE') ? this.#batches.takeBack() : [];
      for (const { reject } of [...batch, ...inLine]) reject(error);
    }
  }
}
