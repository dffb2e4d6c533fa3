import { isId, timeOfId } from '../../util/ids.ts';
import type {
  AcceptedEvent,
  AttemptReport,
  CircuitEvent,
  EventEntry,
  LifecycleEvent,
  MessageEvent,
  StatusEvent,
} from '../../model/events.ts';
import { instant } from './instant.ts';
import type { MessageBody } from '../../model/message.ts';

import type { AliasKind, EngineStatus } from '../types.ts';
import { failureStepOf, type FailureStep } from './failure-step.ts';
import { storableJson, storableText } from './storable.ts';

/** Where an event stands in its shard's log: the key that makes recording it twice harmless. */
export interface Position {
  readonly shard: number;
  readonly entryMs: number;
  readonly entrySeq: number;
  readonly entryIndex: number;
}

export interface LoggedEvent {
  readonly position: Position;
  readonly event: LifecycleEvent;
}

/** Columns of a message that the accepted event sets for good. */
export interface AcceptedColumns {
  readonly tenant: string;
  readonly sender: string;
  readonly conversation: string;
  readonly alias: string;
  readonly aliasKind: AliasKind;
  readonly to_address: string | null;
  readonly recipient: string | null;
  readonly type: string;
  readonly content: string;
  readonly context: string | null;
  readonly metadata: string | null;
  readonly priority: number;
  readonly seq: number;
  readonly idempotency_key: string | null;
  readonly send_at: string | null;
  readonly expires_at: string | null;
  readonly created_at: string;
}

/** What an engine event changes in its message; a field that is missing stays as it was. */
export interface Change {
  readonly engineStatus: EngineStatus;
  readonly attempts?: number;
  readonly seq?: number;
  readonly providerMessageId?: string;
  readonly sentAt?: string;
  readonly failedAt: string | null;
  /** JSON; null takes an earlier error away. */
  readonly error?: string | null;
  /** A person must decide: nobody knows whether it was sent. */
  readonly held?: boolean;
}

export interface AttemptColumns {
  readonly message_id: string;
  readonly attempt: number;
  readonly worker: string;
  readonly started_at: string;
  readonly ended_at: string;
  readonly outcome: string;
  readonly http_status: number | null;
  readonly error: string | null;
}

export interface EngineStep {
  readonly kind: 'engine';
  readonly logged: LoggedEvent;
  readonly messageId: string;
  readonly at: string;
  readonly event: string;
  readonly detail: string;
  readonly accepted: AcceptedColumns | null;
  readonly change: Change;
  readonly attempt: AttemptColumns | null;
  readonly providerMessageId: string | null;
  readonly failure: FailureStep | null;
}

export interface StatusStep {
  readonly kind: 'status';
  readonly logged: LoggedEvent;
  readonly messageId: string | null;
  readonly providerMessageId: string;
  readonly status: string;
  readonly providerAt: string;
  readonly error: string | null;
  readonly laterRetry: string | null;
  readonly isTimeOurs: boolean;
  readonly more: string | null;
}

/** What happened to a sender as a whole; belongs to no message. */
export interface SenderStep {
  readonly kind: 'sender';
  readonly logged: LoggedEvent;
  readonly sender: string;
  readonly at: string;
  readonly event: string;
  readonly detail: string;
}

export type Step = EngineStep | StatusStep | SenderStep;

/** All events of some entries, each with its place, in the order of the log. */
export function flatten(shard: number, entries: readonly EventEntry[]): LoggedEvent[] {
  return entries.flatMap((entry) =>
    entry.events.map((event, index) => ({ position: positionOf(shard, entry.id, index), event })),
  );
}

/** @param entryId stream id, `<ms>-<n>` */
export function positionOf(shard: number, entryId: string, entryIndex: number): Position {
  const [ms, seq] = entryId.split('-');
  return { shard, entryMs: whole(Number(ms)), entrySeq: whole(Number(seq ?? '0')), entryIndex };
}

/**
 * Turns an event into the values that the statements take.
 * @throws TypeError, RangeError or SyntaxError for an event that no version of ours can have meant
 */
export function prepare(logged: LoggedEvent): Step {
  const { event } = logged;
  if (event.type === 'status') return prepareStatus(logged, event);
  if (event.type === 'circuit') return prepareCircuit(logged, event);
  if (!isId(event.messageId)) throw new TypeError('messageId is not an id');
  const report = 'report' in event ? event.report : null;
  const accepted = event.type === 'accepted' ? acceptedColumns(event) : null;
  const providerMessageId = event.type === 'sent' ? text(event.providerMessageId, 'providerMessageId') : null;
  return {
    kind: 'engine',
    logged,
    messageId: event.messageId,
    at: instant(event.atMs),
    event: event.type,
    detail: storableJson(detailOf(event)),
    accepted,
    change: changeOf(event),
    attempt: report === null ? null : attemptColumns(event.messageId, report),
    providerMessageId,
    failure: failureStepOf(event),
  };
}

function prepareStatus(logged: LoggedEvent, event: StatusEvent): StatusStep {
  return {
    kind: 'status',
    logged,
    // Also a tag of ours may be from another installation with the same key: then the provider's id must match.
    messageId: isId(event.messageId) ? event.messageId : null,
    providerMessageId: text(event.providerMessageId, 'providerMessageId'),
    status: text(event.status, 'status').toLowerCase(),
    providerAt: instant(event.providerAtMs),
    error: event.error === null ? null : storableJson(event.error),
    laterRetry: event.laterRetry === undefined ? null : storableJson(event.laterRetry),
    isTimeOurs: event.isTimeOurs === true,
    more: event.more === undefined ? null : storableJson(event.more),
  };
}

