import { AppError } from '../errors/app-error.ts';
import type { FailureCounts, FailureFilter, FailureRecord, Page } from '../record/index.ts';
import { createDeadLetterDesk, type DeadLetterDesk, type DeadLetterPorts } from './dead-letters.ts';
import { type FailureToLog, logFailure, type LogFailurePorts } from './log-failure.ts';
import { hasten, retryFailed, type RetryTotals } from './retry-failed.ts';
import { createRetryWorker, type RetryWorker, type RetryWorkerOptions } from './retry-worker.ts';

/** Failures, slow retries and dead letters, for a program that embeds Waxwing. */
export interface WaxwingFailures {
  readonly whatsappRetryWorker: Pick<RetryWorker, 'start' | 'stop' | 'getStatus'>;
  /** The failure record, newest first. */
  list(filter?: FailureFilter): Promise<Page<FailureRecord>>;
  counts(): Promise<FailureCounts>;
  /**
   * Starts up to `n` pending retries now, the earliest first, through the queue and at its pace, and waits for what
   * becomes of them. Those that have not ended after `waitMs` go on by themselves and count in `total` only.
   * @param n 1 … 1,000
   * @param waitMs default 30,000
   */
  retryFailedMessages(n: number, waitMs?: number): Promise<RetryTotals>;
  /**
   * Starts the slow retry of one message now instead of at its time.
   * @returns false when it waits for none, or when the provider or the error table asks for its pause
   */
  retryNow(id: string): Promise<boolean>;
  /**
   * Records a message that failed elsewhere; its slow retries go through the queue, or it is a dead letter when they
   * are used up. Also while PostgreSQL is away.
   * @returns the id of the failure, which is that of the message
   * @throws AppError `REQUEST_INVALID`, `NOT_FOUND` (tenant or sender), `BACKLOG_FULL`, `QUEUE_UNAVAILABLE`
   */
  logDeliveryFailure(failure: FailureToLog, error: unknown): Promise<string>;
  /**
   * Lets messages to this contact go at once, whatever limit of the pair is known.
   * @param sender default `default`
   * @throws AppError `REQUEST_INVALID`, `NOT_FOUND` for a sender that there is not
   */
  clearPairLimit(to: string, sender?: string): Promise<void>;
  readonly deadLetters: DeadLetterDesk;
  /** Messages that were sent and of which no status has told anything for STATUS_WATCHDOG_SECONDS. */
  countOverdueStatuses(): Promise<number>;
}

export interface FailuresOptions extends RetryWorkerOptions, DeadLetterPorts, LogFailurePorts {
  /** @throws AppError `NOT_FOUND` for a sender that there is not */
  readonly clearPairLimit: (sender: string, contact: string) => Promise<void>;
  /** The canonical contact of a phone number. @throws AppError `REQUEST_INVALID` */
  readonly contactOf: (to: string) => string;
  /** STATUS_WATCHDOG_SECONDS in ms. */
  readonly statusWatchdogMs: number;
}

export function createFailures(options: FailuresOptions): WaxwingFailures & { readonly worker: RetryWorker } {
  const { record, clearPairLimit, contactOf, statusWatchdogMs } = options;
  const now = options.now ?? Date.now;
  const worker = createRetryWorker(options);

  return {
    worker,
    whatsappRetryWorker: worker,
    list: (filter = {}) => record.failures.list(filter),
    counts: () => record.failures.counts(),
    deadLetters: createDeadLetterDesk(options),
    countOverdueStatuses: () => record.deadLetters.countSilent(now() - statusWatchdogMs),

    async retryFailedMessages(n, waitMs = 30_000) {
      if (!Number.isInteger(n) || n < 1 || n > 1000) {
        throw new AppError('REQUEST_INVALID', { field: 'n', detail: 'Give a whole number from 1 to 1,000.' });
      }
      // What a status reported and nobody took in yet is the engine's from here on.
      await worker.takeReported();
      return await retryFailed(options, n, waitMs);
    },

    retryNow: (id) => hasten(options, id),
    logDeliveryFailure: (failure, error) => logFailure(options, failure, error),

    clearPairLimit: async (to, sender = 'default') => clearPairLimit(sender, contactOf(to)),
  };
}
