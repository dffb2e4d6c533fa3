import { AppError } from '../errors/app-error.ts';
import type { MessageBody, MessageError } from '../model/message.ts';
import type { SenderRecord } from '../record/index.ts';
import { newId } from '../util/ids.ts';
import { knowingSender, type ReturnPorts } from './returning.ts';

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

export interface LogFailurePorts extends ReturnPorts {
  /** RETRY_SCHEDULE_SECONDS. */
  readonly scheduleSeconds: readonly number[];
  /** The sender of a tenant's message, and the canonical contact of an address; throw AppError where there is none. */
  readonly chooseSender: (tenant: string, named: string | undefined) => Promise<SenderRecord>;
  readonly contactOf: (to: string) => { readonly e164: string; readonly contact: string };
  /** Wall clock, epoch ms. */
  readonly now: () => number;
}

/**
 * Records a message that failed elsewhere: the queue has it from here on, for its next slow retry.
 * @returns the id of the failure, which is that of the message
 * @throws AppError `REQUEST_INVALID`, `BACKLOG_FULL`, `SENDER_MISSING`, `QUEUE_UNAVAILABLE`
 */
export async function logFailure(ports: LogFailurePorts, failure: FailureToLog, error: unknown): Promise<string> {
  const attemptCount = failure.attemptCount ?? 1;
  if (!Number.isInteger(attemptCount) || attemptCount < 1) {
    throw new AppError('REQUEST_INVALID', { field: 'attemptCount', detail: 'Give a whole number from 1.' });
  }
  if (failure.message === '') throw new AppError('REQUEST_INVALID', { field: 'message' });
  const { e164, contact } = ports.contactOf(failure.to);
  const tenant = await ports.record.tenants.ensure(failure.tenant ?? 'default');
  const sender = await ports.chooseSender(tenant.id, failure.sender);
  const id = newId(ports.now());
  const { idempotencyKey } = failure;
  const body: MessageBody = {
    to: e164,
    type: 'text',
    content: { body: failure.message },
    ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
  };
  const { concurrency, weight, backlogMax } = tenant;
  const message = {
    id,
    shard: sender.shard,
    lane: { sender: sender.id, tenant: tenant.id, conversation: failure.conversation ?? contact },
    contact,
    priority: 5,
    expiresAtMs: null,
    body: JSON.stringify(body),
    attempts: attemptCount,
    tenantLimits: { concurrency, weight, backlogMax },
  };
  const slowRetries = attemptCount - 1;
  const seconds = ports.scheduleSeconds[slowRetries];
  const delayMs = seconds === undefined ? null : seconds * 1000;
  const result = await knowingSender(ports, sender.id, () =>
    ports.retries.log(message, { error: errorOf(error), slowRetries, delayMs }),
  );
  if (result === 'done') return id;
  throw new AppError(result === 'backlog-full' ? 'BACKLOG_FULL' : 'SENDER_MISSING');
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
