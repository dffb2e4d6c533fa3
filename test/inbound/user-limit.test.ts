import { Redis } from 'ioredis';
import { afterAll, describe, expect, it } from 'vitest';
import { createUserLimit, type UserMessage } from '../../src/inbound/user-limit.ts';
import { sharedRedisUrl } from '../support/services.ts';

const redis = new Redis(await sharedRedisUrl());
afterAll(() => redis.disconnect());

let count = 0;
/** So many messages of one person, received at this time. */
function messages(n: number, receivedAtMs: number, of: Partial<UserMessage> = {}): UserMessage[] {
  return Array.from({ length: n }, () => {
    count += 1;
    return { id: `m${count}`, sender: 'main', contactId: 'ada', receivedAtMs, ...of };
  });
}
const many = (n: number, isIn: boolean) => Array.from({ length: n }, () => isIn);

describe('P6 · the limit of incoming messages per person', () => {
  it('lets 20 in within any minute, and the next one when the first is a minute old', async () => {
    const limit = createUserLimit(redis, 20);
    expect(await limit.check(messages(10, 0))).toEqual(many(10, true));
    expect(await limit.check(messages(15, 30_000))).toEqual([...many(10, true), ...many(5, false)]);
    expect(await limit.check(messages(1, 59_999))).toEqual([false]);
    // What was not let in took no place.
    expect(await limit.check(messages(11, 60_000))).toEqual([...many(10, true), false]);
  });

  it('counts every person at every sender apart', async () => {
    const limit = createUserLimit(redis, 2);
    const crowd = [{}, { contactId: 'bob' }, { sender: 'other' }].map((of) => messages(3, 1_000_000, of));
    expect(await limit.check(crowd.flat())).toEqual(crowd.flatMap(() => [true, true, false]));
  });

  it('answers the same when it is asked again, as a job that runs twice does', async () => {
    const limit = createUserLimit(redis, 2);
    const asked = messages(3, 2_000_000);
    const first = await limit.check(asked);
    expect([first, await limit.check(asked)]).toEqual([
      [true, true, false],
      [true, true, false],
    ]);
    expect(await limit.check(messages(1, 2_000_001))).toEqual([false]);
  });

  it('is none at 0, and silences nobody while Redis is away', async () => {
    expect(await createUserLimit(redis, 0).check(messages(50, 3_000_000))).toEqual(many(50, true));
    const away = new Redis({ port: 1, lazyConnect: true, enableOfflineQueue: false, retryStrategy: null });
    away.on('error', () => undefined);
    const faults: unknown[] = [];
    const limit = createUserLimit(away, 1, (error) => faults.push(error));
    expect(await limit.check(messages(5, 3_000_000))).toEqual(many(5, true));
    expect(faults).toHaveLength(1);
  });
});
