import type { Grant, Settlement } from '../src/engine/contract.ts';
import { WorkerLink } from '../src/engine/worker-link.ts';

export interface BenchWorkerOptions {
  readonly url: string;
  readonly name: string;
  readonly slots: number;
  /** Plays the provider; called after `begin`. */
  readonly handle: (grant: Grant) => Promise<Settlement | undefined>;
}

const SENT: Settlement = { kind: 'sent', providerMessageId: 'wamid.HBgNNDkxNTEwMDAwMDAwMBUCABEYEjQ2' };

/** A worker as `src/worker` is one, without its policy: begin, send, settle with a report of the attempt. */
export class BenchWorker {
  readonly link: WorkerLink;
  readonly #options: BenchWorkerOptions;
  readonly #waiting: { count: number; resolve: () => void }[] = [];
  #settled = 0;

  constructor(options: BenchWorkerOptions) {
    this.#options = options;
    this.link = new WorkerLink({
      redis: { url: options.url, db: 0 },
      shard: 0,
      worker: options.name,
      slots: options.slots,
      onGrants: (grants) => void this.#work(grants),
    });
  }

  async start(): Promise<void> {
    await this.link.start();
  }

  /** Resolves when this worker has settled `count` messages since it was made. */
  async settledCount(count: number): Promise<void> {
    if (this.#settled >= count) return;
    await new Promise<void>((resolve) => this.#waiting.push({ count, resolve }));
  }

  close(): Promise<void> {
    return this.link.close();
  }

  async #work(grants: readonly Grant[]): Promise<void> {
    const entry = grants[0]?.entry;
    if (entry === undefined) return;
    if (await this.link.begin(entry)) for (const grant of grants) void this.#send(grant);
    else for (const grant of grants) void this.link.settle({ grant, settlement: { kind: 'unstarted' }, report: null });
  }

  async #send(grant: Grant): Promise<void> {
    const startedAtMs = Date.now();
    const settlement = (await this.#options.handle(grant)) ?? SENT;
    const result = await this.link.settle({
      grant,
      settlement,
      report: {
        attempt: grant.attempt,
        worker: this.#options.name,
        startedAtMs,
        endedAtMs: Date.now(),
        outcome: settlement.kind === 'sent' ? 'sent' : 'rejected',
        httpStatus: 200,
      },
    });
    if (result === 'stale') return;
    this.#settled += 1;
    for (const waiting of this.#waiting) if (this.#settled >= waiting.count) waiting.resolve();
  }
}
