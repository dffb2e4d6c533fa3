import { describe, expect, test } from 'vitest';
import { Rates } from '../../src/observe/live/rates.ts';
import { judge, type VerdictInput } from '../../src/observe/live/verdict.ts';

const counts = (sent: number) => ({ accepted: sent, sent, delivered: 0, failed: 0 });

describe('P8 · rates of the live view', () => {
  test('one point per second, whatever the rhythm of the looks', () => {
    const rates = new Rates();
    for (let look = 0; look <= 40; look += 1)
      rates.add(1000 + look * 250, counts(look * 5), new Map([['a', look * 5]]));
    expect(rates.points).toHaveLength(10);
    expect(rates.points.every(({ sent }) => sent === 20)).toBe(true);
    expect(rates.perSecond().sent).toBe(20);
    expect(rates.senderPerSecond('a')).toBe(20);
    expect(rates.senderPerSecond('b')).toBe(0);
  });

  test('after a gap what happened is spread over it, and the chart is never longer than ten minutes', () => {
    const rates = new Rates();
    rates.add(0, counts(0), new Map());
    rates.add(3_600_000, counts(3600), new Map());
    expect(rates.points).toHaveLength(600);
    expect(rates.points.at(-1)).toMatchObject({ atMs: 3_600_000, sent: 1 });
  });

  test('counters that begin anew make no negative rate and no peak', () => {
    const rates = new Rates();
    rates.add(0, counts(1000), new Map());
    rates.add(1000, counts(1010), new Map());
    rates.add(2000, counts(5), new Map());
    rates.add(3000, counts(10), new Map());
    expect(rates.perSecond().sent).toBe(5);
    expect(rates.points.map(({ sent }) => sent)).toEqual([10, 5]);
  });
});

describe('is it flowing, and if not, why', () => {
  const NOW = 1_000_000;
  const base: VerdictInput = {
    isQueueKnown: true,
    isAllPaused: false,
    workers: 1,
    waiting: 0,
    inFlight: 0,
    holds: {},
    sentPerSecond: 0,
    pausedSenders: [],
    openCircuits: [],
    lastSentAtMs: NOW - 60_000,
  };
  test.each<[string, Partial<VerdictInput>, string, RegExp]>([
    ['nothing waits', {}, 'quiet', /All quiet/],
    ['everything goes at once', { sentPerSecond: 12 }, 'flowing', /Flowing/],
    [
      'a backlog that is worked off',
      { waiting: 90, sentPerSecond: 12, holds: { pair: 90 } },
      'flowing',
      /12 per second/,
    ],
    ['no worker', { workers: 0, waiting: 3, holds: { ready: 3 } }, 'stuck', /3 messages wait and no worker runs/],
    ['workers that take nothing', { waiting: 2, holds: { ready: 2 } }, 'stuck', /2 messages could go/],
    ['the whole queue paused', { isAllPaused: true, waiting: 1 }, 'held', /resume the send queue/],
    ['only what has a time', { waiting: 4, holds: { scheduled: 4 } }, 'quiet', /4 messages scheduled/],
    [
      'a paused sender',
      { waiting: 1, holds: { 'sender-paused': 1 }, pausedSenders: ['a'] },
      'held',
      /Nothing goes: 1 message waits/,
    ],
    ['Redis away', { isQueueKnown: false, waiting: 9 }, 'blind', /cannot be reached/],
  ])('%s', (_, more, state, sentence) => {
    const judged = judge({ ...base, ...more }, NOW);
    expect(judged.state).toBe(state);
    expect(judged.sentence).toMatch(sentence);
  });

  test('says how many wait for what most of them wait for', () => {
    const reasonOf = (input: Partial<VerdictInput>) => judge({ ...base, ...input }, NOW).reason;
    const flowing = { sentPerSecond: 2 };
    expect(reasonOf({ ...flowing, waiting: 1, holds: { pair: 1 } })).toBe(
      '1 message waits for the pace of one contact.',
    );
    expect(reasonOf({ ...flowing, waiting: 1200, holds: { pair: 1100, retry: 100 } })).toBe(
      '1,200 messages wait, 1,100 of them for the pace of one contact.',
    );
    expect(reasonOf({ waiting: 1, holds: { pair: 1 } })).toBe('It waits for the pace of one contact.');
    expect(reasonOf({ waiting: 3, holds: { circuit: 2, pair: 1 } })).toBe(
      '2 of them wait for an open circuit breaker.',
    );
  });

  test('names the senders behind a hold, at most three of them', () => {
    const input = { waiting: 5, holds: { circuit: 5 }, openCircuits: ['a', 'b', 'c', 'd'] };
    expect(judge({ ...base, ...input }, NOW).reason).toBe(
      'All wait for an open circuit breaker. Circuit open: a, b, c and 1 more.',
    );
  });
});
