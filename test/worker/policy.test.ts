import { describe, expect, it } from 'vitest';
import type { MessageError } from '../../src/model/message.ts';
import type { ErrorClass, ProviderOutcome } from '../../src/providers/contract.ts';
import { decide, type RetryPolicy } from '../../src/worker/policy.ts';

const policy: RetryPolicy = {
  attemptsMax: 3,
  backoffMs: 2000,
  scheduleSeconds: [60, 300, 900, 1800, 3600],
  deferBlocks: false,
};
const error: MessageError = {
  code: 'PROVIDER_REJECTED',
  providerCode: '131000',
  title: 'T',
  detail: 'D',
  retryable: true,
};
const first = { attempt: 1, counted: 0, deferrals: 0 };
const always = (value: number) => () => value;

function rejected(errorClass: ErrorClass, more: { retryAfterMs?: number; attemptsMax?: number } = {}): ProviderOutcome {
  return { kind: 'rejected', class: errorClass, error, httpStatus: 400, ...more };
}

describe('decide()', () => {
  it('settles an accepted attempt as sent', () => {
    const outcome: ProviderOutcome = { kind: 'sent', providerMessageId: 'wamid.1', httpStatus: 200 };
    expect(decide(outcome, first, policy)).toEqual({ kind: 'sent', providerMessageId: 'wamid.1' });
  });

  it('T1 · a template that the provider stopped holds what is made from it; no attempt is burnt', () => {
    const stopped = { ...rejected('template'), error: { ...error, providerCode: '132015' } } as ProviderOutcome;
    const settlement = decide(stopped, { ...first, template: 'en:promo' }, policy);
    const brake = { on: 'template', template: 'en:promo' };
    expect(settlement).toEqual({ kind: 'retry', delayMs: 0, counted: false, brake });
    expect(decide(stopped, first, policy)).toMatchObject({ kind: 'deferred' });
    const unknown = { ...rejected('template'), error: { ...error, providerCode: '132001' } } as ProviderOutcome;
    expect(decide(unknown, { ...first, template: 'en:promo' }, policy)).toMatchObject({ kind: 'deferred' });
  });

  it('S5 · tries three times in all, with exponential backoff from 2 s and full jitter', () => {
    const one = decide(rejected('retry-soon'), first, policy, always(1));
    const two = decide(rejected('retry-soon'), { attempt: 2, counted: 1, deferrals: 0 }, policy, always(1));
    const three = decide(rejected('retry-soon'), { attempt: 3, counted: 2, deferrals: 0 }, policy, always(1));
    expect(one).toEqual({ kind: 'retry', delayMs: 2000, counted: true });
    expect(two).toEqual({ kind: 'retry', delayMs: 4000, counted: true });
    expect(three).toEqual({ kind: 'deferred', delayMs: 60_000, block: false });
    expect(decide(rejected('retry-soon'), first, policy, always(0))).toMatchObject({ delayMs: 0 });
  });

  it('F5 · goes through the slow schedule, one attempt per slot, and then gives up', () => {
    const delays = [];
    for (let deferrals = 0; deferrals < 5; deferrals += 1) {
      const made = decide(
        rejected('retry-soon'),
        { attempt: 3 + deferrals, counted: 2 + deferrals, deferrals },
        policy,
      );
      delays.push(made.kind === 'deferred' ? made.delayMs / 60_000 : made.kind);
    }
    expect(delays).toEqual([1, 5, 15, 30, 60]);
    expect(decide(rejected('retry-soon'), { attempt: 8, counted: 7, deferrals: 5 }, policy)).toEqual({
      kind: 'failed',
      error,
    });
  });

  it('R5 · with five deliveries allowed: four retries with exponential backoff and jitter, then a dead letter', () => {
    const five: RetryPolicy = { ...policy, attemptsMax: 5, scheduleSeconds: [] };
    const made = [0, 1, 2, 3, 4].map((counted) =>
      decide(rejected('retry-soon'), { attempt: counted + 1, counted, deferrals: 0 }, five, always(1)),
    );
    expect(made.map((one) => (one.kind === 'retry' ? one.delayMs : one.kind))).toEqual([
      2000,
      4000,
      8000,
      16_000,
      'failed',
    ]);
    const half = decide(rejected('retry-soon'), { attempt: 4, counted: 3, deferrals: 0 }, five, always(0.5));
    expect(half).toMatchObject({ delayMs: 8000 });
  });

  it.each(['recipient', 'payload'] as const)('ends a message whose fault is the %s', (errorClass) => {
    expect(decide(rejected(errorClass), first, policy)).toEqual({ kind: 'failed', error });
  });

  it('parks the pair 4, 16, 64 s on a pair limit, whatever was tried before, and counts no attempt', () => {
    const parked = (waitsMs: readonly number[]) => ({
      kind: 'retry',
      delayMs: 0,
      counted: false,
      brake: { on: 'pair', waitsMs },
    });
    for (const attempt of [1, 40]) {
      const made = decide(rejected('pair'), { attempt, counted: 0, deferrals: 0 }, policy);
      expect(made).toEqual(parked([4000, 16_000, 64_000]));
    }
    expect(decide(rejected('pair', { retryAfterMs: 7000 }), first, policy)).toEqual(parked([7000]));
  });

  it('slows the sender on a number limit and counts no attempt', () => {
    expect(decide(rejected('sender-slow'), first, policy)).toEqual({
      kind: 'retry',
      delayMs: 0,
      counted: false,
      brake: { on: 'sender-rate', waitMs: 1000 },
    });
  });

  it.each(['sender-pause', 'credentials'] as const)('pauses the sender on %s and counts no attempt', (errorClass) => {
    expect(decide(rejected(errorClass), first, policy)).toEqual({
      kind: 'retry',
      delayMs: 0,
      counted: false,
      brake: { on: 'sender', reason: 'T (131000)' },
    });
  });

  it('never waits less than the provider asks', () => {
    expect(decide(rejected('retry-soon', { retryAfterMs: 9000 }), first, policy, always(0))).toMatchObject({
      delayMs: 9000,
    });
    expect(decide(rejected('retry-later', { retryAfterMs: 120_000 }), first, policy)).toMatchObject({
      delayMs: 120_000,
    });
  });

  it('stops when the attempts that make sense for the error are made', () => {
    const limited = rejected('retry-soon', { attemptsMax: 2 });
    expect(decide(limited, first, policy)).toMatchObject({ kind: 'retry' });
    expect(decide(limited, { attempt: 2, counted: 1, deferrals: 0 }, policy)).toEqual({ kind: 'failed', error });
    expect(
      decide(rejected('retry-later', { attemptsMax: 2 }), { attempt: 2, counted: 1, deferrals: 1 }, policy),
    ).toEqual({
      kind: 'failed',
      error,
    });
  });

  it('S5 · the attempts that make sense for an error are those that count: not those of a brake, nor those before a redrive', () => {
    const soon = rejected('retry-soon', { attemptsMax: 3 });
    // Three calls ended with 131056, or were made before a person redrove it: this is the first that counts.
    const fourth = { attempt: 4, counted: 0, deferrals: 0 };
    expect(decide(soon, fourth, policy)).toMatchObject({ kind: 'retry', counted: true });
    expect(decide(soon, { attempt: 6, counted: 2, deferrals: 0 }, { ...policy, attemptsMax: 5 })).toMatchObject({
      kind: 'failed',
    });
    const later = rejected('retry-later', { attemptsMax: 5 });
    expect(decide(later, fourth, policy)).toMatchObject({ kind: 'deferred', delayMs: 60_000 });
    // Two fast ones and two slow ones count alike, and with this one they are five.
    expect(decide(later, { attempt: 9, counted: 3, deferrals: 1 }, policy)).toMatchObject({ kind: 'deferred' });
    expect(decide(later, { attempt: 9, counted: 4, deferrals: 2 }, policy)).toEqual({ kind: 'failed', error });
    // What another program tried in vain counts too.
    expect(decide(later, { attempt: 5, counted: 0, deferrals: 4 }, policy)).toEqual({ kind: 'failed', error });
  });

  it('F5 · marks a pause that the provider asks for and that is longer than its slot', () => {
    const day = { retryAfterMs: 24 * 3_600_000 };
    expect(decide(rejected('retry-later', day), first, policy)).toEqual({
      kind: 'deferred',
      delayMs: day.retryAfterMs,
      block: false,
      asked: true,
    });
    expect(decide(rejected('retry-later', { retryAfterMs: 30_000 }), first, policy)).toEqual({
      kind: 'deferred',
      delayMs: 60_000,
      block: false,
    });
  });

  it('leaves an ambiguous attempt unknown and retries one that was not sent', () => {
    expect(decide({ kind: 'ambiguous', error }, first, policy)).toEqual({ kind: 'unknown' });
    expect(decide({ kind: 'not-sent', error }, first, policy, always(0.5))).toEqual({
      kind: 'retry',
      delayMs: 1000,
      counted: true,
    });
  });
});
