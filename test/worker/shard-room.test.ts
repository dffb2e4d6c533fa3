import { describe, expect, it } from 'vitest';
import { ShardRoom } from '../../src/worker/shard-room.ts';

const nothing = (): void => undefined;

describe('ShardRoom', () => {
  it('S4 · of several shards each hears of its share, and of less than it has where there is too much in work', () => {
    const room = new ShardRoom(20, 4, nothing);
    expect(room.slotsFor(0, 0)).toBe(5);
    room.took(0, 18);
    expect(room.slotsFor(0, 0)).toBe(19);
    room.took(1, 6);
    expect(room.slotsFor(0, 0)).toBe(14);
  });

  it('S4 · a shard that finds every place taken may have one message, and then more until all have their part', () => {
    const asked: number[] = [];
    const room = new ShardRoom(20, 2, (shard) => asked.push(shard));
    room.took(0, 20);
    expect(room.slotsFor(0, 4)).toBe(20); // nobody else wants any: it refills what it settles
    expect(room.slotsFor(1, 0)).toBe(1);
    room.took(1, 1);
    expect(room.slotsFor(0, 4)).toBe(16); // the other may want more: what is settled now is left to it
    for (let n = 0; n < 4; n += 1) room.done(0);
    expect(asked).toEqual([1]); // once
    expect(room.slotsFor(1, 0)).toBe(2);
    expect(room.slotsFor(0, 4)).toBe(17); // it had no more: the first takes up again
    room.took(1, 1);
    expect(room.slotsFor(0, 8)).toBe(10); // down to its part, not below
  });

  it('S4 · with fewer places than shards, each may have one message', () => {
    const room = new ShardRoom(2, 4, nothing);
    for (let shard = 0; shard < 4; shard += 1) {
      expect(room.slotsFor(shard, 0)).toBe(1);
      room.took(shard, 1);
    }
    expect(room.slotsFor(0, 1)).toBe(1);
  });
});
