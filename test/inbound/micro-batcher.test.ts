import { describe, expect, test } from 'vitest';
import { createMicroBatcher } from '../../src/inbound/index.ts';

/** Runs are held until they are let go. */
function heldRuns() {
  const batches: (readonly string[])[] = [];
  let go: (() => void) | undefined;
  return {
    batches,
    run: (items: readonly string[]) => {
      batches.push(items);
      return new Promise<string[]>((resolve) => {
        go = () => resolve(items.map((item) => item.toUpperCase()));
      });
    },
    letGo: async () => {
      go?.();
      await turn();
      await turn();
    },
  };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('P1 · micro-batches', () => {
  test('one after a quiet time goes at once, what comes meanwhile goes together', async () => {
    const held = heldRuns();
    const batcher = createMicroBatcher({ sizeMax: 10, intervalMs: 1000, parallelMax: 3, run: held.run });
    const first = batcher.add('a');
    await turn();
    expect(held.batches).toEqual([['a']]);
    const results = [first, ...['b', 'c', 'd'].map((item) => batcher.add(item))];
    await held.letGo();
    expect(held.batches).toEqual([['a'], ['b', 'c', 'd']]);
    await held.letGo();
    expect(await Promise.all(results)).toEqual(['A', 'B', 'C', 'D']);
  });

  test('none is larger than its size', async () => {
    const held = heldRuns();
    const batcher = createMicroBatcher({ sizeMax: 2, intervalMs: 0, parallelMax: 100, run: held.run });
    const results = ['a', 'b', 'c', 'd'].map((item) => batcher.add(item));
    for (let n = 0; n < 4; n += 1) await held.letGo();
    await Promise.all(results);
    expect(held.batches.map((batch) => batch.length)).toEqual([2, 2]);
  });

  test('items of one group count as one and go together', async () => {
    const held = heldRuns();
    const groupOf = (item: string) => item.slice(0, 1);
    const batcher = createMicroBatcher({ sizeMax: 2, intervalMs: 0, parallelMax: 2, groupOf, run: held.run });
    const results = ['a1', 'a2', 'b1', 'c1', 'a3', 'b2'].map((item) => batcher.add(item));
    for (let n = 0; n < 3; n += 1) await held.letGo();
    await Promise.all(results);
    expect(held.batches).toEqual([['a1', 'a2', 'b1', 'a3', 'b2'], ['c1']]);
  });

  test('under load one that is alone waits the interval at most', async () => {
    const batches: number[] = [];
    const batcher = createMicroBatcher<string, string>({
      sizeMax: 10,
      // Long enough that a busy machine is not taken for a quiet time.
      intervalMs: 500,
      parallelMax: 10,
      run: (items) => {
        batches.push(items.length);
        return Promise.resolve([...items]);
      },
    });
    await batcher.add('first');
    await Promise.all([batcher.add('second'), batcher.add('third')]);
    expect(batches).toEqual([1, 2]);
  });

  test('an item fails alone, and a run that fails takes its own items with it only', async () => {
    const batcher = createMicroBatcher<string, string>({
      sizeMax: 10,
      intervalMs: 0,
      parallelMax: 1,
      run: (items) => {
        if (items.includes('all')) return Promise.reject(new Error('server away'));
        return Promise.resolve(items.map((item) => (item === 'bad' ? new Error('poison') : item)));
      },
    });
    const results = await Promise.allSettled(['good', 'bad', 'fine'].map((item) => batcher.add(item)));
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    await expect(batcher.add('all')).rejects.toThrow('server away');
    expect(await batcher.add('next')).toBe('next');
  });
});
