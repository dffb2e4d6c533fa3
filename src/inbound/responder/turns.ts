import type { RedisClient } from '../../engine/connection.ts';

/** A message that waits for its answer. */
export interface Turn {
  readonly id: string;
  readonly tenant: string;
  readonly sender: string;
  readonly conversation: string;
  readonly seq: number;
}

/**
 * Whose turn it is in a conversation: its messages are answered one after the other, in the order in which they came,
 * whichever process has their jobs.
 */
export interface Turns {
  /** Before their jobs are added, so that a later message cannot find itself alone. Joining twice is joining once. */
  join(turns: readonly Turn[]): Promise<void>;
  /** The id of the first in line; null when nobody waits. */
  first(turn: Turn): Promise<string | null>;
  /** Leaves the line. @returns who is first now */
  leave(turn: Turn): Promise<string | null>;
}

/** A line in which nobody moved for so long is forgotten: its jobs are long gone. */
const LINE_MS = 2 * 86_400_000;

export function createTurns(client: Pick<RedisClient, 'call'>): Turns {
  // The hash tag of the job queues, which lie in the same Redis.
  const keyOf = ({ tenant, sender, conversation }: Turn) =>
    `{wx:jobs}:turns:${JSON.stringify([tenant, sender, conversation])}`;
  const head = async (key: string) => ((await client.call('ZRANGE', key, '0', '0')) as string[])[0] ?? null;
  return {
    async join(turns) {
      // Calls of one tick share a round trip.
      await Promise.all(
        turns.flatMap((turn) => [
          client.call('ZADD', keyOf(turn), String(turn.seq), turn.id),
          client.call('PEXPIRE', keyOf(turn), String(LINE_MS)),
        ]),
      );
    },
    first: (turn) => head(keyOf(turn)),
    async leave(turn) {
      await client.call('ZREM', keyOf(turn), turn.id);
      return await head(keyOf(turn));
    },
  };
}
