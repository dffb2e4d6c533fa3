import { DEAD_AFTER_MS } from './beat-watch.ts';
import type { RedisClient } from './connection.ts';
import { readPacingClock } from './pacing-clock.ts';

/**
 * Workers of a shard that beat of late, as one look can tell: what a killed one left stays until another takes it over.
 * For people only: whether work is taken from a worker is judged by a beat that stands still (`beat-watch.ts`).
 */
export async function readLiving(client: RedisClient, prefix: string): Promise<Set<string>> {
  const [beats, times, nowMs] = await Promise.all([
    client.hkeys(`${prefix}hb`),
    client.hgetall(`${prefix}bt`),
    readPacingClock(client, prefix),
  ]);
  return new Set(beats.filter((worker) => Number(times[worker] ?? nowMs) >= nowMs - DEAD_AFTER_MS));
}
