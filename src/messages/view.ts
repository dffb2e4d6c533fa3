import { timeOfId } from '../util/ids.ts';
import type { UnrecordedMessage } from '../engine/contract.ts';
import type { Place } from '../engine/contract.ts';
import type { Hold, HoldKind, MessageBody, MessageError, MessageStatus } from '../model/message.ts';
import type { RecordedMessage } from '../record/types.ts';

/** The message object of the API. Times are ISO 8601 UTC. */
export interface MessageView {
  readonly id: string;
  readonly tenant: string;
  readonly conversation: string;
  readonly sender: string;
  readonly to: string | null;
  /** Business-scoped user id, when the message is addressed by one. */
  readonly recipient?: string;
  readonly type: string;
  readonly status: MessageStatus;
  readonly duplicate: boolean;
  readonly priority: number;
  /** Calls to the provider so far. */
  readonly attempts: number;
  readonly providerMessageId: string | null;
  readonly error: MessageError | null;
  readonly hold: { readonly kind: HoldKind; readonly until: string | null } | null;
  readonly createdAt: string;
  readonly sendAt: string | null;
  readonly expiresAt: string | null;
  readonly sentAt: string | null;
  readonly deliveredAt: string | null;
  readonly readAt: string | null;
  /** Sent for longer than STATUS_WATCHDOG_SECONDS, and no status has told anything since. */
  readonly statusOverdue: boolean;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly context?: { readonly message_id: string };
  /** The object named after `type`; absent in the answer to an accept. */
  readonly [content: string]: unknown;
}

export function isoOrNull(atMs: number | null): string | null {
  return atMs === null ? null : new Date(atMs).toISOString();
}

/** The engine tells how long a hold still lasts, so its end differs from read to read; a schedule's end is known. */
export function holdView(hold: Hold | null, sendAtMs: number | null): MessageView['hold'] {
  if (hold === null) return null;
  return { kind: hold.kind, until: isoOrNull(hold.kind === 'scheduled' ? (sendAtMs ?? hold.untilMs) : hold.untilMs) };
}

/** States that nothing of the engine changes any more. */
const SETTLED: ReadonlySet<MessageStatus> = new Set(['sent', 'delivered', 'read', 'cancelled', 'expired']);

export function isSettled(status: MessageStatus): boolean {
  return SETTLED.has(status) || status === 'failed';
}

export interface AcceptedFields {
  readonly id: string;
  readonly tenant: string;
  readonly sender: string;
  readonly conversation: string;
  readonly body: MessageBody;
  readonly priority: number;
  readonly sendAtMs: number | null;
  readonly expiresAtMs: number | null;
}

/** What an accept answers: known without asking anybody. */
export function acceptedView(fields: AcceptedFields, duplicate: boolean): MessageView {
  const { body } = fields;
  return {
    id: fields.id,
    tenant: fields.tenant,
    conversation: fields.conversation,
    sender: fields.sender,
    to: body.to ?? null,
    ...(body.recipient === undefined ? {} : { recipient: body.recipient }),
    type: body.type,
    status: fields.sendAtMs === null ? 'queued' : 'scheduled',
    duplicate,
    priority: fields.priority,
    attempts: 0,
    providerMessageId: null,
    error: null,
    hold: fields.sendAtMs === null ? null : { kind: 'scheduled', until: isoOrNull(fields.sendAtMs) },
    createdAt: new Date(body.createdAtMs ?? timeOfId(fields.id) ?? 0).toISOString(),
    sendAt: isoOrNull(fields.sendAtMs),
    expiresAt: isoOrNull(fields.expiresAtMs),
    sentAt: null,
    deliveredAt: null,
    readAt: null,
    statusOverdue: false,
    metadata: body.metadata ?? {},
  };
}

/** A message that the recorder has not written yet. */
export function unrecordedView(message: UnrecordedMessage): MessageView {
  const body = JSON.parse(message.body) as MessageBody;
  const { place, ended, lane } = message;
  return {
    ...acceptedView({ ...message, ...lane, body }, false),
    [body.type]: body.content,
    ...(body.context === undefined ? {} : { context: body.context }),
    status: ended?.status ?? place?.status ?? (message.sendAtMs === null ? 'queued' : 'scheduled'),
    // A message that was sent had an attempt, also when it is a status that tells of it.
    attempts: Math.max(message.attempts, place?.attempts ?? 0, ended?.status === 'sent' ? 1 : 0),
    providerMessageId: ended?.providerMessageId ?? null,
    error: ended?.error ?? null,
    hold: ended === null ? holdView(place?.hold ?? null, message.sendAtMs) : null,
    sentAt: ended?.status === 'sent' ? isoOrNull(ended.atMs) : null,
  };
}

/**
 * A message of the record, with the engine's word on where it stands right now.
 * @param place null when the engine does not hold it, or was not asked
 * @param silentSinceMs sent before this without a status since = overdue, epoch ms
 */
export function recordedView(
  message: RecordedMessage,
  place: Place | null = null,
  silentSinceMs = Number.NEGATIVE_INFINITY,
): MessageView {
  const current = SETTLED.has(message.status) ? null : place;
  return {
    id: message.id,
    tenant: message.tenant,
    conversation: message.conversation,
    sender: message.sender,
    to: message.to,
    ...(message.recipient === null ? {} : { recipient: message.recipient }),
    type: message.type,
    [message.type]: message.content,
    ...(message.context === null ? {} : { context: message.context }),
    status: current?.status ?? message.status,
    duplicate: false,
    priority: message.priority,
    attempts: Math.max(message.attempts, current?.attempts ?? 0),
    providerMessageId: message.providerMessageId,
    error: message.error,
    hold: holdView(current?.hold ?? null, message.sendAtMs),
    createdAt: new Date(message.createdAtMs).toISOString(),
    sendAt: isoOrNull(message.sendAtMs),
    expiresAt: isoOrNull(message.expiresAtMs),
    sentAt: isoOrNull(message.sentAtMs),
    deliveredAt: isoOrNull(message.deliveredAtMs),
    readAt: isoOrNull(message.readAtMs),
    statusOverdue:
      message.engineStatus === 'sent' &&
      message.deliveryStatus === null &&
      (message.sentAtMs ?? Infinity) < silentSinceMs,
    metadata: message.metadata,
  };
}
