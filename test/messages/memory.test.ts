import { describe, expect, test } from 'vitest';
import { AppError } from '../../src/errors/app-error.ts';
import { createMemory } from '../../src/messages/memory.ts';

function harness() {
  let nowMs = 0;
  let loads = 0;
  let answer: () => Promise<string | null> = () => Promise.resolve('v1');
  const memory = createMemory<string>({ freshMs: 5, usableMs: 60, absentMs: 1, entriesMax: 3, now: () => nowMs });
  return {
    memory,
    pass: (ms: number) => (nowMs += ms),
    answers: (next: typeof answer) => (answer = next),
    get: (key = 'k') =>
      memory.get(key, () => {
        loads++;
        return answer();
      }),
    loads: () => loads,
  };
}
const AWAY = new AppError('RECORD_UNAVAILABLE');
const away = () => Promise.reject(AWAY);

describe('createMemory()', () => {
  test('looks a value up once while it is fresh', async () => {
    const { get, loads, pass } = harness();
    expect([await get(), await get()]).toEqual(['v1', 'v1']);
    pass(4);
    await get();
    expect(loads()).toBe(1);
  });

  test('P5 · tells of what it knew without a look-up, so that hit rates count it', async () => {
    let nowMs = 0;
    const hits: string[] = [];
    const memory = createMemory<string>({ freshMs: 5, absentMs: 1, now: () => nowMs, onHit: (key) => hits.push(key) });
    const get = (key: string, value: string | null) => memory.get(key, () => Promise.resolve(value));
    await get('k', 'v');
    await get('none', null);
    expect(hits).toEqual([]);
    await get('k', 'v');
    await get('none', null);
    expect(hits).toEqual(['k', 'none']);
    nowMs = 6;
    await get('k', 'v');
    await get('none', null);
    expect(hits).toEqual(['k', 'none']);
  });

  test('calls at the same time share one look-up', async () => {
    const { get, loads } = harness();
    await Promise.all([get(), get(), get()]);
    expect(loads()).toBe(1);
  });

  test('an older value serves at once and is renewed behind', async () => {
    const { get, pass, answers } = harness();
    await get();
    pass(6);
    answers(() => Promise.resolve('v2'));
    expect(await get()).toBe('v1');
    await Promise.resolve();
    expect(await get()).toBe('v2');
  });

  test('a very old value is looked up before it is used', async () => {
    const { get, pass, answers } = harness();
    await get();
    pass(61);
    answers(() => Promise.resolve('v2'));
    expect(await get()).toBe('v2');
  });

  test('while the record is away what was known serves, however old; what was not known is the error', async () => {
    const { get, pass, answers } = harness();
    await get();
    answers(away);
    for (const ms of [6, 61, 1_000_000]) {
      pass(ms);
      expect(await get()).toBe('v1');
    }
    await expect(get('unknown')).rejects.toMatchObject({ code: 'RECORD_UNAVAILABLE' });
    answers(() => Promise.resolve('v2'));
    pass(61);
    expect(await get()).toBe('v2');
  });

  test('another error than "away" is not hidden by an old value', async () => {
    const { get, pass, answers } = harness();
    await get();
    pass(61);
    answers(() => Promise.reject(new Error('bug')));
    await expect(get()).rejects.toThrow('bug');
  });

  test('"there is none" is believed for a moment only', async () => {
    const { get, pass, answers, loads } = harness();
    answers(() => Promise.resolve(null));
    expect([await get(), await get()]).toEqual([null, null]);
    expect(loads()).toBe(1);
    pass(1);
    answers(() => Promise.resolve('made'));
    expect(await get()).toBe('made');
  });

  test('a look-up that began before a change does not bring the old value back', async () => {
    const { get, memory, answers } = harness();
    let finish: (value: string) => void = () => undefined;
    answers(() => new Promise((resolve) => (finish = resolve)));
    const early = get();
    memory.set('k', 'changed');
    finish('old');
    await early;
    expect(await get()).toBe('changed');
  });

  test('a look-up that a change elsewhere overtook serves only while the record is away; one that was forgotten never', async () => {
    const { get, memory, answers } = harness();
    for (const [overtake, then] of [
      [() => memory.expire('k'), 'looked up'],
      [() => memory.expire(), 'looked up'],
      [() => memory.forget('k'), AWAY],
      [() => memory.clear(), AWAY],
    ] as const) {
      memory.forget('k');
      let finish: (value: string) => void = () => undefined;
      answers(() => new Promise((resolve) => (finish = resolve)));
      const early = get();
      overtake();
      finish('looked up');
      expect(await early).toBe('looked up');
      answers(away);
      expect(await get().catch((error: unknown) => error)).toBe(then);
      answers(() => Promise.resolve('changed'));
      expect(await get()).toBe('changed');
    }
  });

  test('keeps at most so many entries, and forgets the one that was used longest ago', async () => {
    const { get, memory } = harness();
    for (const key of ['a', 'b', 'c']) await get(key);
    await get('a');
    await get('d');
    expect(['a', 'b', 'c', 'd'].filter((key) => memory.peek(key) !== undefined)).toEqual(['a', 'c', 'd']);
  });
});
