import type { RedisClient } from '../engine/connection.ts';

/** Who wrote when. */
export interface UserMessage {
  readonly id: string;
  readonly sender: string;
  readonly contactId: string;
  readonly receivedAtMs: number;
}

/** Above how many messages of one person within a minute nobody answers any more. */
export interface UserLimit {
  /** For each message: is it within the limit. The same message asked again gets the same answer. */
  check(messages: readonly UserMessage[]): Promise<boolean[]>;
}

const WINDOW_MS = 60_000;
/** Messages that one call asks about: it holds Redis up for less than a millisecond. */
const MESSAGES_MAX = 100;

/**
 * The last minute's messages of a person, by their time of receipt. A message that was let in stays let in, so a job
 * that runs twice does not count twice; one that was not takes no place. One key, id and time per message.
 */
const SCRIPT = `
local limit, window, answers = tonumber(ARGV[1]), tonumber(ARGV[2]), {}
for i, key in ipairs(KEYS) do
  local id, at = ARGV[1 + 2 * i], tonumber(ARGV[2 + 2 * i])
  if redis.call('ZSCORE', key, id) then
    answers[i] = 1
  elseif redis.call('ZCOUNT', key, at - window + 1, at + window - 1) >= limit then
    answers[i] = 0
  else
    redis.call('ZADD', key, at, id)
    redis.call('ZREMRANGEBYSCORE', key, '-inf', at - 2 * window)
    redis.call('PEXPIRE', key, 2 * window)
    answers[i] = 1
  end
end
return answers`;

/**
 * @param perMinute INBOUND_USER_LIMIT_PER_MINUTE; 0 = no limit
 * @param onError Redis did not answer: everything is let in, because a limit must not silence anybody by mistake
 */
export function createUserLimit(
  client: Pick<RedisClient, 'call' | 'isCluster'>,
  perMinute: number,
  onError: (error: unknown) => void = () => undefined,
): UserLimit {
  // In a cluster every person may be on another node.
  const together = client.isCluster ? 1 : MESSAGES_MAX;

  async function ask(messages: readonly UserMessage[]): Promise<number[]> {
    const keys = messages.map(({ sender, contactId }) => `{wx:in:${sender}|${contactId}}`);
    const given = messages.flatMap(({ id, receivedAtMs }) => [id, String(receivedAtMs)]);
    const numbers = [String(perMinute), String(WINDOW_MS)];
    return (await client.call('EVAL', SCRIPT, String(keys.length), ...keys, ...numbers, ...given)) as number[];
  }

  return {
    async check(messages) {
      if (perMinute === 0) return messages.map(() => true);
      const calls: Promise<number[]>[] = [];
      // Calls of one tick share a round trip, and the order of the calls is kept.
      for (let from = 0; from < messages.length; from += together) {
        calls.push(ask(messages.slice(from, from + together)));
      }
      try {
        return (await Promise.all(calls)).flat().map((answer) => answer === 1);
      } catch (error) {
        onError(error);
        return messages.map(() => true);
      }
    },
  };
}
