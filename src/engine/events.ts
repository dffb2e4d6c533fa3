import type { AttemptReport, CircuitEvent, LifecycleEvent, RedrivenEvent, StatusEvent } from '../model/events.ts';
import type { MessageError } from '../model/message.ts';
import { openBody } from './body.ts';
import { unpackLane } from './lane.ts';

/** What a settlement writes into its event, as JSON. */
export interface SettleDetail {
  readonly report: AttemptReport | null;
  readonly providerMessageId?: string;
  readonly delayMs?: number;
  readonly waitMs?: number | null;
  readonly error?: MessageError;
  readonly slowRetries?: number;
  readonly asked?: boolean;
  readonly closedBy?: string;
}

/** What a message that comes back writes into its event, as JSON. */
export interface RedriveDetail {
  readonly cause: RedrivenEvent['cause'];
  readonly by: string;
  readonly delayMs: number;
}

/** What an administrative cancel writes into its events, as JSON; a cancel by id writes nothing. */
export interface CancelDetail {
  readonly by: string;
}

/** What a circuit breaker writes into its event, as JSON. */
type CircuitDetail = Pick<CircuitEvent, 'state' | 'untilMs' | 'reason'>;

/** What a provider status writes into its event, as JSON. */
export type StatusDetail = Pick<
  StatusEvent,
  'providerMessageId' | 'status' | 'providerAtMs' | 'error' | 'laterRetry' | 'isTimeOurs' | 'more'
>;

/**
 * Decodes the flat fields of one entry of the events stream: `t`, atMs, then in pairs kind and text, as `event()`,
 * `tell()` and `finish()` write them (`lua/includes/base.lua`).
 * @returns the events, and what could not be read (a damaged body, an unknown kind) as sentences without content
 */
export function decodeEvents(fields: readonly Buffer[]): { events: LifecycleEvent[]; damaged: string[] } {
  const events: LifecycleEvent[] = [];
  const damaged: string[] = [];
  const atMs = fields[0]?.toString('latin1') === 't' ? Number(fields[1]?.toString('latin1')) : Number.NaN;
  if (!Number.isFinite(atMs)) return { events, damaged: ['an entry without its time, which the engine did not write'] };
  for (let i = 2; i + 1 < fields.length; i += 2) {
    const [kind, value] = [fields[i], fields[i + 1]];
    if (kind === undefined || value === undefined) continue;
    try {
      events.push(decodeEvent(atMs, kind.toString('utf8'), value));
    } catch (error) {
      damaged.push(error instanceof Error ? error.message : 'unreadable event');
    }
  }
  return { events, damaged };
}

function decodeEvent(atMs: number, kind: string, value: Buffer): LifecycleEvent {
  if (kind.startsWith('A')) return { atMs, type: 'accepted', ...decodeAccepted(kind.slice(1), value) };
  const [messageId, text] = splitFirst(value, 1);
  const base = { atMs, messageId };
  switch (kind) {
    case 'Q':
      return { ...base, type: 'queued', seq: Number(text.toString()) };
    case 'C':
      return {
        ...base,
        type: 'cancelled',
        ...(text.length === 0 ? {} : (JSON.parse(text.toString()) as CancelDetail)),
      };
    case 'X':
      return { ...base, type: 'expired' };
    case 'B':
      return { ...base, type: 'circuit', ...(JSON.parse(text.toString()) as CircuitDetail) };
    case 'T':
      return { ...base, type: 'status', ...(JSON.parse(text.toString()) as StatusDetail) };
    case 'V':
      return { ...base, type: 'redriven', ...(JSON.parse(text.toString()) as RedriveDetail) };
    default:
      return decodeSettled(kind, base, JSON.parse(text.toString()) as SettleDetail);
  }
}

function decodeSettled(kind: string, base: { atMs: number; messageId: string }, detail: SettleDetail): LifecycleEvent {
  const { report } = detail;
  const retries = detail.slowRetries === undefined ? {} : { slowRetries: detail.slowRetries };
  switch (kind) {
    case 'S':
      return { ...base, type: 'sent', providerMessageId: detail.providerMessageId ?? '', ...retries, report };
    case 'R':
      return { ...base, type: 'retry', delayMs: detail.delayMs ?? 0, report };
    case 'D':
      return {
        ...base,
        type: 'deferred',
        delayMs: detail.delayMs ?? 0,
        ...retries,
        ...(detail.asked === true ? { asked: true } : {}),
        ...(detail.error === undefined ? {} : { error: detail.error }),
        report,
      };
    case 'U':
      return { ...base, type: 'unknown', waitMs: detail.waitMs ?? null, report };
    case 'F':
      if (detail.error === undefined) throw new Error('failed event without its error');
      return {
        ...base,
        type: 'failed',
        error: detail.error,
        ...retries,
        ...(detail.closedBy === undefined ? {} : { closedBy: detail.closedBy }),
        report,
      };
    default:
      throw new Error(`unknown event kind ${kind}`);
  }
}

/** @param place `<sendAtMs or nothing>|<lane>` @param element as it stands in its lane */
function decodeAccepted(place: string, element: Buffer) {
  const [seq, priority, expires, messageId, , contact, sealed] = splitFirst(element, 6);
  const body = openBody(messageId, sealed.toString('utf8'));
  if (body === null) throw new Error(`the stored body of message ${messageId} does not match its checksum`);
  const laneAt = place.indexOf('|') + 1;
  const sendAt = place.slice(0, laneAt - 1);
  return {
    messageId,
    seq: Number(seq),
    priority: Number(priority),
    sendAtMs: sendAt === '' ? null : Number(sendAt),
    expiresAtMs: expires === '' ? null : Number(expires),
    contact,
    lane: unpackLane(place.slice(laneAt)),
    body,
  };
}

/** Splits off `count` fields at `|`; what is left stays bytes, because it may hold anything. */
function splitFirst(value: Buffer, count: 1): [string, Buffer];
function splitFirst(value: Buffer, count: 6): [string, string, string, string, string, string, Buffer];
function splitFirst(value: Buffer, count: number): (string | Buffer)[] {
  const parts: (string | Buffer)[] = [];
  let from = 0;
  for (let n = 0; n < count; n += 1) {
    const at = value.indexOf(0x7c, from);
    const end = at === -1 ? value.length : at;
    parts.push(value.toString('utf8', from, end));
    from = Math.min(end + 1, value.length);
  }
  parts.push(value.subarray(from));
  return parts;
}
