import type { RedisClient } from '../../../src/engine/connection.ts';
import { decodeStreamEntry } from '../../../src/engine/event-log.ts';
import { shardPrefix } from '../../../src/engine/keys.ts';
import type { AttemptReport, LifecycleEvent } from '../../../src/model/events.ts';

/** What the engine's own events say about one message. */
export interface MessageHistory {
  accepted: boolean;
  /** Times it was sent, by the engine's word. */
  sent: number;
  end: 'sent' | 'failed' | 'cancelled' | 'expired' | undefined;
  /** Waits for a person. */
  held: boolean;
  /** Times its attempt's outcome was lost. */
  unknown: number;
  deferred: number;
  /** Ids that the provider gave it; a second one proves a duplicate. */
  readonly providerIds: Set<string>;
  readonly reports: AttemptReport[];
}

const PAGE = 1000;

/** All events that nothing has recorded: a fault test runs without a recorder, so that is all there ever were. */
export async function readEvents(client: RedisClient, shards: number): Promise<LifecycleEvent[]> {
  const ofShards: LifecycleEvent[][] = [];
  for (let shard = 0; shard < shards; shard += 1) ofShards.push(await readShard(client, `${shardPrefix(shard)}ev`));
  return ofShards.flat();
}

async function readShard(client: RedisClient, key: string): Promise<LifecycleEvent[]> {
  const events: LifecycleEvent[] = [];
  for (let from = '-'; ;) {
    const reply = (await client.callBuffer('XRANGE', key, from, '+', 'COUNT', PAGE)) as [Buffer, Buffer[]][];
    for (const entry of reply) events.push(...decodeStreamEntry(entry).events);
    const last = reply.at(-1);
    if (last === undefined || reply.length < PAGE) return events;
    from = `(${last[0].toString('latin1')}`;
  }
}

export function historiesOf(events: readonly LifecycleEvent[]): Map<string, MessageHistory> {
  const histories = new Map<string, MessageHistory>();
  for (const event of events) {
    let history = histories.get(event.messageId);
    if (history === undefined) {
      history = {
        accepted: false,
        sent: 0,
        end: undefined,
        held: false,
        unknown: 0,
        deferred: 0,
        providerIds: new Set(),
        reports: [],
      };
      histories.set(event.messageId, history);
    }
    apply(event, history);
  }
  return histories;
}

function apply(event: LifecycleEvent, history: MessageHistory): void {
  if ('report' in event && event.report !== null) history.reports.push(event.report);
  switch (event.type) {
    case 'accepted':
      history.accepted = true;
      return;
    case 'unknown':
      if (event.waitMs === null) history.held = true;
      else history.unknown += 1;
      return;
    case 'deferred':
      history.deferred += 1;
      return;
    case 'status':
      history.providerIds.add(event.providerMessageId);
      return;
    case 'sent':
      history.providerIds.add(event.providerMessageId);
      history.sent += 1;
      history.held = false;
      history.end = 'sent';
      return;
    case 'failed':
    case 'cancelled':
    case 'expired':
      history.end = event.type;
      return;
    case 'queued':
    case 'retry':
      return;
  }
}
