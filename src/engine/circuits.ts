import type { RedisClient } from './connection.ts';
import type { Circuits, OpenCircuit } from './contract.ts';
import { readPacingClock } from './pacing-clock.ts';

/** Reads the circuits of one shard. What is stored is on the pacing clock. */
export async function readCircuits(client: RedisClient, prefix: string): Promise<Circuits> {
  const [stored, counted, pacingNowMs] = await Promise.all([
    client.hgetall(`${prefix}cb`),
    client.hmget(`${prefix}n`, 'circuitOpened', 'circuitClosed'),
    readPacingClock(client, prefix),
  ]);
  const open = Object.entries(stored).map(([sender, value]): OpenCircuit => {
    const [until = '', probe = ''] = value.split('|', 2);
    const waitMs = Number(until) - pacingNowMs;
    const state = probe !== '' || waitMs <= 0 ? 'half-open' : 'open';
    return { sender, state, untilMs: Date.now() + Math.max(0, waitMs) };
  });
  return { open, opened: Number(counted[0] ?? 0), closed: Number(counted[1] ?? 0) };
}

export function joinCircuits(shards: readonly Circuits[]): Circuits {
  return {
    open: shards.flatMap(({ open }) => open),
    opened: shards.reduce((sum, { opened }) => sum + opened, 0),
    closed: shards.reduce((sum, { closed }) => sum + closed, 0),
  };
}
