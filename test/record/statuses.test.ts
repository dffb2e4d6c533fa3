import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { LifecycleEvent } from '../../src/model/events.ts';
import type { RecordedMessage } from '../../src/record/index.ts';
import { newId } from '../../src/util/ids.ts';
import { accepted, BASE_MS, ERROR, failed, sent, status } from './support/events.ts';
import { MemoryLog } from './support/memory-log.ts';
import { sql } from '../support/postgres.ts';
import { logOf, recordAll, recordOfFile } from './support/record.ts';

const { url, record } = await recordOfFile();

type Word = 'sent' | 'delivered' | 'read' | 'failed' | 'played' | 'warming-up';
const WORDS: readonly Word[] = ['sent', 'delivered', 'read', 'failed', 'played', 'warming-up'];

/** What a message that was sent shows after these statuses, said independently of the SQL. */
function expected(words: readonly Word[]): { status: string; deliveryStatus: string | null } {
  const proof = new Set(words);
  if (proof.has('read') || proof.has('played')) return { status: 'read', deliveryStatus: 'read' };
  if (proof.has('delivered')) return { status: 'delivered', deliveryStatus: 'delivered' };
  if (proof.has('failed')) return { status: 'failed', deliveryStatus: 'failed' };
  return { status: 'sent', deliveryStatus: proof.has('sent') ? 'sent' : null };
}

function statusOf(word: Word, providerMessageId: string, index: number, messageId: string): LifecycleEvent {
  return status(providerMessageId, word, BASE_MS + 1_000 * (index + 1), {
    messageId,
    ...(word === 'failed' ? { error: ERROR } : {}),
  });
}

async function show(id: string): Promise<RecordedMessage> {
  const message = await record.messages.find(null, id);
  if (message === null) throw new Error('The message is not recorded.');
  return message;
}

