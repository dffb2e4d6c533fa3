import type { ReturningMessage } from '../engine/retry-desk.ts';
import { AppError } from '../errors/app-error.ts';
import type { MessageError } from '../model/message.ts';
import { knowingSender, type ReturnPorts } from './returning.ts';

/** A message that somebody else tried to send, in vain. */
export interface FailureToLog {
  /** E.164 with `+`. */
  readonly to: string;
  /** The text, 1 … 4,096 characters. */
  readonly message: string;
  /** 1 … 255 visible ASCII characters. */
  readonly idempotencyKey?: string;
  /** Tries so far, 1 … 1,000; default 1. The next slow retry is the one after as many. */
  readonly attemptCount?: number;
  /** Default `default`. */
  readonly tenant?: string;
  /** Default: the contact's own. */
  readonly conversation?: string;
  readonly sender?: string;
}

/** The message of a failure, as the engine takes it. */
export type DraftedFailure = Omit<ReturningMessage, 'attempts'>;

export interface LogFailurePorts extends ReturnPorts {
  /** RETRY_SCHEDULE_SECONDS. */
  readonly scheduleSeconds: readonly number[];
  /** Checks the message and finds its tenant, sender and contact; throws AppError that names the field. */
  readonly draft: (failure: FailureToLog) => Promise<DraftedFailure>;
}

/** More tries than anybody makes; the record counts in 32 bits. */
const ATTEMPTS_MAX = 1000;
const CODE_CHARACTERS_MAX = 100;
const DETAIL_CHARACTERS_MAX = 2000;

/**
 * Records a message that failed elsewhere: the queue has it from here on, for its next slow retry.
 * @returns the id of the failure, which is that of the message
 * @throws AppError `REQUEST_INVALID`, `NOT_FOUND`, `BACKLOG_FULL`, `SENDER_MISSING`, `QUEUE_UNAVAILABLE`
 */
export async function logFailure(ports: LogFailurePorts, failure: FailureToLog, error: unknown): Promise<string> {
  const attempts = failure.attemptCount ?? 1;
  if (!Number.isInteger(attempts) || attempts < 1 || attempts > ATTEMPTS_MAX) {
    throw new AppError('REQUEST_INVALID', { field: 'attemptCount', detail: 'Give a whole number from 1 to 1,000.' });
  }
  const message = { ...(await ports.draft(failure)), attempts };
  const slowRetries = attempts - 1;
  const seconds = ports.scheduleSeconds[slowRetries];
  const delayMs = seconds === undefined ? null : seconds * 1000;
  const result = await knowingSender(ports, message.lane.sender, () =>
    ports.retries.log(message, { error: errorOf(error), slowRetries, delayMs }),
  );
  if (result === 'done') return message.id;
  throw new AppError(result === 'backlog-full' ? 'BACKLOG_FULL' : 'SENDER_MISSING');
}

/** Any error in the shape of ours; one that has it already, from the API or a provider, keeps it. */
function errorOf(error: unknown): MessageError {
  const given = (typeof error === 'object' && error !== null ? error : { message: error }) as Record<string, unknown>;
  const detail = wordsOf(given['detail']) ?? wordsOf(given['message']) ?? '';
  return {
    code: codeOf(given['code']) ?? 'LOGGED_FAILURE',
    providerCode: codeOf(given['providerCode']) ?? null,
    title: wordsOf(given['title']) ?? 'The message failed elsewhere',
    detail: detail.slice(0, DETAIL_CHARACTERS_MAX),
    retryable: given['retryable'] !== false,
  };
}

/** Numbers in some programs, such as Meta's own. */
function codeOf(value: unknown): string | undefined {
  const code = typeof value === 'number' ? String(value) : wordsOf(value);
  return code?.slice(0, CODE_CHARACTERS_MAX);
}

function wordsOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
