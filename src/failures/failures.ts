import { setTimeout as delay } from 'node:timers/promises';
import type { SendQueue } from '../engine/contract.ts';
import { AppError } from '../errors/app-error.ts';
import type { MessageBody, MessageError } from '../model/message.ts';
import type { DueFailure, FailureCounts, FailureFilter, FailureRecord, Page, SenderRecord } from '../record/index.ts';
import { newId } from '../util/ids.ts';
import { createDeadLetterDesk, type DeadLetterDesk, type DeadLetterPorts } from './dead-letters.ts';
import { knowingSender, targetOf } from './returning.ts';
import { createRetryWorker, type RetryWorker, type RetryWorkerOptions } from './retry-worker.ts';

/** A message that somebody else tried to send, in vain. */
export interface FailureToLog {
  /** E.164 with `+`. */
  readonly to: string;
  /** The text. */
  readonly message: string;
  readonly idempotencyKey?: string;
  /** Tries so far, ≥ 1; default 1. The next slow retry is the one after as many. */
  readonly attemptCount?: number;
  /** Default `default`. */
  readonly tenant?: string;
  /** Default: the contact's own. */
  readonly conversation?: string;
  readonly sender?: string;
}

/** What `retryFailedMessages()` saw: of `total` started now, those that ended within the wait. */
export interface RetryTotals {
  readonly total: number;
  readonly succeeded: number;
  /** Failed again, and wait for their next slow retry. */
  readonly failed: number;
  readonly permanentlyFailed: number;
}

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
   * @throws AppError `REQUEST_INVALID`, `BACKLOG_FULL`, `QUEUE_UNAVAILABLE`
   */
  logDeliveryFailure(failure: FailureToLog, error: unknown): Promise<string>;
  /** Lets messages to this contact go at once, whatever limit of the pair is known. */
  clearPairLimit(to: string, sender?: string): Promise<void>;
  readonly deadLetters: DeadLetterDesk;
  /** Messages that were sent and of which no status has told anything for STATUS_WATCHDOG_SECONDS. */
  countOverdueStatuses(): Promise<number>;
}

export interface FailuresOptions extends RetryWorkerOptions, DeadLetterPorts {
  readonly queue: Pick<SendQueue, 'place'> & {
    clearPairLimit(sender: string, contact: string): Promise<void>;
  };
  /** RETRY_SCHEDULE_SECONDS. */
  readonly scheduleSeconds: readonly number[];
  readonly statusWatchdogMs: number;
  /** The sender of a tenant's message, and the canonical contact of an address; throw AppError where there is none. */
  readonly chooseSender: (tenant: string, named: string | undefined) => Promise<SenderRecord>;
  readonly contactOf: (to: string) => { readonly e164: string; readonly contact: string };
}

const OUTCOME_LOOK_MS = 100;

