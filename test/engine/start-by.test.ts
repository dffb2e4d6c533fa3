import { expect, it } from 'vitest';
import { START_BY_MS_MAX, StartBy } from '../../src/engine/start-by.ts';

it('100 ms while calls are quick, three calls where they take long, and never more than the most', () => {
  const startBy = new StartBy(100);
  expect(startBy.ms).toBe(100);
  for (let n = 0; n < 10; n += 1) startBy.saw(8);
  expect(startBy.ms).toBe(100);
  startBy.saw(200);
  expect(startBy.ms).toBe(600);
  startBy.saw(9000);
  expect(startBy.ms).toBe(START_BY_MS_MAX);
});

it('a link that is quick again is believed after some calls, not after one', () => {
  const startBy = new StartBy(100);
  startBy.saw(400);
  startBy.saw(2);
  expect(startBy.ms).toBeGreaterThan(900);
  for (let n = 0; n < 20; n += 1) startBy.saw(2);
  expect(startBy.ms).toBe(100);
});
