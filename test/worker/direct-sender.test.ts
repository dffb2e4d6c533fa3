import { expect, it, onTestFinished, vi } from 'vitest';
import type { ProviderOutcome, ProviderSend, SenderAccount } from '../../src/providers/contract.ts';
import type { DirectMessage } from '../../src/worker/direct-message.ts';
import { DirectSender } from '../../src/worker/direct-sender.ts';

const LIMITS = { ratePerSecond: 0, burst: 1, concurrency: 5, pairBucketCapacity: 0, pairBucketRefillPerSecond: 0 };
const account = (id: string): SenderAccount => ({
  ...{ id, provider: 'cloud', externalId: `1${id}`, apiUrl: 'http://127.0.0.1:1', channel: null },
  credentials: { accessToken: 'one token for all' },
});

let ids = 0;
function message(sender: string, contact: string, more: Partial<DirectMessage> = {}): DirectMessage {
  ids += 1;
  return {
    id: `01a20325-3c6f-7067-b8a1-${String(ids).padStart(12, '0')}`,
    lane: { sender, tenant: 't', conversation: contact },
    contact,
    priority: 5,
    expiresAtMs: null,
    body: JSON.stringify({ to: contact, type: 'text', content: { body: 'hi' } }),
    account: account(sender),
    limits: { ...LIMITS, pairGapMs: 0 },
    tenantConcurrency: 5,
    ...more,
  };
}

function directSender(answer: (request: ProviderSend) => ProviderOutcome, patienceMs = 20_000) {
  const calls: string[] = [];
  const paused: string[] = [];
  const broken: string[] = [];
  const sender = new DirectSender({
    worker: 'direct-test',
    provider: () => ({
      name: 'cloud',
      send: (request) => {
        if (request.beforeFirstByte?.() === false) throw new Error('it was not to start');
        calls.push(request.account.id);
        return Promise.resolve(answer(request));
      },
      close: () => Promise.resolve(),
    }),
    policy: { attemptsMax: 3, backoffMs: 1 },
    tagKey: Buffer.from('tag key of these tests'),
    breaker: { threshold: 2, openMs: 60_000 },
    patienceMs,
    onPaused: (id, reason) => paused.push(`${id}: ${reason}`),
    onConcluded: () => Promise.resolve(),
    onBroken: ({ messageId }, error) => broken.push(`${messageId}: ${String(error)}`),
  });
  onTestFinished(() => sender.stop(0));
  return { sender, calls, paused, broken };
}

const sent: ProviderOutcome = { kind: 'sent', providerMessageId: 'wamid.1', httpStatus: 200 };
const refused: ProviderOutcome = {
  ...{ kind: 'rejected', class: 'credentials', httpStatus: 401 },
  error: { code: 'PROVIDER_REJECTED', providerCode: '190', title: 'Token expired', detail: '', retryable: true },
};

it('P4 · S7 · a credential that fails too often stops the other senders that use it too', async () => {
  const { sender, calls, paused } = directSender(({ account: { id } }) => (id === 'good' ? sent : refused));
  expect(await sender.send(message('good', '+491'))).toMatchObject({ kind: 'sent' });
  for (const id of ['a', 'b']) {
    expect(await sender.send(message(id, '+491'))).toMatchObject({
      kind: 'not-sent',
      pausedReason: 'Token expired (190)',
    });
  }
  expect(paused).toEqual(['a: Token expired (190)', 'b: Token expired (190)']);
  // Two failures of the token: the circuit of the third sender is open, for longer than anybody waits.
  expect(await sender.send(message('good', '+491'))).toMatchObject({ kind: 'not-sent', error: null });
  expect(calls).toEqual(['good', 'a', 'b']);
});

it('S7 · a paused sender gives back what waits, takes nothing, and goes again when it is resumed', async () => {
  let isGood = false;
  const { sender, calls } = directSender(() => (isGood ? sent : refused));
  const limits = { ...LIMITS, pairGapMs: 1000 };
  const both = await Promise.all(['+491', '+491', '+492'].map((to) => sender.send(message('a', to, { limits }))));
  for (const one of both) expect(one).toMatchObject({ kind: 'not-sent', pausedReason: expect.any(String) as string });
  // Two conversations were under way at once; who stood behind one of them was never tried.
  expect(calls).toEqual(['a', 'a']);
  isGood = true;
  expect(await sender.send(message('a', '+493'))).toMatchObject({ kind: 'not-sent' });
  sender.resume('a');
  expect(await sender.send(message('a', '+494'))).toMatchObject({ kind: 'sent' });
  expect(calls).toHaveLength(3);
});

it('S7 · patience counts from when the caller asked, not from when the line was reached', async () => {
  const { sender, calls } = directSender(() => sent, 20_000);
  const askedAtMs = performance.now() - 19_000;
  const late = await sender.send(message('a', '+491', { askedAtMs, pairFreeInMs: 5000 }));
  expect(late).toMatchObject({ kind: 'not-sent', error: null });
  expect(calls).toEqual([]);
});

it('S7 · a mistake of the program over a direct message is told, and ends that message only', async () => {
  const { sender, broken } = directSender(({ messageId }) => {
    if (messageId === first.id) throw new TypeError('a mistake');
    return sent;
  });
  const first = message('s1', '+491');
  expect(await sender.send(first)).toMatchObject({ kind: 'unknown' });
  expect(broken).toEqual([`${first.id}: TypeError: a mistake`]);
  expect(await sender.send(message('s1', '+491'))).toMatchObject({ kind: 'sent' });
});

it('S7 · a clock that is set forward ends no message that has not lived its time, and tries none again and again', async () => {
  const { sender, calls, broken } = directSender(() => sent, 2000);
  const result = sender.send(message('a', 'x', { expiresAtMs: Date.now() + 60_000, pairFreeInMs: 20 }));
  const now = Date.now.bind(Date);
  const clock = vi.spyOn(Date, 'now').mockImplementation(() => now() + 600_000);
  onTestFinished(() => {
    clock.mockRestore();
  });
  expect(await result).toMatchObject({ kind: 'sent' });
  expect(calls).toHaveLength(1);
  expect(broken).toEqual([]);
});