function prepareCircuit(logged: LoggedEvent, event: CircuitEvent): SenderStep {
  const { state, untilMs, reason } = event;
  const detail = { until: untilMs === null ? null : instant(untilMs), reason };
  return {
    kind: 'sender',
    logged,
    sender: text(event.messageId, 'sender'),
    at: instant(event.atMs),
    event: `circuit-${state}`,
    detail: storableJson(detail),
  };
}

function acceptedColumns(event: AcceptedEvent): AcceptedColumns {
  const body = JSON.parse(event.body) as Partial<MessageBody>;
  const contact = text(event.contact, 'contact');
  return {
    tenant: text(event.lane.tenant, 'lane.tenant'),
    sender: text(event.lane.sender, 'lane.sender'),
    conversation: text(event.lane.conversation, 'lane.conversation'),
    alias: contact,
    aliasKind: aliasKind(contact, body),
    to_address: optionalText(body.to, 'body.to'),
    recipient: optionalText(body.recipient, 'body.recipient'),
    type: text(body.type, 'body.type'),
    content: storableJson(body.content),
    context: body.context === undefined ? null : storableJson(body.context),
    metadata: body.metadata === undefined ? null : storableJson(body.metadata),
    priority: whole(event.priority),
    seq: whole(event.seq),
    idempotency_key: optionalText(body.idempotencyKey, 'body.idempotencyKey'),
    send_at: event.sendAtMs === null ? null : instant(event.sendAtMs),
    expires_at: event.expiresAtMs === null ? null : instant(event.expiresAtMs),
    created_at: instant(body.createdAtMs ?? timeOfId(event.messageId) ?? event.atMs),
  };
}

/** A canonical recipient is a phone number with its `+`, the user id that the caller gave, or a bare wa_id. */
function aliasKind(contact: string, body: Partial<MessageBody>): AliasKind {
  if (contact.startsWith('+')) return 'e164';
  return contact === body.recipient || body.to === undefined ? 'user_id' : 'wa_id';
}

function changeOf(event: MessageEvent): Change {
  const counted = 'report' in event && event.report !== null ? { attempts: whole(event.report.attempt) } : {};
  const error = ('report' in event ? event.report?.error : undefined) ?? ('error' in event ? event.error : undefined);
  const reported = error === undefined ? {} : { error: storableJson(error) };
  switch (event.type) {
    case 'accepted': {
      const later = event.sendAtMs !== null && event.sendAtMs > event.atMs;
      return { engineStatus: later ? 'scheduled' : 'queued', failedAt: null };
    }
    case 'queued':
      return { engineStatus: 'queued', seq: whole(event.seq), failedAt: null };
    case 'sent':
      return {
        engineStatus: 'sent',
        ...counted,
        providerMessageId: storableText(event.providerMessageId),
        sentAt: instant(event.atMs),
        failedAt: null,
        error: null,
      };
    case 'retry':
      return { engineStatus: 'queued', ...counted, ...reported, failedAt: null };
    case 'deferred':
      return { engineStatus: 'deferred', ...counted, ...reported, failedAt: null };
    case 'unknown':
      return { engineStatus: 'unknown', ...counted, ...reported, failedAt: null, held: event.waitMs === null };
    case 'failed':
      return { engineStatus: 'failed', ...counted, failedAt: instant(event.atMs), error: storableJson(event.error) };
    case 'redriven':
      return { engineStatus: 'deferred', failedAt: null };
    case 'cancelled':
      return { engineStatus: 'cancelled', failedAt: null };
    case 'expired':
      return { engineStatus: 'expired', failedAt: null };
    default:
      throw new TypeError(`event type ${String((event as { type: unknown }).type)} is not known`);
  }
}

/** What the timeline shows beside the event's name. Never the message's text or its recipient. */
function detailOf(event: MessageEvent): Record<string, unknown> {
  const attempt =
    'report' in event && event.report !== null
      ? {
          attempt: event.report.attempt,
          worker: event.report.worker,
          outcome: event.report.outcome,
          httpStatus: event.report.httpStatus ?? null,
          durationMs: event.report.endedAtMs - event.report.startedAtMs,
          error: event.report.error ?? null,
        }
      : {};
  switch (event.type) {
    case 'accepted':
      return { priority: event.priority, sendAtMs: event.sendAtMs, expiresAtMs: event.expiresAtMs };
    case 'sent':
      return { ...attempt, providerMessageId: event.providerMessageId };
    case 'retry':
    case 'deferred':
      return { ...attempt, delayMs: event.delayMs };
    case 'unknown':
      return { ...attempt, waitMs: event.waitMs };
    case 'failed':
      return {
        ...attempt,
        error: event.error,
        ...(event.closedBy === undefined ? {} : { closedBy: event.closedBy }),
      };
    case 'redriven':
      return { cause: event.cause, by: event.by, delayMs: event.delayMs };
    case 'cancelled':
      return event.by === undefined ? {} : { by: event.by };
    case 'queued':
    case 'expired':
      return {};
  }
}

function attemptColumns(messageId: string, report: AttemptReport): AttemptColumns {
  return {
    message_id: messageId,
    attempt: whole(report.attempt),
    worker: text(report.worker, 'report.worker'),
    started_at: instant(report.startedAtMs),
    ended_at: instant(report.endedAtMs),
    outcome: report.outcome,
    http_status: report.httpStatus ?? null,
    error: report.error === undefined ? null : storableJson(report.error),
  };
}

function whole(value: number): number {
  if (!Number.isSafeInteger(value)) throw new TypeError('a number is not whole');
  return value;
}

function text(value: unknown, field: string): string {
  if (typeof value !== 'string' || value === '') throw new TypeError(`${field} is not a text`);
  return storableText(value);
}

function optionalText(value: unknown, field: string): string | null {
  return value === undefined || value === null ? null : text(value, field);
}
