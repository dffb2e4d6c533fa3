import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { auditShard } from '../../src/engine/audit.ts';
import { testRedis } from '../support/services.ts';
import { Bench } from './support/bench.ts';

let bench: Bench;
beforeEach(async () => {
  bench = await Bench.open(await testRedis());
  await bench.queue.pauseSender('s1', 'test');
});
afterEach(() => bench.close());

const audit = () => auditShard(bench.client, 0);

describe('An audit of a shard', () => {
  it('finds nothing where messages wait as they should', async () => {
    for (const conversation of ['a', 'b', 'b']) await bench.accept({ conversation });
    expect(await audit()).toEqual([]);
  });

  it('names a conversation that nothing will wake, by no whole number or address of a person', async () => {
    for (const conversation of ['+4915112345678', 'ada@example.com', 'booking-7']) await bench.accept({ conversation });
    await bench.client.del('{wx:0}r:s1|t1|5');
    expect((await audit()).filter(({ promise }) => promise === 'no-waste').sort(byDetail)).toEqual([
      { promise: 'no-waste', detail: 'conversation s1|t1|+•••••••••5678 stands nowhere: nothing will wake it' },
      { promise: 'no-waste', detail: 'conversation s1|t1|a•@example.com stands nowhere: nothing will wake it' },
      { promise: 'no-waste', detail: 'conversation s1|t1|booking-7 stands nowhere: nothing will wake it' },
    ]);
  });

  it('names a conversation that stands in two places, where its order could break', async () => {
    await bench.accept({ conversation: 'twice' });
    await bench.client.rpush('{wx:0}r:s1|t1|5', 's1|t1|twice');
    expect(await audit()).toContainEqual({ promise: 'order', detail: 'conversation s1|t1|twice stands in 2 places' });
  });
});

function byDetail(one: { readonly detail: string }, other: { readonly detail: string }): number {
  return one.detail < other.detail ? -1 : 1;
}
