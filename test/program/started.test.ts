import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { Started } from '../../src/program/started.ts';

describe('what was started', () => {
  test('ends in the reverse order, one after the other', async () => {
    const started = new Started();
    const ended: string[] = [];
    for (const part of ['queue', 'worker', 'server']) {
      started.add(async () => {
        await nextTurn();
        ended.push(part);
      });
    }
    await started.end();
    expect(ended).toEqual(['server', 'worker', 'queue']);
  });

  test('ends to the last part, also when one of them cannot; what it said is told then', async () => {
    const started = new Started();
    const ended: string[] = [];
    started.add(() => ended.push('data services'));
    for (const part of ['record', 'queue']) {
      started.add(() => Promise.reject(new Error(`the ${part} does not end`)));
    }
    await expect(started.end()).rejects.toThrow('the queue does not end');
    expect(ended).toEqual(['data services']);
  });

  test('says that it ends before the first part does', async () => {
    const started = new Started();
    const told: boolean[] = [started.ending.aborted];
    started.add(() => told.push(started.ending.aborted));
    await started.end();
    expect(told).toEqual([false, true]);
  });
});
