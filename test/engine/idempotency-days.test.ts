import { Redis } from 'ioredis';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { AcceptResult } from '../../src/engine/contract.ts';
import { RedisSendQueue } from '../../src/engine/queue.ts';
import { newId } from '../../src/util/ids.ts';
import { testRedis } from '../support/services.ts';
import { FREE_SENDER, message } from './support/bench.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const TEN_IN_THE_MORNING = Date.UTC(2027, 0, 4, 10);
const DAY = Math.floor(TEN_IN_THE_MORNING / DAY_MS);

let wallMs: number;
let queue: RedisSendQueue;
let client: Redis;
beforeEach(async () => {
  const redis = await testRedis();
  client = new Redis(redis.url);
  await client.flushall();
  wallMs = TEN_IN_THE_MORNING;
  queue = new RedisSendQueue({ redis: { url: redis.url, db: 0 }, shards: 1, clock: () => wallMs });
  await queue.connect();
  await queue.configureSender(FREE_SENDER);
});
afterEach(() => {
  queue.close();
  client.disconnect();
});

const accept = (key: string): Promise<AcceptResult> => queue.accept(message({ key, id: newId(wallMs) }));
const kinds = async (...keys: string[]) => (await Promise.all(keys.map(accept))).map(({ kind }) => kind);
const beat = () => queue.runner.run('beat', 0, ['w', 100, 0]);
const days = async () => (await client.keys('{wx:0}i:*')).sort();

describe('Idempotency keys of a day', () => {
  it('R6 · a key is known for 24 hours to the millisecond, over midnight, and free again after them', async () => {
    const { id } = (await accept('k')) as { id: string };
    wallMs += DAY_MS - 1;
    expect(await accept('k')).toEqual({ kind: 'duplicate', id });
    wallMs += 1;
    expect(await accept('k')).toMatchObject({ kind: 'accepted' });
    expect(await accept('k')).toMatchObject({ kind: 'duplicate' });
  });

  it('keys used today, used yesterday, new ones and no keys at all stand in one call, each with its answer', async () => {
    await kinds('yesterday');
    wallMs += 20 * HOUR_MS;
    await kinds('today');
    const calls = queue.runner.calls;
    const plain = queue.accept(message({ id: newId(wallMs) }));
    expect(await kinds('yesterday', 'new', 'today', 'new', 'newer')).toEqual([
      'duplicate',
      'accepted',
      'duplicate',
      'duplicate',
      'accepted',
    ]);
    expect(await plain).toMatchObject({ kind: 'accepted' });
    expect(queue.runner.calls - calls).toBe(1);
  });

  it('the keys of a day lie in one hash, which a beat of a worker takes away two days later, or its lifetime', async () => {
    await kinds('a', 'b');
    expect(await client.hlen(`{wx:0}i:${DAY}`)).toBe(2);
    const lifetimeMs = await client.pttl(`{wx:0}i:${DAY}`);
    expect(lifetimeMs).toBeGreaterThan(48 * HOUR_MS);
    expect(lifetimeMs).toBeLessThanOrEqual(49 * HOUR_MS);
    wallMs += DAY_MS;
    await kinds('c');
    await beat();
    expect(await days()).toEqual([`{wx:0}i:${DAY}`, `{wx:0}i:${DAY + 1}`]);
    wallMs += DAY_MS;
    await beat();
    expect(await days()).toEqual([`{wx:0}i:${DAY + 1}`]);
  });

  it('a second key of the day leaves the end of its hash where it is', async () => {
    await kinds('a');
    await client.pexpire(`{wx:0}i:${DAY}`, HOUR_MS);
    await kinds('b');
    expect(await client.pttl(`{wx:0}i:${DAY}`)).toBeLessThanOrEqual(HOUR_MS);
  });
});
