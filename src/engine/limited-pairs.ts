import { mastersOf, type RedisClient } from './connection.ts';

const STEP = 2000;
/** Looked at per shard at most: on a huge queue the figure is a lower bound, and Redis is not held up for it. */
const STEPS_MAX = 500;

/**
 * Pairs with a key: a gap, a bucket or an attempt concerns them still, or their conversation has more that can go, or the
 * provider has limited them a minute ago.
 */
export async function countLimitedPairs(client: RedisClient, prefixes: readonly string[]): Promise<number> {
  let count = 0;
  for (const prefix of prefixes) {
    for (const node of mastersOf(client)) {
      let cursor = '0';
      for (let step = 0; step < STEPS_MAX; step += 1) {
        const [next, keys] = await node.scan(cursor, 'MATCH', `${prefix}p:*`, 'COUNT', STEP);
        count += keys.length;
        cursor = next;
        if (cursor === '0') break;
      }
    }
  }
  return count;
}
