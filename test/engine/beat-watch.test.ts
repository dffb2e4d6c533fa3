import { describe, expect, it } from 'vitest';
import { BeatWatch } from '../../src/engine/beat-watch.ts';

const LOOK_MS = 500;

/** Looks every 500 ms; returns the looks at which somebody was found dead. */
function look(
  watch: BeatWatch,
  beatsAt: (look: number) => readonly string[],
  looks: number,
  fromMs = 10_000,
): number[] {
  const dead: number[] = [];
  for (let at = 0; at < looks; at += 1) {
    if (watch.observe(beatsAt(at), [], fromMs + at * LOOK_MS).length > 0) dead.push(at);
  }
  return dead;
}

describe('BeatWatch', () => {
  it('finds a worker dead when its beat stood still for 4 s of looking', () => {
    expect(look(new BeatWatch('me'), () => ['other', '7'], 10)).toEqual([8, 9]);
  });

  it('never finds a beating worker or itself dead', () => {
    expect(look(new BeatWatch('me'), (at) => ['other', String(at), 'me', '1'], 40)).toEqual([]);
  });

  it('takes time in which nobody could look for no proof', () => {
    const watch = new BeatWatch('me');
    look(watch, (at) => ['other', String(at)], 3);
    // Redis was away for 30 s; the other has not yet had the time to beat again.
    expect(watch.observe(['other', '2'], [], 41_000)).toEqual([]);
    expect(watch.observe(['other', '2'], [], 41_500)).toEqual([]);
    expect(watch.observe(['other', '3'], [], 42_000)).toEqual([]);
  });

  it('still finds the dead when every look takes long', () => {
    const watch = new BeatWatch('me');
    const found = [0, 2000, 4000, 6000, 8000].map((ms) => watch.observe(['other', '7'], [], 10_000 + ms).length);
    expect(found).toEqual([0, 0, 0, 0, 1]);
  });

  it('counts a worker that holds work and never beat', () => {
    const watch = new BeatWatch('me');
    const found = Array.from({ length: 9 }, (_, at) => watch.observe([], ['lost'], 10_000 + at * LOOK_MS).at(0));
    expect(found.at(-1)).toEqual({ worker: 'lost', beat: '' });
  });
});
