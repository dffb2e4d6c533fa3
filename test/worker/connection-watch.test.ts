import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ConnectionWatch } from '../../src/worker/connection-watch.ts';

const HELD = 'Instance not connected (CONNECTION_CLOSED)';

describe('R7 · a held Evolution sender goes on when its connection is open', () => {
  let reason: string | null;
  let state: string | null;
  let asked: number;
  let resumed: number;
  let watch: ConnectionWatch;
  beforeEach(() => {
    vi.useFakeTimers();
    [reason, state, asked, resumed] = [HELD, 'close', 0, 0];
    watch = new ConnectionWatch({
      pauseReason: () => Promise.resolve(reason),
      connectionState: () => {
        asked += 1;
        return Promise.resolve(state);
      },
      resume: () => {
        resumed += 1;
        reason = null;
        return Promise.resolve();
      },
    });
  });
  afterEach(() => {
    watch.stop();
    vi.useRealTimers();
  });

  it('asks ever more rarely while it is closed, and resumes once', async () => {
    watch.add('evo');
    watch.add('evo');
    await vi.advanceTimersByTimeAsync(2_000 + 4_000 + 8_000);
    expect([asked, resumed]).toEqual([3, 0]);
    state = 'open';
    await vi.advanceTimersByTimeAsync(16_000);
    expect([asked, resumed]).toEqual([4, 1]);
    await vi.advanceTimersByTimeAsync(3_600_000);
    expect([asked, resumed]).toEqual([4, 1]);
  });

  it.each(['webhook: connection.update close: 428: connection closed', 'webhook: instance removed'])(
    'also when a webhook held it: %s',
    async (held) => {
      [reason, state] = [held, 'open'];
      watch.add('evo');
      await vi.advanceTimersByTimeAsync(2_000);
      expect([asked, resumed]).toEqual([1, 1]);
    },
  );

  it.each(['webhook: messages.update 463: no new chats', 'webhook: account_update DISABLE', 'lunch'])(
    'a hold that is not for the connection stays: %s',
    async (held) => {
      [reason, state] = [held, 'open'];
      watch.add('evo');
      await vi.advanceTimersByTimeAsync(60_000);
      expect([asked, resumed]).toEqual([0, 0]);
    },
  );

  it('an unknown state and a server that fails are asked again', async () => {
    state = null;
    watch.add('evo');
    await vi.advanceTimersByTimeAsync(6_000);
    expect([asked, resumed]).toEqual([2, 0]);
  });

  it('a server that calls a dead socket open is believed ever more rarely', async () => {
    state = 'open';
    watch.add('evo');
    const minutes = 60;
    for (let second = 0; second < minutes * 60; second += 1) {
      await vi.advanceTimersByTimeAsync(1_000);
      // The next message finds the socket dead again.
      if (reason === null) {
        reason = HELD;
        watch.add('evo');
      }
    }
    // Every two seconds would be 1,800 times.
    expect(resumed).toBeGreaterThan(5);
    expect(resumed).toBeLessThan(30);
  });

  it.each(['paused by an operator', 'API key not valid (UNAUTHORIZED)', 'Account may not open new chats (463)'])(
    'leaves another pause alone: %s',
    async (other) => {
      reason = other;
      state = 'open';
      watch.add('evo');
      await vi.advanceTimersByTimeAsync(3_600_000);
      expect([asked, resumed]).toEqual([0, 0]);
    },
  );

  it('knows the errors that concern it', () => {
    expect(
      ['CONNECTION_CLOSED', 'INSTANCE_NOT_LOADED', '463', null, undefined].map((code) =>
        ConnectionWatch.concerns(code),
      ),
    ).toEqual([true, true, false, false, false]);
  });
});
