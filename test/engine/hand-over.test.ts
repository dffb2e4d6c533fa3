import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { testRedis, type TestRedis } from '../support/services.ts';
import type { Settlement } from '../../src/engine/contract.ts';
import { Bench, byConversation, SENT } from './support/bench.ts';
import { Ghost } from './support/ghost.ts';

let redis: TestRedis;
let bench: Bench;
beforeAll(async () => {
  redis = await testRedis();
});
afterEach(() => bench.close());

interface Entry {
  readonly lanes: number;
  /** A worker that works takes by its calls; to one that waits idle the engine brings it. */
  readonly isTaken: boolean;
}
async function entries(): Promise<Entry[]> {
  const all = await bench.client.xrange('{wx:0}out', '-', '+');
  return all.map(([, fields]) => {
    const names = fields.filter((_, at) => at % 2 === 0);
    return { lanes: names.filter((name) => name === 'l').length, isTaken: names.includes('call') };
  });
}

/** A provider that answers when it is let go. */
function gate() {
  let open: () => void = () => undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  const provider = async (): Promise<Settlement> => {
    await opened;
    return SENT;
  };
  return { provider, open };
}

describe('The hand-over stream', () => {
  it('R6 · has what is in work and nothing of what waits, and loses none of it', async () => {
    bench = await Bench.open(redis);
    const { provider, open } = gate();
    const wishes = Array.from({ length: 200 }, (_, n) => ({ conversation: `c${n % 100}` }));
    const messages = await Promise.all(wishes.map((wish) => bench.accept(wish)));
    await bench.worker('w1', provider, 10);
    await bench.started(10);
    expect((await entries()).reduce((sum, { lanes }) => sum + lanes, 0)).toBe(10);
    expect(await bench.queue.counters()).toMatchObject({ queued: 190, inFlight: 10 });
    open();
    await bench.settled(200);
    expect(bench.ids().sort()).toEqual(messages.map(({ id }) => id).sort());
    expect([...byConversation(bench.ledger).values()].flat()).toEqual(
      Array.from({ length: 100 }, (_, n) => [messages[n]?.id, messages[n + 100]?.id]).flat(),
    );
    expect(await entries()).toEqual([]);
  });

  it.each([1, 3, 25])(
    'R6 · a call takes %i at most where WA_STREAM_READ_COUNT says so, and an idle worker gets 16',
    async (takeMax) => {
      bench = await Bench.open(redis, {}, { takeMax });
      await Promise.all(Array.from({ length: 200 }, (_, n) => bench.accept({ conversation: `c${n}` })));
      const { provider, open } = gate();
      await bench.worker('w1', provider, 100);
      await bench.started(100);
      const found = await entries();
      const sizes = (isTaken: boolean) => found.filter((entry) => entry.isTaken === isTaken).map(({ lanes }) => lanes);
      expect(Math.max(...sizes(true))).toBe(takeMax);
      expect(Math.max(...sizes(false))).toBeLessThanOrEqual(16);
      open();
      await bench.settled(200);
    },
  );
});

describe('A mailbox that nobody reads any more', () => {
  let nowMs = Date.now();
  const open = async (slots: number) => {
    bench = await Bench.open(redis, {}, { clock: () => nowMs });
    await new Ghost(bench, 'killed').wait(slots);
  };
  /** The next beat of another worker, which has no room itself. */
  const beatOfAnother = async () => {
    nowMs += 500;
    await bench.queue.runner.run('beat', 0, ['other', 100, 0]);
  };

  it('gives all back with the next beat of another worker, also when each message came by itself', async () => {
    await open(60);
    for (let n = 0; n < 60; n += 1) await bench.accept({ conversation: `c${n}` });
    expect(await bench.queue.counters()).toMatchObject({ inFlight: 60 });
    await beatOfAnother();
    expect(await bench.queue.counters()).toMatchObject({ inFlight: 0, queued: 60 });
    expect(await bench.client.zcard('{wx:0}lz')).toBe(0);
  });

  it('gives back a bounded number with each beat', async () => {
    await open(300);
    await bench.queue.pauseAll();
    await Promise.all(Array.from({ length: 300 }, (_, n) => bench.accept({ conversation: `c${n}` })));
    // Every call that lets hand-overs go brings at most four times 16.
    for (let n = 0; n < 5; n += 1) await bench.queue.resumeAll();
    expect(await bench.queue.counters()).toMatchObject({ inFlight: 300 });
    const left = [];
    while (left.at(-1) !== 0) {
      await beatOfAnother();
      left.push((await bench.queue.counters()).inFlight);
    }
    expect(left.length).toBeGreaterThan(2);
    expect(left.length).toBeLessThanOrEqual(5);
  });

  it('is not filled again by the beat of its owner, who is told to take by itself', async () => {
    await open(10);
    await bench.accept({});
    expect(await bench.queue.counters()).toMatchObject({ inFlight: 1 });
    nowMs += 500;
    const [dueMs] = (await bench.queue.runner.run('beat', 0, ['killed', 100, 10])) as [number];
    expect(dueMs).toBe(0);
    expect(await bench.queue.counters()).toMatchObject({ inFlight: 0, queued: 1 });
    expect(await new Ghost(bench, 'killed').take(1)).toHaveLength(1);
  });
});
