import { connectionOf, type RedisClient } from './connection.ts';
import type { Circuits, OpenCircuit } from './contract.ts';

/** Reads the circuits of one shard. What is stored is on the pacing clock: `g` tells how far that is from Redis's own. */
export async function readCircuits(client: RedisClient, prefix: string): Promise<Circuits> {
  const [stored, counted, offset, time] = await Promise.all([
    client.hgetall(`${prefix}cb`),
    client.hmget(`${prefix}n`, 'circuitOpened', 'circuitClosed'),
    client.hget(`${prefix}g`, 'off'),
    connectionOf(client, prefix).time(),
  ]);
  const [seconds = 0, microseconds = 0] = time.map(Number);
  const pacingNowMs = seconds * 1000 + Math.floor(microseconds / 1000) + Number(offset ?? 0);
  const open = Object.entries(stored).map(([sender, value]): OpenCircuit => {
    const [until = '', probe = ''] = value.split('|', 2);
    const waitMs = Number(until) - pacingNowMs;
    const state = probe !== '' || waitMs <= 0 ? 'half-open' : 'open';
    return { sender, state, untilMs: Date.now() + Math.max(0, waitMs) };
  });
  return { open, opened: Number(counted[0] ?? 0), closed: Number(counted[1] ?? 0) };
}
