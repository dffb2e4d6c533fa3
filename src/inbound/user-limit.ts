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

/**
 * The last minute's messages of a person, by their time of receipt. A message that was let in stays let in, so a job
 * that runs twice does not count twice; one that was not takes no place.
 */
const SCRIPT = `
local key, id, at, limit, window = KEYS[1], ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
if redis.call('ZSCORE', key, id) then return 1 end
if redis.call('ZCOUNT', key, at - window + 1, at + window - 1) >= limit then return 0 end
redis.call('ZADD', key, at, id)
redis.call('ZREMRANGEBYSCORE', key, '-inf', at - 2 * window)
redis.call('PEXPIRE', key, 2 * window)
return 1`;

/**
 * @param perMinute INBOUND_USER_LIMIT_PER_MINUTE; 0 = no limit
 * @param onError Redis did not answer: everything is let in, because a limit must not silence anybody by mistake
 */
export function createUserLimit(
  client: Pick<RedisClient, 'call'>,
  perMinute: number,
  onError: (error: unknown) => void = () => undefined,
): UserLimit {
  return {
    async check(messages) {
      if (perMinute === 0) return messages.map(() => true);
      try {
        // Calls of one tick share a round trip, and the order of the calls is kept.
        const answers = await Promise.all(
          messages.map(({ id, sender, contactId, receivedAtMs }) =>
            client.call(
              'EVAL',
              SCRIPT,
              '1',
              `{wx:in:${sender}|${contactId}}`,
              id,
              String(receivedAtMs),
              String(perMinute),
              String(WINDOW_MS),
            ),
          ),
        );
        return answers.map((answer) => answer === 1);
      } catch (error) {
        onError(error);
        return messages.map(() => true);
      }
    },
  };
}
