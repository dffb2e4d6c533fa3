import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { createTurns, type Turns } from '../../src/http/turns.ts';

/** Asks so many times and notes who went on. */
function ask(turns: Turns, count: number, gone: number[]): void {
  for (let index = 0; index < count; index += 1) {
    const wait = turns.next();
    if (wait === undefined) gone.push(index);
    else void wait.then(() => gone.push(index));
  }
}

describe('R1 · turns of the event loop', () => {
  test('nobody waits while no connection was taken', () => {
    const gone: number[] = [];
    ask(createTurns(2), 5, gone);
    expect(gone).toEqual([0, 1, 2, 3, 4]);
  });

  test('while connections come, a few go on per turn, in their order', async () => {
    const turns = createTurns(2);
    const gone: number[] = [];
    turns.connected();
    ask(turns, 7, gone);
    expect(gone).toEqual([0, 1]);
    const steps: number[] = [];
    while (gone.length < 7) {
      turns.connected();
      const before = gone.length;
      await turn();
      steps.push(gone.length - before);
    }
    expect(gone).toEqual([0, 1, 2, 3, 4, 5, 6]);
    expect(Math.max(...steps)).toBeLessThanOrEqual(2);
  });

  test('after a turn that took none all go on, and the next connection starts anew', async () => {
    const turns = createTurns(2);
    const gone: number[] = [];
    turns.connected();
    ask(turns, 9, gone);
    await turn();
    await turn();
    await turn();
    expect(gone).toHaveLength(9);
    ask(turns, 4, gone);
    expect(gone).toHaveLength(13);
    turns.connected();
    ask(turns, 4, gone);
    expect(gone).toHaveLength(15);
    await turn();
    await turn();
    await turn();
    expect(gone).toHaveLength(17);
  });
});
