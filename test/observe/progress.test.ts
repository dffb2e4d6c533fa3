import { describe, expect, test } from 'vitest';
import { ProgressWatch } from '../../src/observe/index.ts';
import { LiveWorkers } from '../../src/observe/sources/live-workers.ts';
import { BoundedNames } from '../../src/observe/metrics/names.ts';
import { Metrics } from '../../src/observe/index.ts';

describe('P5, R8 · readiness by progress', () => {
  const idle = { due: 5, taken: 3, inWork: 0 };

  test('work that is due for 10 s and taken by nobody makes a worker not ready, and taking makes it ready', () => {
    const watch = new ProgressWatch();
    for (let ms = 0; ms <= 12_000; ms += 2000) watch.observe(idle, ms);
    expect(() => watch.assertProgress(12_000)).toThrow(/nothing was taken/);
    watch.observe({ ...idle, taken: 4 }, 14_000);
    watch.assertProgress(14_000);
  });

  test.each([
    ['nothing is due', () => ({ due: 0, taken: 0, inWork: 0 })],
    ['what is due is not known', () => ({ due: null, taken: 0, inWork: 0 })],
    ['messages are in its hands', () => ({ due: 5, taken: 0, inWork: 2 })],
    ['it settles', (ms: number) => ({ due: 5, taken: ms, inWork: 0 })],
  ])('it stays ready while %s', (_why, look) => {
    const watch = new ProgressWatch();
    for (let ms = 0; ms <= 60_000; ms += 2000) watch.observe(look(ms), ms);
    watch.assertProgress(60_000);
  });
});

test('R9 · a worker whose heart stands still for 5 s no longer counts; one that beats does', () => {
  let nowMs = 0;
  const live = new LiveWorkers(() => nowMs);
  const look = (beat: number) => {
    nowMs += 1000;
    return live.observe(0, { dead: '7', alive: String(beat) });
  };
  for (let beat = 0; beat < 5; beat += 1) expect(look(beat)).toEqual(['dead', 'alive']);
  for (let beat = 5; beat < 8; beat += 1) expect(look(beat)).toEqual(['alive']);
});

test('labels beyond their bound are told together as other', () => {
  const names = new BoundedNames(2);
  expect(['a', 'b', 'c', 'a', 'd'].map((name) => names.of(name))).toEqual(['a', 'b', 'other', 'a', 'other']);
});

test('a source that fails, hangs or throws is absent and told as down; the others are there', async () => {
  const metrics = new Metrics({ ofProcess: false, sourceTimeoutMs: 30, freshMs: 0 });
  const metric = (name: string) => ({ name, help: 'x.', type: 'gauge', scope: 'process' }) as const;
  metrics.register({ name: 'good', metrics: [metric('waxwing_a')], read: () => [{ name: 'waxwing_a', value: 3 }] });
  metrics.register({ name: 'hangs', metrics: [metric('waxwing_b')], read: () => new Promise(() => undefined) });
  metrics.register({
    name: 'throws',
    metrics: [metric('waxwing_c')],
    read: () => {
      throw new Error('no');
    },
  });
  const text = await metrics.text();
  expect(text).toContain('waxwing_a 3');
  expect(text).toContain('waxwing_source_up{source="good"} 1');
  for (const name of ['hangs', 'throws']) expect(text).toContain(`waxwing_source_up{source="${name}"} 0`);
  expect(text).not.toMatch(/^waxwing_[bc] [1-9]/m);
});
