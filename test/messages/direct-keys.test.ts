import { expect, it } from 'vitest';
import { AppError } from '../../src/errors/app-error.ts';
import { repetitionOf } from '../../src/messages/direct-answers.ts';
import { DirectKeys } from '../../src/messages/direct-keys.ts';
import type { Claim, Direct, DirectKey } from '../../src/record/index.ts';
import { acceptedView } from '../../src/messages/view.ts';

/* Keys of direct sends against a record that may be away. */

const digest = Buffer.from('digest');
const key = (messageId: string): DirectKey => ({
  ...{ tenant: 't', sender: 's', key: 'k', bodyDigest: digest, messageId },
});

class Stored implements Pick<Direct, 'claim' | 'release'> {
  isAway = false;
  ageMs = 0;
  failsRelease = false;
  #first: string | undefined;

  async claim({ messageId }: DirectKey): Promise<Claim> {
    await this.#reach();
    this.#first ??= messageId;
    return { messageId: this.#first, isFirst: this.#first === messageId, isOtherBody: false, ageMs: this.ageMs };
  }
  async release({ messageId }: DirectKey): Promise<void> {
    await this.#reach();
    if (this.failsRelease) throw new AppError('RECORD_UNAVAILABLE');
    if (this.#first === messageId) this.#first = undefined;
  }
  async #reach(): Promise<void> {
    await Promise.resolve();
    if (this.isAway) throw new AppError('RECORD_UNAVAILABLE');
  }
}

async function first(keys: DirectKeys, messageId: string) {
  const claim = await keys.claim(key(messageId));
  if (claim.kind !== 'first') throw new Error(`the claim is ${claim.kind}`);
  return claim;
}

const body = { to: '+491', type: 'text', content: { body: 'hi' } };
const lane = { tenant: 't', sender: 's', conversation: '+491' };
const accepted = acceptedView(
  { ...lane, id: 'b', body: body as never, priority: 5, sendAtMs: null, expiresAtMs: null },
  false,
);
const notThere = () => Promise.reject(new AppError('NOT_FOUND'));
const away = () => Promise.reject(new AppError('RECORD_UNAVAILABLE'));

it('S7 · of a key whose process died: 503 while it may be at work, then that nobody knows', async () => {
  const stored = new Stored();
  await first(new DirectKeys(stored), 'a');
  for (const [ageMs, read, code] of [
    [1000, notThere, 'DIRECT_NOT_SENT'],
    [1000, away, 'DIRECT_NOT_SENT'],
    [61_000, away, 'DIRECT_NOT_SENT'],
    [61_000, notThere, 'DIRECT_UNKNOWN'],
  ] as const) {
    stored.ageMs = ageMs;
    const claim = await new DirectKeys(stored).claim(key('b'));
    if (claim.kind !== 'repeated') throw new Error(`the claim is ${claim.kind}`);
    await expect(repetitionOf(await claim.first, accepted, read)).rejects.toMatchObject({ code });
  }
});

it('S7 · a key of another process is asked for again each time, and held while the record is away', async () => {
  const stored = new Stored();
  const other = await first(new DirectKeys(stored), 'a');
  const keys = new DirectKeys(stored);
  expect(await keys.claim(key('b'))).toMatchObject({ kind: 'repeated' });
  stored.isAway = true;
  expect(await keys.claim(key('c'))).toMatchObject({ kind: 'repeated' });
  stored.isAway = false;
  await other.end({ kind: 'told', messageId: 'a', error: new AppError('DIRECT_NOT_SENT') }, false);
  expect(await keys.claim(key('d'))).toMatchObject({ kind: 'first' });
});

it('S7 · a key that could not be given back while the record was away is free when it is there again', async () => {
  const stored = new Stored();
  const keys = new DirectKeys(stored);
  const claim = await first(keys, 'a');
  stored.isAway = true;
  await claim.end({ kind: 'told', messageId: 'a', error: new AppError('DIRECT_NOT_SENT') }, false);
  stored.isAway = false;
  expect(await keys.claim(key('b'))).toMatchObject({ kind: 'first' });
});

it('S7 · a key that could not be given back twice in a row is still known to be free', async () => {
  const stored = new Stored();
  const keys = new DirectKeys(stored);
  for (const messageId of ['a', 'b']) {
    const claim = await first(keys, messageId);
    stored.isAway = true;
    await claim.end({ kind: 'told', messageId, error: new AppError('DIRECT_NOT_SENT') }, false);
    stored.isAway = false;
    // There for the claim, and away again for giving it back.
    stored.failsRelease = messageId === 'a';
  }
  expect(await keys.claim(key('c'))).toMatchObject({ kind: 'first' });
});

it('S7 · without the record, a repetition in the same process is told what was sent', async () => {
  const stored = new Stored();
  stored.isAway = true;
  const keys = new DirectKeys(stored);
  const claim = await first(keys, 'a');
  const again = await keys.claim(key('b'));
  if (again.kind !== 'repeated') throw new Error(`the claim is ${again.kind}`);
  const sent = { kind: 'sent', messageId: 'a', providerMessageId: 'wamid.1', attempts: 1, sentAt: 'now' } as const;
  await claim.end(sent, true);
  const view = await repetitionOf(await again.first, accepted, away);
  expect(view).toMatchObject({ id: 'a', status: 'sent', providerMessageId: 'wamid.1', duplicate: true });
});
