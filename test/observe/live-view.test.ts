import { afterEach, describe, expect, it } from 'vitest';
import { LiveView } from '../../src/observe/index.ts';
import type { LiveUpdate } from '../../src/observe/live/types.ts';
import type { QueueState } from '../../src/observe/sources/queue-state.ts';
import { eventually } from '../support/eventually.ts';

/* The live view over figures that the test sets. */

const views: LiveView[] = [];
afterEach(() => {
  for (const view of views.splice(0)) view.stop();
});

const counters = { accepted: 10, sent: 4, failed: 0, queued: 6, inFlight: 0 };

function stateOf(): QueueState {
  return {
    shard: 0,
    counters: Object.fromEntries(Object.entries(counters).map(([name, count]) => [name, String(count)])),
    ...{ isPaused: false, beats: {}, slots: {}, streamEntries: 0, streamWaiting: 0, streamPending: 0 },
    ...{ eventsKept: 0, recorderLagMs: 0, timerLagMs: 0, waitingPairs: 0, waitingRetries: 0, senders: [] },
  };
}

function viewOf() {
  const world = { looks: 0, nowMs: 1_000_000, figures: new Promise<never>(() => undefined) };
  const view = new LiveView({
    queue: {
      counters: () => Promise.resolve(counters as never),
      circuits: () => Promise.resolve({ open: [] } as never),
    },
    readStates: () => {
      world.looks += 1;
      return Promise.resolve([stateOf()]);
    },
    totals: { read: () => Promise.resolve(new Map()) },
    metrics: { snapshot: () => world.figures },
    alerts: () => [],
    record: {
      senders: () => Promise.resolve([]),
      qualities: () => Promise.resolve([]),
      oldestWaiting: () => Promise.resolve(null),
      timings: () => Promise.resolve(null),
      oldestOf: () => Promise.resolve([]),
    },
    now: () => world.nowMs,
  });
  views.push(view);
  view.start();
  return { view, world };
}

describe('P8 · the live view', () => {
  it('looks when the page is asked for, and gives that to who watches then, at once', async () => {
    const { view, world } = viewOf();
    expect(world.looks).toBe(0);
    view.expect();
    await eventually(() => (world.looks > 0 ? true : undefined));
    const updates: LiveUpdate[] = [];
    await eventually(() => {
      const before = updates.length;
      const end = view.watch((update) => updates.push(update));
      // Called back before watch() came back: nobody waits for a look.
      const isAtOnce = updates.length > before;
      end();
      return isAtOnce ? true : undefined;
    });
    // What metrics tell has not come yet, and nothing waited for it.
    expect(updates[0]?.snapshot).toMatchObject({ totals: { accepted: 10 }, failures: null, queues: [] });
  });

  it('does not look at the queue while nobody watches, and still knows since when nothing goes', async () => {
    const { view, world } = viewOf();
    const stoppedAtMs = world.nowMs + 2000;
    await eventually(() => {
      world.nowMs += 100;
      counters.sent = world.nowMs <= stoppedAtMs ? counters.sent + 1 : counters.sent;
      return world.nowMs > stoppedAtMs && view.history.points.length > 2 ? true : undefined;
    });
    expect(world.looks).toBe(0);
    world.nowMs += 3_600_000;
    const update = await new Promise<LiveUpdate>((resolve) => {
      view.watch(resolve);
    });
    expect(update.snapshot.verdict.state).toBe('stuck');
    // An hour ago, not now.
    expect(update.snapshot.atMs - update.snapshot.verdict.sinceMs).toBeGreaterThan(3_000_000);
  });
});
