import { mastersOf, type RedisClient } from '../engine/connection.ts';
import { shardPrefix } from '../engine/keys.ts';
import type { WaxwingRecord } from '../record/index.ts';
import type { Finding } from './finding.ts';

const ASKED_AT_ONCE = 1000;
const NAMED_MAX = 20;
/** Place of the id in a conversation's entry; see `keys.ts`. */
const ID_FIELD = 3;

/**
 * Messages that wait in the queue although the record has them as sent: the queue is older than the record, as after a
 * restore of its backup. Workers would send them again.
 */
export async function findSentButQueued(
  client: RedisClient,
  shards: number,
  record: Pick<WaxwingRecord, 'totals'>,
): Promise<Finding[]> {
  const sent: string[] = [];
  for (let shard = 0; shard < shards; shard += 1) {
    let batch: string[] = [];
    const ask = async () => {
      if (batch.length > 0) sent.push(...(await record.totals.sentOf(batch)));
      batch = [];
    };
    for await (const id of waitingIds(client, shardPrefix(shard))) {
      batch.push(id);
      if (batch.length >= ASKED_AT_ONCE) await ask();
    }
    await ask();
  }
  if (sent.length === 0) return [];
  const more = sent.length > NAMED_MAX ? ', …' : '';
  return [
    {
      severity: 'finding',
      about: 'queue older than the record',
      detail:
        `${sent.length} messages wait that the record has as sent, and would be sent again ` +
        `(${sent.slice(0, NAMED_MAX).join(', ')}${more}): cancel them before workers start, or let them go; see docs/backup.md`,
      messageIds: sent,
    },
  ];
}

async function* waitingIds(client: RedisClient, prefix: string): AsyncGenerator<string> {
  for (const master of mastersOf(client)) {
    let cursor = '0';
    do {
      const [next, keys] = await master.scan(cursor, 'MATCH', `${prefix}c:*`, 'COUNT', 1000);
      cursor = next;
      for (const key of keys) {
        for (const entry of await client.lrange(key, 0, -1)) yield entry.split('|', ID_FIELD + 1)[ID_FIELD] ?? '';
      }
    } while (cursor !== '0');
  }
  yield* await client.hkeys(`${prefix}sch`);
}
