import type { BenchRedis } from './redis.ts';

/** Ways to keep the idempotency keys of a shard's day, as the commands of one of them. The first is how `accept` does it. */
export const KEY_WAYS = {
  'one hash a day': `redis.call('HSET', '{wx:0}i:20000', key, use)`,
  'buckets of a day': `redis.call('HSET', '{wx:0}i:20000:' .. string.format('%04x', n % 65536), key, use)`,
  'a Redis key each': `redis.call('SET', '{wx:0}i:' .. key, use, 'PX', 172800000)`,
} as const;
export type KeyWay = keyof typeof KEY_WAYS;

const AT_ONCE = 10_000;

/** Keeps so many keys in this way, with keys and values as long as those of `accept`: 14 and 30 characters. */
export async function keepKeys({ admin }: Pick<BenchRedis, 'admin'>, way: KeyWay, count: number): Promise<void> {
  const script = `
    for n = ARGV[1] + 0, ARGV[2] - 1 do
      local digest = redis.sha1hex(n)
      local key, use = digest:sub(1, 14), digest:sub(1, 30)
      ${KEY_WAYS[way]}
    end`;
  for (let from = 0; from < count; from += AT_ONCE) {
    await admin.eval(script, 0, from, Math.min(count, from + AT_ONCE));
  }
}
