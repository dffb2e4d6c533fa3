import { AppError } from '../errors/app-error.ts';
import type { RedisClient } from './connection.ts';
import { LAYOUT_VERSION, shardPrefix } from './keys.ts';

/**
 * Keys of another version of this program must not be touched: their records would be misread. A new shard is marked.
 * @throws AppError `QUEUE_UNAVAILABLE` when the shard holds another layout
 */
export async function assertLayout(client: RedisClient, shard: number): Promise<void> {
  const key = `${shardPrefix(shard)}g`;
  // Read first: a full Redis refuses the write, and a program must be able to start on it to drain it.
  if ((await client.hget(key, 'layout')) === null) await client.hsetnx(key, 'layout', LAYOUT_VERSION);
  const found = Number(await client.hget(key, 'layout'));
  if (found === LAYOUT_VERSION) return;
  throw new AppError('QUEUE_UNAVAILABLE', {
    detail: `The queue was written by another version of Waxwing (layout ${found}, this one knows ${LAYOUT_VERSION}).`,
  });
}
