import type {
  AcceptedEvent,
  AttemptReport,
  LifecycleEvent,
  SentEvent,
  StatusEvent,
} from '../../../src/model/events.ts';
import type { MessageBody, MessageError } from '../../../src/model/message.ts';
import { newId } from '../../../src/util/ids.ts';

export const BASE_MS = 1_760_000_000_000;

let seq = 0;

export const ERROR: MessageError = {
  code: 'PROVIDER_REJECTED',
  providerCode: '131026',
  title: 'Message undeliverable',
  detail: 'The recipient cannot be reached.',
  retryable: false,
};

export interface AcceptedOptions {
  readonly messageId?: string;
  readonly tenant?: string;
  readonly sender?: string;
  readonly conversation?: string;
  readonly contact?: string;
  readonly atMs?: number;
  readonly sendAtMs?: number;
  readonly body?: Partial<MessageBody>;
}

export function accepted(options: AcceptedOptions = {}): AcceptedEvent {
  const atMs = options.atMs ?? BASE_MS;
  const contact = options.contact ?? '+966500000001';
  const body: MessageBody = {
    to: contact,
    type: 'text',
    content: { body: 'Hello' },
    createdAtMs: atMs,
    ...options.body,
  };
  return {
    type: 'accepted',
    messageId: options.messageId ?? newId(),
    atMs,
    lane: {
      sender: options.sender ?? 'default',
      tenant: options.tenant ?? 'salon1',
      conversation: options.conversation ?? 'c1',
    },
    seq: ++seq,
    contact,
    priority: 5,
    sendAtMs: options.sendAtMs ?? null,
    expiresAtMs: null,
    body: JSON.stringify(body),
  };
}

export function report(attempt: number, outcome: AttemptReport['outcome'], error?: MessageError): AttemptReport {
  return {
    attempt,
    worker: 'worker-1',
    startedAtMs: BASE_MS + attempt * 100,
    endedAtMs: BASE_MS + attempt * 100 + 40,
    outcome,
    ...(outcome === 'sent' || outcome === 'rejected' ? { httpStatus: outcome === 'sent' ? 200 : 400 } : {}),
    ...(error === undefined ? {} : { error }),
  };
}

export function sent(messageId: string, providerMessageId: string, attempt = 1, atMs = BASE_MS + 500): SentEvent {
  return { type: 'sent', messageId, atMs, providerMessageId, report: report(attempt, 'sent') };
}

export function status(
  providerMessageId: string,
  word: string,
  providerAtMs: number,
  options: { readonly messageId?: string; readonly error?: MessageError } = {},
): StatusEvent {
  return {
    type: 'status',
    messageId: options.messageId ?? '',
    atMs: providerAtMs + 300,
    providerMessageId,
    status: word,
    providerAtMs,
    error: options.error ?? null,
  };
}

export function failed(messageId: string, attempt = 1, atMs = BASE_MS + 600): LifecycleEvent {
  return { type: 'failed', messageId, atMs, error: ERROR, report: report(attempt, 'rejected', ERROR) };
}
