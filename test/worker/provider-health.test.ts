import { describe, expect, it } from 'vitest';
import type { ErrorClass, ProviderOutcome, SenderAccount } from '../../src/providers/contract.ts';
import { ProviderHealth } from '../../src/worker/provider-health.ts';

const account = (id: string, accessToken = 'token'): SenderAccount => ({
  id,
  provider: 'cloud',
  externalId: `1${id}`,
  apiUrl: 'http://127.0.0.1:1/v23.0',
  credentials: { accessToken },
});
const error = (code: string) => ({ code, providerCode: null, title: '', detail: '', retryable: true });
const sent: ProviderOutcome = { kind: 'sent', providerMessageId: 'wamid.1', httpStatus: 200 };
const unreachable: ProviderOutcome = { kind: 'not-sent', error: error('PROVIDER_UNREACHABLE') };
const lost: ProviderOutcome = { kind: 'ambiguous', error: error('PROVIDER_OUTCOME_UNKNOWN') };
const rejected = (errorClass: ErrorClass, httpStatus: number): ProviderOutcome => ({
  kind: 'rejected',
  class: errorClass,
  httpStatus,
  error: error('PROVIDER_REJECTED'),
});

describe('P4 · health of senders and credentials', () => {
  const openMs = 1000;

  it.each<[string, ProviderOutcome]>([
    ['unreachable', unreachable],
    ['timeouts and resets', lost],
    ['5xx of the provider', rejected('retry-soon', 500)],
    ['5xx that ask for a long wait', rejected('retry-later', 503)],
  ])('%s in a row open it at the threshold', (_, outcome) => {
    const health = new ProviderHealth({ threshold: 3, openMs });
    const opens = Array.from({ length: 4 }, () => health.judge(account('a'), outcome).badHealth?.opens);
    // Then the count begins again: what was on its way when it opened must not open it once more.
    expect(opens).toEqual([false, false, true, false]);
  });

  it.each<[string, ProviderOutcome]>([
    ['a recipient refused', rejected('recipient', 400)],
    ['a payload refused', rejected('payload', 400)],
    ['a pair limit', rejected('pair', 400)],
    ['a number limit', rejected('sender-slow', 429)],
    ['a message sent', sent],
  ])('%s is an answer of a healthy provider: the row begins anew', (_, outcome) => {
    const health = new ProviderHealth({ threshold: 2, openMs });
    for (let n = 0; n < 5; n += 1) {
      expect(health.judge(account('a'), lost).badHealth?.opens).toBe(false);
      expect(health.judge(account('a'), outcome)).toEqual({ alsoOpen: [] });
    }
  });

  it('what never left this process says nothing', () => {
    const health = new ProviderHealth({ threshold: 2, openMs });
    health.judge(account('a'), lost);
    health.judge(account('a'), { kind: 'not-sent', error: error('SEND_NOT_STARTED') });
    health.judge(account('a'), rejected('sender-pause', 0));
    expect(health.judge(account('a'), lost).badHealth?.opens).toBe(true);
  });

  it('failures of different senders with one credential add up, and open the others too', () => {
    const health = new ProviderHealth({ threshold: 3, openMs });
    health.judge(account('other', 'other token'), lost);
    health.judge(account('a'), lost);
    health.judge(account('b'), lost);
    expect(health.judge(account('c'), lost)).toEqual({ badHealth: { opens: true, openMs }, alsoOpen: ['a', 'b'] });
  });

  it('a dead token stops the other senders that use it; its own is paused for a person', () => {
    const health = new ProviderHealth({ threshold: 2, openMs });
    expect(health.judge(account('a'), rejected('credentials', 401))).toEqual({ alsoOpen: [] });
    expect(health.judge(account('b'), rejected('credentials', 401))).toEqual({ alsoOpen: ['a'] });
  });

  it('failures longer apart than the timeout are not in a row', () => {
    let now = 0;
    const health = new ProviderHealth({ threshold: 2, openMs, now: () => now });
    health.judge(account('a'), lost);
    now = 1500;
    expect(health.judge(account('a'), lost).badHealth?.opens).toBe(false);
  });
});
