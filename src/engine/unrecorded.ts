import type { AcceptedEvent, LifecycleEvent } from '../model/events.ts';
import type { RedisClient } from './connection.ts';
import type { UnrecordedMessage } from './contract.ts';
import { decodeStreamEntry } from './event-log.ts';
import { entriesOf, unrecordedKey } from './unrecorded-index.ts';

/** The newest entries are looked through for what ended a message that is not recorded yet: bounds the look. */
const RECENT_ENTRIES = 300;

/** Reads a message that the recorder has not written yet from the events; null when it is recorded or unknown. */
export async function readUnrecorded(
  client: RedisClient,
  prefix: string,
  id: string,
): Promise<Omit<UnrecordedMessage, 'place'> | null> {
  const entryIds = entriesOf(await client.hgetall(unrecordedKey(prefix, id)), id);
  for (const entryId of entryIds) {
    const own = await range(client, 'XRANGE', prefix, entryId, entryId, 1);
    const accepted = own.find((event): event is AcceptedEvent => event.type === 'accepted' && event.messageId === id);
    if (accepted !== undefined) return await withItsEnd(client, prefix, accepted, entryId);
  }
  return null;
}

async function withItsEnd(
  client: RedisClient,
  prefix: string,
  accepted: AcceptedEvent,
  entryId: string,
): Promise<Omit<UnrecordedMessage, 'place'>> {
  const id = accepted.messageId;
  const recent = (await range(client, 'XREVRANGE', prefix, '+', entryId, RECENT_ENTRIES)).filter(
    (event) => event.messageId === id,
  );
  // One that came back after its end has none.
  const last = recent.find((event) => isEnd(event) || event.type === 'redriven');
  const ended = last === undefined || last.type === 'redriven' ? null : describeEnd(last);
  // A scheduled or deferred message that has joined its conversation stands under a number of that moment.
  const joined = recent.find((event) => event.type === 'queued');
  const seq = joined?.type === 'queued' ? joined.seq : accepted.seq;
  const attempts = Math.max(0, ...recent.map((event) => ('report' in event ? (event.report?.attempt ?? 0) : 0)));
  const { lane, contact, priority, sendAtMs, expiresAtMs, body } = accepted;
  return { id, lane, seq, contact, priority, sendAtMs, expiresAtMs, body, attempts, ended };
}

async function range(
  client: RedisClient,
  command: 'XRANGE' | 'XREVRANGE',
  prefix: string,
  from: string,
  to: string,
  count: number,
): Promise<LifecycleEvent[]> {
  const reply = await client.callBuffer(command, `${prefix}ev`, from, to, 'COUNT', count);
  return (reply as [Buffer, Buffer[]][]).flatMap((entry) => [...decodeStreamEntry(entry).events]);
}

function isEnd(event: LifecycleEvent): boolean {
  return event.type === 'sent' || event.type === 'failed' || event.type === 'cancelled' || event.type === 'expired';
}

function describeEnd(event: LifecycleEvent): UnrecordedMessage['ended'] {
  const base = { atMs: event.atMs, providerMessageId: null, error: null };
  switch (event.type) {
    case 'sent':
      return { ...base, status: 'sent', providerMessageId: event.providerMessageId };
    case 'failed':
      return { ...base, status: 'failed', error: event.error };
    case 'cancelled':
    case 'expired':
      return { ...base, status: event.type };
    default:
      return null;
  }
}
