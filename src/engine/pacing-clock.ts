import { connectionOf, type RedisClient } from './connection.ts';

/** The pacing clock of a shard beside its scripts, ms: Redis's own, moved by what it lost in steps back. See `base.lua`. */
export async function readPacingClock(client: RedisClient, prefix: string): Promise<number> {
  const [offset, time] = await Promise.all([client.hget(`${prefix}g`, 'off'), connectionOf(client, prefix).time()]);
  const [seconds = 0, microseconds = 0] = time.map(Number);
  return seconds * 1000 + Math.floor(microseconds / 1000) + Number(offset ?? 0);
}
