import { setTimeout as delay } from 'node:timers/promises';
import type { DueFailure, FailureRecord } from '../record/index.ts';
import { knowingSender, type ReturnPorts, targetOf } from './returning.ts';

/** What `retryFailedMessages()` saw: of `total` started now, those that ended within the wait. */
export interface RetryTotals {
  readonly total: number;
  readonly succeeded: number;
  /** Failed again, and wait for their next slow retry. */
  readonly failed: number;
  readonly permanentlyFailed: number;
}

const OUTCOME_LOOK_MS = 100;

/**
 * Starts a slow retry now. Asked of the row as it is now: the provider may have asked for a pause since it was listed.
 * One that it asked for this moment is not recorded yet; the queue refuses what was tried since the message was read,
 * which is why that is read first.
 * @returns whether it was started
 */
export async function hasten(ports: ReturnPorts, id: string): Promise<boolean> {
  const { record, retries } = ports;
  const message = await record.messages.find(null, id);
  const failure = message === null ? null : await record.failures.get(id);
  if (message === null || failure?.status !== 'PENDING' || isPauseAsked(failure)) return false;
  const known = { attempts: message.attempts, slowRetries: failure.attemptCount };
  return (await knowingSender(ports, message.sender, () => retries.hasten(targetOf(message), known))) === 'done';
}

/** Starts up to `n` slow retries now, the earliest first, and looks for `waitMs` at what becomes of them. */
export async function retryFailed(ports: ReturnPorts, n: number, waitMs: number): Promise<RetryTotals> {
  const started: DueFailure[] = [];
  for (const failure of await ports.record.failures.due(n)) {
    if (await hasten(ports, failure.id)) started.push(failure);
  }
  const totals = { total: started.length, succeeded: 0, failed: 0, permanentlyFailed: 0 };
  const deadlineMs = performance.now() + waitMs;
  let open: readonly DueFailure[] = started;
  while (open.length > 0 && performance.now() < deadlineMs) {
    const waiting: DueFailure[] = [];
    for (const failure of open) {
      const outcome = await outcomeOf(ports, failure);
      if (outcome === null) waiting.push(failure);
      else totals[outcome] += 1;
    }
    open = waiting;
    if (open.length > 0) await delay(OUTCOME_LOOK_MS);
  }
  return totals;
}

/** What became of a row that was started; null = nothing yet. */
async function outcomeOf(
  { record }: ReturnPorts,
  before: DueFailure,
): Promise<keyof Omit<RetryTotals, 'total'> | null> {
  const row = await record.failures.get(before.id);
  if (row === null || row.status === 'RESOLVED') return 'succeeded';
  if (row.status === 'FAILED') return 'permanentlyFailed';
  return row.attemptCount > before.attemptCount ? 'failed' : null;
}

/** Does it wait because the provider or its table entry asks for it, such as 131049's day? That is nobody's to cut short. */
function isPauseAsked({ metadata: { source, waitsFor } }: FailureRecord): boolean {
  return source === 'report' || waitsFor === 'report' || waitsFor === 'provider';
}