export function createFailures(options: FailuresOptions): WaxwingFailures & { readonly worker: RetryWorker } {
  const { record, retries, queue, scheduleSeconds } = options;
  const now = options.now ?? Date.now;
  const worker = createRetryWorker(options);

  /** What became of a row that was started; null = nothing yet. */
  async function outcomeOf(before: DueFailure): Promise<keyof Omit<RetryTotals, 'total'> | null> {
    const row = await record.failures.get(before.id);
    if (row === null || row.status === 'RESOLVED') return 'succeeded';
    if (row.status === 'FAILED') return 'permanentlyFailed';
    return row.attemptCount > before.attemptCount ? 'failed' : null;
  }

  /**
   * Starts a slow retry now. Asked of the row as it is now: the provider may have asked for a pause since it was listed.
   */
  async function hasten(id: string): Promise<boolean> {
    const failure = await record.failures.get(id);
    if (failure?.status !== 'PENDING' || isPauseAsked(failure)) return false;
    const message = await record.messages.find(null, id);
    if (message === null) return false;
    return (await knowingSender(options, message.sender, () => retries.hasten(targetOf(message)))) === 'done';
  }

  return {
    worker,
    whatsappRetryWorker: worker,
    list: (filter = {}) => record.failures.list(filter),
    counts: () => record.failures.counts(),
    deadLetters: createDeadLetterDesk(options),
    countOverdueStatuses: () => record.deadLetters.countSilent(now() - options.statusWatchdogMs),

    async retryFailedMessages(n, waitMs = 30_000) {
      if (!Number.isInteger(n) || n < 1 || n > 1000) {
        throw new AppError('REQUEST_INVALID', { field: 'n', detail: 'Give a whole number from 1 to 1,000.' });
      }
      // What a status reported and nobody took in yet is the engine's from here on.
      await worker.takeReported();
      const started: DueFailure[] = [];
      for (const failure of await record.failures.due(n)) {
        if (await hasten(failure.id)) started.push(failure);
      }
      const totals = { total: started.length, succeeded: 0, failed: 0, permanentlyFailed: 0 };
      const deadlineMs = performance.now() + waitMs;
      let open: readonly DueFailure[] = started;
      while (open.length > 0 && performance.now() < deadlineMs) {
        const waiting: DueFailure[] = [];
        for (const failure of open) {
          const outcome = await outcomeOf(failure);
          if (outcome === null) waiting.push(failure);
          else totals[outcome] += 1;
        }
        open = waiting;
        if (open.length > 0) await delay(OUTCOME_LOOK_MS);
      }
      return totals;
    },

    retryNow: hasten,

    async logDeliveryFailure(failure, error) {
      const attemptCount = failure.attemptCount ?? 1;
      if (!Number.isInteger(attemptCount) || attemptCount < 1) {
        throw new AppError('REQUEST_INVALID', { field: 'attemptCount', detail: 'Give a whole number from 1.' });
      }
      if (failure.message === '') throw new AppError('REQUEST_INVALID', { field: 'message' });
      const { e164, contact } = options.contactOf(failure.to);
      const tenant = await record.tenants.ensure(failure.tenant ?? 'default');
      const sender = await options.chooseSender(tenant.id, failure.sender);
      const id = newId(now());
      const { idempotencyKey } = failure;
      const body: MessageBody = {
        to: e164,
        type: 'text',
        content: { body: failure.message },
        ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
      };
      const { concurrency, weight, backlogMax } = tenant;
      const seconds = scheduleSeconds[attemptCount - 1];
      const result = await knowingSender(options, sender.id, () =>
        retries.log(
          {
            id,
            shard: sender.shard,
            lane: { sender: sender.id, tenant: tenant.id, conversation: failure.conversation ?? contact },
            contact,
            priority: 5,
            expiresAtMs: null,
            body: JSON.stringify(body),
            attempts: attemptCount,
            tenantLimits: { concurrency, weight, backlogMax },
          },
          {
            error: errorOf(error),
            slowRetries: attemptCount - 1,
            delayMs: seconds === undefined ? null : seconds * 1000,
          },
        ),
      );
      if (result === 'done') return id;
      throw new AppError(result === 'backlog-full' ? 'BACKLOG_FULL' : 'SENDER_MISSING');
    },

    async clearPairLimit(to, sender = 'default') {
      await queue.clearPairLimit(sender, options.contactOf(to).contact);
    },
  };
}

/** Does it wait because the provider or its table entry asks for it, such as 131049's day? That is nobody's to cut short. */
function isPauseAsked({ metadata: { source, waitsFor } }: FailureRecord): boolean {
  return source === 'report' || waitsFor === 'report' || waitsFor === 'provider';
}

/** Any error in the shape of ours; one that has it already, from the API or a provider, keeps it. */
function errorOf(error: unknown): MessageError {
  const given = (typeof error === 'object' && error !== null ? error : {}) as Partial<MessageError>;
  const detail = error instanceof Error ? error.message : typeof error === 'string' ? error : (given.detail ?? '');
  const code: unknown = given.code;
  return {
    code: typeof code === 'string' || typeof code === 'number' ? String(code) : 'LOGGED_FAILURE',
    providerCode: given.providerCode ?? null,
    title: given.title ?? 'The message failed elsewhere',
    detail: (given.detail ?? detail).slice(0, 2000),
    retryable: given.retryable ?? true,
  };
}
