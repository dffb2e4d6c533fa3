import { shardPrefix, WORKER_GROUP } from './keys.ts';
import type { ScriptRunner } from './script-runner.ts';

/** What XAUTOCLAIM with JUSTID answers. */
export interface AutoClaim {
  /** Where to go on; `0-0` = everything was looked at. */
  readonly cursor: string;
  readonly ids: readonly string[];
  /** Entries that were pending but no longer in the stream; empty before Redis 7. */
  readonly deleted: readonly string[];
}

/** Reads the answer of Redis 6.2 (cursor, ids) and of 7 and later (cursor, ids, deleted ids). */
export function parseAutoClaim(reply: unknown): AutoClaim {
  if (!Array.isArray(reply) || reply.length < 2) throw new TypeError('XAUTOCLAIM answered in an unknown form');
  const [cursor, ids, deleted = []] = reply as [unknown, unknown, unknown?];
  const list = (value: unknown): string[] => (Array.isArray(value) ? value.flatMap(idOf) : []);
  return { cursor: String(cursor), ids: list(ids), deleted: list(deleted) };
}

/** An id alone (JUSTID), an entry `[id, fields]`, or the null that Redis 6.2 puts in place of a deleted entry. */
function idOf(value: unknown): string[] {
  if (value === null) return [];
  return [String(Array.isArray(value) ? value[0] : value)];
}

const BATCH = 32;

/**
 * Looks for entries that nobody renewed for `idleMs` (WA_STREAM_CLAIM_IDLE_MS): the longest bound, behind heartbeats
 * and start-by. Leftovers without a lease are removed; the others go back to their holder, whose heartbeat decides.
 * One batch per call: what is left comes with the next.
 */
export async function sweepClaims(
  runner: ScriptRunner,
  shard: number,
  worker: string,
  idleMs: number,
): Promise<{ removed: number; returned: number }> {
  const stream = `${shardPrefix(shard)}out`;
  const reply = await runner.client.call(
    'XAUTOCLAIM',
    stream,
    WORKER_GROUP,
    worker,
    idleMs,
    '0-0',
    'COUNT',
    BATCH,
    'JUSTID',
  );
  const { ids } = parseAutoClaim(reply);
  if (ids.length === 0) return { removed: 0, returned: 0 };
  const [, removed, returned] = (await runner.run('sweep', shard, [worker, ...ids])) as [number, number, number];
  return { removed, returned };
}
