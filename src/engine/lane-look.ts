import type { Lane } from '../model/message.ts';
import type { RedisClient } from './connection.ts';
import { packLane } from './lane.ts';
import { readPacingClock } from './pacing-clock.ts';

/** What somebody who sends past the queue must know of it. */
export interface LaneLook {
  /** Messages of the conversation that are queued or in flight. */
  readonly waiting: number;
  /** How long the pair is still closed after the queue's last attempt, ms; 0 = open. */
  readonly pairFreeInMs: number;
}

/** Reads beside the scripts: only a hint for the pair, exact for the conversation. */
export async function lookAtLane(client: RedisClient, prefix: string, lane: Lane, contact: string): Promise<LaneLook> {
  const [waiting, pair, nowMs] = await Promise.all([
    client.llen(`${prefix}c:${packLane(lane)}`),
    client.getBuffer(`${prefix}p:${lane.sender}|${contact}`),
    readPacingClock(client, prefix),
  ]);
  // Busy: another conversation's attempt to this contact is on its way; its gap is not known yet. See `pair.lua`.
  const nextMs = pair === null ? 0 : pair.readDoubleLE(1);
  const pairFreeInMs = Math.max(0, nextMs - nowMs);
  return { waiting, pairFreeInMs };
}
