import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type BreakerChange, BreakerOpenError, createBreakers } from '../../src/util/breakers.ts';

const fails = () => Promise.reject(new Error('away'));
const works = () => Promise.resolve('well');

describe('P4 · breakers of services', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  test('so many failures in a row open it; while it is open no call is made', async () => {
    const breaker = createBreakers({ threshold: 3, timeoutMs: 1000 }).of('responder');
    for (let n = 0; n < 2; n += 1) await expect(breaker.run(fails)).rejects.toThrow('away');
    await breaker.run(works);
    for (let n = 0; n < 3; n += 1) await expect(breaker.run(fails)).rejects.toThrow('away');
    const call = vi.fn(works);
    const refused = await breaker.run(call).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(BreakerOpenError);
    expect((refused as BreakerOpenError).untilMs).toBe(Date.now() + 1000);
    expect(call).not.toHaveBeenCalled();
    expect(breaker.snapshot()).toMatchObject({ name: 'responder', state: 'open', opened: 1, closed: 0, refused: 1 });
  });

  test('after the timeout a probe that works closes it without a person, one that fails opens it again', async () => {
    const breakers = createBreakers({ threshold: 1, timeoutMs: 1000 });
    const changes: BreakerChange[] = [];
    breakers.onChange((change) => changes.push(change));
    const breaker = breakers.of('postgres');
    await expect(breaker.run(fails)).rejects.toThrow('away');
    vi.advanceTimersByTime(1001);
    await expect(breaker.run(fails)).rejects.toThrow('away');
    await expect(breaker.run(works)).rejects.toBeInstanceOf(BreakerOpenError);
    vi.advanceTimersByTime(1001);
    await expect(breaker.run(works)).resolves.toBe('well');
    expect(changes.map(({ state }) => state)).toEqual(['open', 'half-open', 'open', 'half-open', 'closed']);
    expect(breakers.list()).toEqual([
      { name: 'postgres', state: 'closed', untilMs: null, opened: 2, closed: 1, refused: 1 },
    ]);
  });

  test('an error that does not speak of the service never opens it', async () => {
    const breaker = createBreakers({ threshold: 1, timeoutMs: 1000 }).of('x', (error) => error.message !== 'away');
    await expect(breaker.run(fails)).rejects.toThrow('away');
    expect(breaker.state).toBe('closed');
  });

  test('one name is one breaker', () => {
    const breakers = createBreakers({ threshold: 1, timeoutMs: 1000 });
    expect(breakers.of('a')).toBe(breakers.of('a'));
  });
});
