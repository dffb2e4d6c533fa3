import type { Logger } from 'pino';
import type { SettleRequest } from '../engine/contract.ts';
import type { RedisSendQueue } from '../engine/queue.ts';

const EVERY_MS = 30_000;
/** Enough for percentiles of the last half minute; bounds the memory. */
const SAMPLES_MAX = 2000;

/** Writes what a worker did into its log every 30 s: the figures by which a person sees whether it flows. */
export class WorkerSummary {
  readonly #queue: Pick<RedisSendQueue, 'counters'>;
  readonly #log: Logger;
  readonly #timer: NodeJS.Timeout;
  #durationsMs: number[] = [];
  #attempts = 0;
  #sent = 0;
  #failed = 0;

  constructor(queue: Pick<RedisSendQueue, 'counters'>, log: Logger) {
    this.#queue = queue;
    this.#log = log;
    this.#timer = setInterval(() => void this.#write(), EVERY_MS);
    this.#timer.unref();
  }

  count({ settlement, report }: SettleRequest): void {
    if (settlement.kind === 'sent') this.#sent += 1;
    if (settlement.kind === 'failed') this.#failed += 1;
    if (report === null) return;
    this.#attempts += 1;
    // A ring: the newest replace the oldest.
    this.#durationsMs[this.#attempts % SAMPLES_MAX] = report.endedAtMs - report.startedAtMs;
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  async #write(): Promise<void> {
    const counters = await this.#queue.counters().catch(() => null);
    const durations = this.#durationsMs.filter((value) => value >= 0).sort((a, b) => a - b);
    const at = (share: number) =>
      durations[Math.min(durations.length - 1, Math.floor(share * durations.length))] ?? null;
    this.#log.info(
      {
        waiting: counters?.queued ?? null,
        active: counters?.inFlight ?? null,
        delayed: counters === null ? null : counters.scheduled + counters.deferred,
        attempts: this.#attempts,
        sent: this.#sent,
        failed: this.#failed,
        processingMsP50: at(0.5),
        processingMsP95: at(0.95),
      },
      'last 30 s',
    );
    this.#durationsMs = [];
    this.#attempts = 0;
    this.#sent = 0;
    this.#failed = 0;
  }
}
