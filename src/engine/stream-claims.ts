import { setTimeout as delay } from 'node:timers/promises';
import type { RedisClient } from './connection.ts';
import { shardPrefix, WORKER_GROUP } from './keys.ts';
import { parseConsumers } from './stream-info.ts';

/** As whom a person's call looks at entries; no worker. */
const SWEEPER = 'waxwing-administration';

export interface ClaimOptions {
  readonly client: RedisClient;
  readonly shard: number;
  /** Takes over what one worker holds, guarded by the beat that was seen last. */
  readonly reclaim: (shard: number, worker: string, beat: string) => Promise<{ entries: number; isGone: boolean }>;
  /** Removes entries that nobody needs any more. */
  readonly sweep: (shard: number, worker: string) => Promise<{ removed: number }>;
  readonly deadAfterMs: number;
}

export interface ClaimResult {
  readonly claimed: number;
  readonly removed: number;
  readonly workers: readonly string[];
}

/**
 * Looks for workers whose heart stands still, on this process's own clock, and takes over what they hold. With nobody
 * under suspicion it answers at once.
 */
export async function sweepAll({ client, shard, reclaim, sweep, deadAfterMs }: ClaimOptions): Promise<ClaimResult> {
  const prefix = shardPrefix(shard);
  const consumers = async () => {
    const reply = await client.call('XINFO', 'CONSUMERS', `${prefix}out`, WORKER_GROUP).catch(() => []);
    return parseConsumers(reply);
  };
  const { removed } = await sweep(shard, SWEEPER);
  // It has no heart that others could see stand still: without this it would stay among the consumers for ever.
  await reclaim(shard, SWEEPER, '');
  const before = await client.hgetall(`${prefix}hb`);
  // A worker that holds nothing and one that is new are no suspects; who has no beat at all is dead already.
  const holders = (await consumers()).filter(({ pending }) => pending > 0).map(({ name }) => name);
  if (holders.some((name) => before[name] !== undefined)) await delay(deadAfterMs);
  const after = await client.hgetall(`${prefix}hb`);
  let claimed = 0;
  const workers: string[] = [];
  for (const worker of holders) {
    const beat = before[worker] ?? '';
    if ((after[worker] ?? '') !== beat) continue;
    workers.push(worker);
    for (;;) {
      const { entries, isGone } = await reclaim(shard, worker, beat);
      if (entries < 0) break; // it lives after all
      claimed += entries;
      if (isGone) break;
    }
  }
  return { claimed, removed, workers: claimed === 0 ? [] : workers };
}
