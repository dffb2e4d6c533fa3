import type { ReturningMessage, RetryDesk, RetryResult } from '../engine/retry-desk.ts';
import { type MessageBody, templateKey } from '../model/message.ts';
import type { RecordedMessage, WaxwingRecord } from '../record/index.ts';
import { timeOfId } from '../util/ids.ts';

/** What bringing a message back needs. */
export interface ReturnPorts {
  readonly record: Pick<
    WaxwingRecord,
    'messages' | 'tenants' | 'senders' | 'failures' | 'deadLetters' | 'conversations'
  >;
  readonly retries: RetryDesk;
  /** Makes the engine know a sender again that it has lost. False = there is no such sender. */
  readonly prepareSender: (id: string) => Promise<boolean>;
}

/** The message as the engine takes it: the same id, the same body, after the attempts that it had. */
export async function returningMessage(ports: ReturnPorts, message: RecordedMessage): Promise<ReturningMessage> {
  const tenant = await ports.record.tenants.ensure(message.tenant);
  const { concurrency, weight, backlogMax } = tenant;
  return {
    ...targetOf(message),
    contact: message.contact,
    priority: message.priority,
    expiresAtMs: message.expiresAtMs,
    body: JSON.stringify(bodyOf(message)),
    // One that another program tried has no attempt on record; the next is not its first, and closes its failure.
    attempts: Math.max(1, message.attempts),
    tenantLimits: { concurrency, weight, backlogMax },
  };
}

/** How the retry desk finds a message. */
export function targetOf(message: RecordedMessage): Pick<ReturningMessage, 'id' | 'shard' | 'lane'> {
  const { id, shard, sender, tenant, conversation } = message;
  return { id, shard, lane: { sender, tenant, conversation } };
}

/** Runs a call to the retry desk; once more when the engine had to be told the sender first. */
export async function knowingSender(
  ports: ReturnPorts,
  sender: string,
  call: () => Promise<RetryResult>,
): Promise<RetryResult> {
  const result = await call();
  if (result !== 'unknown-sender' || !(await ports.prepareSender(sender))) return result;
  return await call();
}

function bodyOf(message: RecordedMessage): MessageBody {
  const { to, recipient, context, metadata, idempotencyKey } = message;
  const template = templateKey(message.type, message.content);
  return {
    ...(template === undefined ? {} : { template }),
    ...(to === null ? {} : { to }),
    ...(recipient === null ? {} : { recipient }),
    type: message.type,
    content: message.content,
    ...(context === null ? {} : { context }),
    ...(Object.keys(metadata).length === 0 ? {} : { metadata }),
    ...(timeOfId(message.id) === message.createdAtMs ? {} : { createdAtMs: message.createdAtMs }),
    ...(idempotencyKey === null ? {} : { idempotencyKey }),
  };
}
