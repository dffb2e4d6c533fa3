import { describe, expect, it } from 'vitest';
import type { LifecycleEvent } from '../../src/model/events.ts';
import { newId } from '../../src/util/ids.ts';
import { testDatabase } from '../support/services.ts';
import { accepted, BASE_MS, ERROR, failed, report, sent } from './support/events.ts';
import { MemoryLog } from './support/memory-log.ts';
import { sql } from '../support/postgres.ts';
import { logOf, openTestRecord, recordAll, recordOfFile, snapshot } from './support/record.ts';

const { url, record } = await recordOfFile();

async function recordEntries(...entries: LifecycleEvent[][]): Promise<void> {
  await recordAll(url, logOf(...entries));
}

describe('recorder', () => {
  it('writes an accepted message with everything that its body says', async () => {
    const event = accepted({
      tenant: 'full',
      conversation: 'order-7',
      contact: '+5215512345678',
      body: {
        to: '+52 55 1234 5678',
        type: 'text',
        content: { body: 'Hola' },
        context: { message_id: 'wamid.before' },
        metadata: { order: 7 },
        createdAtMs: BASE_MS - 5,
        idempotencyKey: 'key-1',
      },
    });
    await recordEntries([event]);
    expect(await record.messages.find('full', event.messageId)).toMatchObject({
      id: event.messageId,
      tenant: 'full',
      sender: 'default',
      conversation: 'order-7',
      contact: '+5215512345678',
      to: '+52 55 1234 5678',
      recipient: null,
      type: 'text',
      content: { body: 'Hola' },
      context: { message_id: 'wamid.before' },
      metadata: { order: 7 },
      priority: 5,
      status: 'queued',
      engineStatus: 'queued',
      deliveryStatus: null,
      seq: event.seq,
      attempts: 0,
      providerMessageId: null,
      error: null,
      idempotencyKey: 'key-1',
      createdAtMs: BASE_MS - 5,
      sentAtMs: null,
    });
  });

  it('writes the same rows whether events come in one batch or one by one', async () => {
    const story = (messageId: string, tenant: string): LifecycleEvent[] => [
      { ...accepted({ messageId, tenant, atMs: BASE_MS }), seq: 1 },
      { type: 'retry', messageId, atMs: BASE_MS + 200, delayMs: 2_000, report: report(1, 'rejected', ERROR) },
      { type: 'deferred', messageId, atMs: BASE_MS + 300, delayMs: 60_000, report: report(2, 'rejected', ERROR) },
      { type: 'queued', messageId, atMs: BASE_MS + 400, seq: 2 },
      { type: 'unknown', messageId, atMs: BASE_MS + 450, waitMs: 30_000, report: report(3, 'ambiguous', ERROR) },
      { type: 'sent', messageId, atMs: BASE_MS + 500, providerMessageId: `wamid.${messageId}`, report: null },
    ];
    const together = newId();
    const apart = newId();
    await recordEntries(story(together, 'folded'));
    await recordAll(url, logOf(...story(apart, 'single').map((event) => [event])), { batchMax: 1 });
    const [one, other] = await Promise.all([
      record.messages.find('folded', together),
      record.messages.find('single', apart),
    ]);
    expect(one).toMatchObject({ status: 'sent', attempts: 3, seq: 2, sentAtMs: BASE_MS + 500, error: null });
    const same = { id: '', tenant: '', contactId: '', providerMessageId: '', updatedAtMs: 0 };
    expect({ ...other, ...same }).toEqual({ ...one, ...same });
    expect(await record.messages.attempts('folded', together)).toHaveLength(3);
    expect((await record.messages.timeline('single', apart))?.map((item) => item.event)).toEqual([
      'accepted',
      'retry',
      'deferred',
      'queued',
      'unknown',
      'sent',
    ]);
  });

  it.each([
    ['scheduled', [accepted({ sendAtMs: BASE_MS + 60_000 })]],
    ['queued', [accepted({ sendAtMs: BASE_MS - 1 })]],
    ['cancelled', [accepted(), { type: 'cancelled', messageId: '', atMs: BASE_MS + 1 }]],
    ['expired', [accepted(), { type: 'expired', messageId: '', atMs: BASE_MS + 1 }]],
    ['failed', [accepted(), failed('', 1)]],
    ['deferred', [accepted(), { type: 'deferred', messageId: '', atMs: BASE_MS + 1, delayMs: 60_000, report: null }]],
    ['unknown', [accepted(), { type: 'unknown', messageId: '', atMs: BASE_MS + 1, waitMs: null, report: null }]],
  ] satisfies [string, LifecycleEvent[]][])('shows a message as %s', async (status, events) => {
    const id = newId();
    await recordEntries(events.map((event) => ({ ...event, messageId: id })));
    const message = await record.messages.find('salon1', id);
    expect(message?.status).toBe(status);
    expect(message?.failedAtMs).toBe(status === 'failed' ? BASE_MS + 600 : null);
    expect(message?.error).toEqual(status === 'failed' ? ERROR : null);
  });

  it('takes a redriven message from failed back to queued and to sent', async () => {
    const id = newId();
    await recordEntries([accepted({ messageId: id })], [failed(id)]);
    await recordEntries([{ type: 'queued', messageId: id, atMs: BASE_MS + 700, seq: 99 }]);
    expect(await record.messages.find(null, id)).toMatchObject({ status: 'queued', failedAtMs: null });
    await recordEntries([sent(id, 'wamid.redriven', 2)]);
    expect(await record.messages.find(null, id)).toMatchObject({ status: 'sent', error: null, attempts: 2 });
  });

  it('changes nothing when committed entries are read again, in whole or in part', async () => {
    const { url: own } = await testDatabase();
    const ids = Array.from({ length: 30 }, () => newId());
    const entries = ids.flatMap((id, index): LifecycleEvent[][] => [
      [accepted({ messageId: id, conversation: `c${index % 7}` })],
      [sent(id, `wamid.${id}`)],
      [
        {
          type: 'status',
          messageId: '',
          atMs: BASE_MS + 900,
          providerMessageId: `wamid.${id}`,
          status: 'read',
          providerAtMs: BASE_MS + 800,
          error: null,
        },
      ],
    ]);
    const log = logOf(...entries);
    const stored = log.entries();
    await recordAll(own, log);
    const before = await snapshot(own);
    expect(before['messages']).toHaveLength(30);
    // The last is only the beginning: a message must not fall back from read to queued.
    const repetitions = [stored, stored, stored, stored.slice(0, 10)];
    for (const [index, batchMax] of [200, 7, 1, 200].entries()) {
      const again = new MemoryLog();
      again.restore(repetitions[index] ?? []);
      await recordAll(own, again, { batchMax });
      expect(again.length).toBe(0);
      expect(await snapshot(own)).toEqual(before);
    }
  });

  it('forgets entries only after they are committed, in the order of the log', async () => {
    const ids = Array.from({ length: 12 }, () => newId());
    const log = logOf(...ids.map((messageId) => [accepted({ messageId, tenant: 'forget' })]));
    const recordedAtForgetting: number[] = [];
    const recorded = log.recorded.bind(log);
    log.recorded = async (entries) => {
      const [row] = await sql<{ count: number }>(
        url,
        `select count(*)::integer as count from messages where tenant = 'forget'`,
      );
      recordedAtForgetting.push(row?.count ?? -1);
      await recorded(entries);
    };
    await recordAll(url, log, { batchMax: 5 });
    expect(recordedAtForgetting).toEqual([5, 10, 12]);
    expect(log.forgotten).toEqual([...log.forgotten].sort());
  });

  it('counts conversations by their messages and keeps the latest time', async () => {
    const lane = { tenant: 'counted', conversation: 'c' };
    const first = accepted({ ...lane, atMs: BASE_MS + 2_000 });
    const late = accepted({ ...lane, atMs: BASE_MS + 1_000 });
    await recordEntries([first], [late]);
    await recordEntries([accepted({ ...lane, atMs: BASE_MS + 3_000 })]);
    expect(await record.conversations.get({ tenant: 'counted', sender: 'default', id: 'c' })).toMatchObject({
      messagesOut: 3,
      createdAtMs: BASE_MS + 1_000,
      lastMessageAtMs: BASE_MS + 3_000,
    });
  });

  it('makes one contact of all names of a person, and another for another tenant', async () => {
    const tenant = 'people';
    await recordEntries(
      [accepted({ tenant, contact: '+5215512345678', body: { to: '+525512345678' } })],
      [accepted({ tenant, contact: '+5215512345678', body: { to: '+5215512345678', recipient: 'MX.1' } })],
      [accepted({ tenant, contact: 'US.99', body: { recipient: 'US.99' } })],
      [accepted({ tenant: 'others', contact: '+5215512345678' })],
    );
    const known = await record.contacts.findByAlias(tenant, 'e164', '+525512345678');
    expect(known?.aliases).toEqual([
      { kind: 'e164', value: '+5215512345678' },
      { kind: 'e164', value: '+525512345678' },
      { kind: 'user_id', value: 'MX.1' },
    ]);
    expect(await record.contacts.findByAlias(tenant, 'user_id', 'MX.1')).toEqual(known);
    const other = await record.contacts.findByAlias('others', 'e164', '+5215512345678');
    expect(other?.id).not.toBe(known?.id);
    const { items } = await record.messages.list({ tenant });
    expect(new Set(items.filter((item) => item.contact.startsWith('+')).map((item) => item.contactId))).toEqual(
      new Set([known?.id]),
    );
    expect((await record.contacts.list(tenant)).items).toHaveLength(2);
  });

  it('remembers a tenant that was made while PostgreSQL was away', async () => {
    await recordEntries([accepted({ tenant: 'made-meanwhile' })]);
    expect(await record.tenants.get('made-meanwhile')).toMatchObject({ name: 'made-meanwhile', concurrency: 5 });
  });

  it('keeps text that PostgreSQL cannot hold as it is, with a mark in place of what it cannot', async () => {
    const id = newId();
    const content = { body: 'a\0b \ud83d c', 'k\0': ['\\u0000 stays'] };
    await recordEntries([accepted({ messageId: id, conversation: 'x\0y', body: { content } })]);
    expect(await record.messages.find(null, id)).toMatchObject({
      conversation: 'x\uFFFDy',
      content: { body: 'a\uFFFDb \uFFFD c', 'k\uFFFD': ['\\u0000 stays'] },
    });
  });

  it('puts no text of the message and no phone number into the timeline', async () => {
    const id = newId();
    await recordEntries([
      accepted({ messageId: id, contact: '+966511111111', body: { content: { body: 'a secret' } } }),
      sent(id, 'wamid.timeline'),
    ]);
    const timeline = JSON.stringify(await record.messages.timeline(null, id));
    expect(timeline).toContain('wamid.timeline');
    expect(timeline).not.toMatch(/a secret|966511111111/);
  });

  it('counts totals per shard and state', async () => {
    const { url: own } = await testDatabase();
    const ownRecord = openTestRecord(own);
    const ids = [newId(), newId(), newId()] as const;
    await recordAll(
      own,
      logOf(
        ids.map((messageId) => accepted({ messageId })),
        [sent(ids[0], 'wamid.total'), failed(ids[1])],
      ),
    );
    expect(await ownRecord.totals.byStatus()).toEqual([
      { shard: 0, engineStatus: 'failed', status: 'failed', count: 1 },
      { shard: 0, engineStatus: 'queued', status: 'queued', count: 1 },
      { shard: 0, engineStatus: 'sent', status: 'sent', count: 1 },
    ]);
    expect(await ownRecord.totals.quarantined()).toEqual([]);
    await ownRecord.close();
  });
});
