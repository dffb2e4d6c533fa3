import { describe, expect, it } from 'vitest';
import { type ReadWindow, Windows } from '../../src/worker/windows.ts';

const grant = { lane: { tenant: 't', sender: 's', conversation: 'c' }, contact: '+4915112345678' };
const body = { to: '+4915112345678' };

function reading(answer: () => number | null | Promise<number | null>) {
  const asked: Parameters<ReadWindow>[0][] = [];
  const clock = { nowMs: 1_000_000 };
  const read: ReadWindow = async (person) => {
    asked.push(person);
    return await answer();
  };
  return { asked, clock, windows: new Windows(read, () => clock.nowMs) };
}

describe("a person's window at the moment of sending", () => {
  it('an open one is asked for once, until it ends', async () => {
    const ends = { atMs: 1_000_500 };
    const { asked, clock, windows } = reading(() => ends.atMs);
    for (let n = 0; n < 5; n += 1) expect(await windows.isClosed(grant, body)).toBe(false);
    expect(asked).toHaveLength(1);
    expect(asked[0]).toMatchObject({ sender: 's', conversation: 'c', names: ['+4915112345678', '+4915112345678'] });
    clock.nowMs = 1_000_500;
    expect(await windows.isClosed(grant, body)).toBe(true);
    // The person writes: what was closed is open at once.
    ends.atMs = 2_000_000;
    expect(await windows.isClosed(grant, body)).toBe(false);
  });

  it('one that nobody knows counts as open, and the same person is not asked for again at once', async () => {
    const { asked, windows } = reading(() => null);
    expect(await windows.isClosed(grant, body)).toBe(false);
    expect(await windows.isClosed(grant, body)).toBe(false);
    expect(asked).toHaveLength(1);
  });

  it('while the record is away or slow, the provider decides', async () => {
    const away = reading(() => Promise.reject(new Error('away')));
    expect(await away.windows.isClosed(grant, body)).toBe(false);
    const slow = reading(() => new Promise<number>(() => undefined));
    expect(await slow.windows.isClosed(grant, body)).toBe(false);
  });
});