describe('delivery status', () => {
  it('ends in the same state for late, repeated, skipped and early statuses as for an ordered run', async () => {
    const shape = fc.record({
      words: fc.array(fc.constantFrom(...WORDS), { maxLength: 6 }),
      tagged: fc.array(fc.boolean(), { minLength: 12, maxLength: 12 }),
      repeats: fc.array(fc.nat({ max: 5 }), { maxLength: 3 }),
      order: fc.array(fc.nat({ max: 1_000 }), { minLength: 12, maxLength: 12 }),
      batchMax: fc.constantFrom(1, 2, 200),
    });
    await fc.assert(
      fc.asyncProperty(shape, async ({ words, tagged, repeats, order, batchMax }) => {
        const ordered = newId();
        const shuffled = newId();
        const events = (id: string): LifecycleEvent[] => [
          ...words.map((word, index) => statusOf(word, `wamid.${id}`, index, tagged[index] === true ? id : '')),
          sent(id, `wamid.${id}`),
        ];
        await recordAll(url, logOf([accepted({ messageId: ordered })], events(ordered).reverse()));

        const mixed = events(shuffled);
        for (const repeat of repeats) if (repeat < words.length) mixed.push(mixed[repeat] as LifecycleEvent);
        const inOrder = mixed
          .map((event, index) => ({ event, key: order[index] ?? 0 }))
          .sort((a, b) => a.key - b.key)
          .map(({ event }) => [event]);
        await recordAll(url, logOf([accepted({ messageId: shuffled })], ...inOrder), { batchMax });

        const [one, other] = [await show(ordered), await show(shuffled)];
        expect(one).toMatchObject(expected(words));
        const same = { id: '', seq: 0, providerMessageId: '', updatedAtMs: 0 };
        expect({ ...other, ...same }).toEqual({ ...one, ...same });
      }),
      { numRuns: 40 },
    );
  });

  it('shows read with a delivery time when the delivered status was skipped', async () => {
    const id = newId();
    await recordAll(
      url,
      logOf([accepted({ messageId: id }), sent(id, 'wamid.skip'), status('wamid.skip', 'read', BASE_MS + 9_000)]),
    );
    expect(await show(id)).toMatchObject({ status: 'read', readAtMs: BASE_MS + 9_000, deliveredAtMs: BASE_MS + 9_000 });
    await recordAll(url, logOf([status('wamid.skip', 'delivered', BASE_MS + 4_000)], []), {});
    expect(await show(id)).toMatchObject({ status: 'read', deliveredAtMs: BASE_MS + 4_000 });
  });

  it('shows a failed delivery with its error, and lifts it when a device got the message after all', async () => {
    const id = newId();
    const log = new MemoryLog();
    log.append([accepted({ messageId: id }), sent(id, 'wamid.devices')]);
    log.append([status('wamid.devices', 'failed', BASE_MS + 2_000, { error: ERROR })]);
    await recordAll(url, log);
    expect(await show(id)).toMatchObject({
      status: 'failed',
      engineStatus: 'sent',
      deliveryStatus: 'failed',
      error: ERROR,
      failedAtMs: BASE_MS + 2_000,
    });
    const later = new MemoryLog(1);
    later.append([status('wamid.devices', 'sent', BASE_MS + 3_000)]);
    await recordAll(url, later);
    expect((await show(id)).status).toBe('failed');
    const last = new MemoryLog(2);
    last.append([status('wamid.devices', 'delivered', BASE_MS + 4_000)]);
    await recordAll(url, last);
    expect(await show(id)).toMatchObject({ status: 'delivered', error: null, failedAtMs: null });
  });

  it('never mixes up what the engine did and what the provider delivered', async () => {
    const id = newId();
    // The engine gave up on an ambiguous attempt that had in truth arrived.
    await recordAll(
      url,
      logOf(
        [accepted({ messageId: id })],
        [failed(id)],
        [status('wamid.lost', 'delivered', BASE_MS + 5_000, { messageId: id })],
      ),
    );
    expect(await show(id)).toMatchObject({
      status: 'delivered',
      engineStatus: 'failed',
      deliveryStatus: 'delivered',
      error: null,
    });
  });

  it('does not hold the failure of an earlier provider id against a message that was sent again', async () => {
    const id = newId();
    const log = new MemoryLog();
    log.append(
      [accepted({ messageId: id }), sent(id, 'wamid.old')],
      [status('wamid.old', 'failed', BASE_MS + 1_000, { error: ERROR })],
    );
    log.append(
      [{ type: 'queued', messageId: id, atMs: BASE_MS + 2_000, seq: 77 }],
      [sent(id, 'wamid.new', 2, BASE_MS + 3_000)],
    );
    await recordAll(url, log);
    expect(await show(id)).toMatchObject({
      status: 'sent',
      deliveryStatus: null,
      error: null,
      providerMessageId: 'wamid.new',
    });
  });

  it('keeps statuses of messages that were never ours, and matches none of them', async () => {
    const tag = newId();
    await recordAll(
      url,
      logOf([
        status('wamid.foreign', 'delivered', BASE_MS),
        status('wamid.other-tag', 'read', BASE_MS, { messageId: tag }),
      ]),
    );
    expect(await record.messages.find(null, tag)).toBeNull();
    expect(await record.messages.timeline(null, tag)).toBeNull();
    const kept = await sql(url, `select status, message_id from status_events where provider_message_id = any($1)`, [
      ['wamid.foreign', 'wamid.other-tag'],
    ]);
    expect(kept).toEqual(
      expect.arrayContaining([
        { status: 'delivered', message_id: null },
        { status: 'read', message_id: tag },
      ]),
    );
  });

  it('matches statuses and messages that two shards record at the same time', async () => {
    const ids = Array.from({ length: 200 }, () => newId());
    const messages = new MemoryLog(3);
    const statuses = new MemoryLog(4);
    messages.append(...ids.map((messageId) => [accepted({ messageId }), sent(messageId, `wamid.${messageId}`)]));
    statuses.append(...ids.map((id) => [status(`wamid.${id}`, 'delivered', BASE_MS + 1_000)]).reverse());
    await Promise.all([recordAll(url, messages, { batchMax: 3 }), recordAll(url, statuses, { batchMax: 5 })]);
    const shown = await Promise.all(ids.map(show));
    expect(shown.filter((message) => message.status !== 'delivered')).toEqual([]);
  });

  it('stands in the timeline behind the send, though the provider tells whole seconds', async () => {
    const id = newId();
    await recordAll(
      url,
      logOf([
        accepted({ messageId: id, atMs: BASE_MS + 400 }),
        sent(id, 'wamid.seconds', 1, BASE_MS + 500),
        status('wamid.seconds', 'read', BASE_MS),
        status('wamid.seconds', 'delivered', BASE_MS),
        status('wamid.seconds', 'sent', BASE_MS),
      ]),
    );
    const timeline = (await record.messages.timeline(null, id)) ?? [];
    expect(timeline.map(({ event, detail }) => `${detail.source} ${event}`)).toEqual([
      'engine accepted',
      'engine sent',
      'provider sent',
      'provider delivered',
      'provider read',
    ]);
  });
});
