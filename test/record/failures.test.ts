import { beforeEach, describe, expect, it } from 'vitest';
import type { LifecycleEvent } from '../../src/model/events.ts';
import type { LaterRetry } from '../../src/model/later-retry.ts';
import { newId } from '../../src/util/ids.ts';
import { testDatabase } from '../support/services.ts';
import { accepted, BASE_MS, ERROR, failed, report, sent, status } from './support/events.ts';
import { sql } from '../support/postgres.ts';
import { logOf, recordAll } from './support/record.ts';

let url: string;
beforeEach(async () => {
  url = (await testDatabase()).url;
});

interface FailureRow {
  readonly id: string;
  readonly status: string;
  readonly attempt_count: number;
  readonly next_retry_at: Date | null;
  readonly resolved_at: Date | null;
  readonly last_attempt_at: Date | null;
  readonly error_code: string;
  readonly metadata: Record<string, unknown>;
  readonly message: string;
  readonly phone_number: string;
  readonly idempotency_key: string | null;
}
const failures = () => sql<FailureRow>(url, 'select * from whatsapp_delivery_failures order by id');
const letters = async () =>
  (await sql<{ message_id: string }>(url, 'select message_id from dead_letters')).map((row) => row.message_id);
const record = (...entries: (readonly LifecycleEvent[])[]) => recordAll(url, logOf(...entries));

function deferred(messageId: string, slowRetries: number, delayMs = 60_000): LifecycleEvent {
  const attempt = 3 + slowRetries;
  return {
    type: 'deferred',
    messageId,
    atMs: BASE_MS + attempt * 1000,
    delayMs,
    slowRetries,
    report: report(attempt, 'rejected', { ...ERROR, providerCode: '131000' }),
  };
}
const reported = (provider: string, laterRetry?: LaterRetry, atMs = BASE_MS + 5000): LifecycleEvent => ({
  ...status(provider, 'failed', atMs, { error: { ...ERROR, code: 'DELIVERY_FAILED', providerCode: '131049' } }),
  ...(laterRetry === undefined ? {} : { laterRetry }),
});

describe('whatsapp_delivery_failures', () => {
  it('F4 · has the columns, defaults, states and indexes of the row', async () => {
    const columns = await sql<{ column_name: string; column_default: string | null }>(
      url,
      `select column_name, column_default from information_schema.columns
       where table_name = 'whatsapp_delivery_failures' order by ordinal_position`,
    );
    expect(columns.map((column) => column.column_name)).toEqual(
      `id phone_number message idempotency_key error_message error_code attempt_count status metadata next_retry_at
       last_attempt_at resolved_at created_at updated_at`.split(/\s+/),
    );
    const defaults = Object.fromEntries(columns.map((column) => [column.column_name, column.column_default]));
    expect(defaults['attempt_count']).toBe('1');
    expect(defaults['status']).toBe("'PENDING'::text");
    const indexes = await sql<{ indexdef: string }>(
      url,
      `select indexdef from pg_indexes where tablename = 'whatsapp_delivery_failures'`,
    );
    for (const wanted of [
      '(phone_number)',
      '(status, next_retry_at)',
      '(idempotency_key)',
      'idx_whatsapp_failures_retry ON public.whatsapp_delivery_failures USING btree (status, next_retry_at, attempt_count)',
    ]) {
      expect(indexes.some(({ indexdef }) => indexdef.includes(wanted))).toBe(true);
    }
    await expect(
      sql(url, `insert into whatsapp_delivery_failures (phone_number, message, status) values ('+1', 'x', 'LOST')`),
    ).rejects.toThrow(/status_check/);
    const [row] = await sql<FailureRow>(
      url,
      `insert into whatsapp_delivery_failures (phone_number, message) values ('+1', 'x') returning *`,
    );
    expect(row).toMatchObject({ attempt_count: 1, status: 'PENDING', metadata: {} });
  });

  it('F5 · attempt_count is 1 when the row is made and grows by one per slow retry; the fifth failing makes it FAILED', async () => {
    const messageId = newId();
    await record([accepted({ messageId, contact: '+966500000009', body: { idempotencyKey: 'key-1' } })]);
    for (const slowRetries of [0, 1, 2, 3, 4]) {
      await record([deferred(messageId, slowRetries)]);
      const [row] = await failures();
      expect(row).toMatchObject({ status: 'PENDING', attempt_count: slowRetries + 1, error_code: '131000' });
      expect(row?.next_retry_at?.getTime()).toBe(BASE_MS + (3 + slowRetries) * 1000 + 60_000);
    }
    expect(await letters()).toEqual([]);
    await record([{ ...failed(messageId, 8), slowRetries: 5 } as LifecycleEvent]);
    expect((await failures())[0]).toMatchObject({
      id: messageId,
      status: 'FAILED',
      attempt_count: 6,
      next_retry_at: null,
      phone_number: '+966500000009',
      message: 'Hello',
      idempotency_key: 'key-1',
      metadata: { messageId, tenant: 'salon1', sender: 'default', type: 'text' },
    });
    expect(await letters()).toEqual([messageId]);
  });

  it('F5 · success marks it RESOLVED, and a message that goes well at once has no row', async () => {
    const [slow, quick] = [newId(), newId()];
    await record([accepted({ messageId: slow }), accepted({ messageId: quick }), deferred(slow, 0)]);
    await record([sent(quick, 'wamid.quick'), { ...sent(slow, 'wamid.slow', 4), slowRetries: 1 }]);
    expect(await failures()).toMatchObject([{ id: slow, status: 'RESOLVED', attempt_count: 2, next_retry_at: null }]);
    expect((await failures())[0]?.resolved_at).not.toBeNull();
  });

  it('F5 · a pause that the provider asks for is marked, also after a repair, until a person redrives it', async () => {
    const messageId = newId();
    const asked = { ...deferred(messageId, 0, 86_400_000), asked: true } as LifecycleEvent;
    await record([accepted({ messageId })], [asked]);
    const waitsFor = async () => (await failures())[0]?.metadata['waitsFor'];
    expect(await waitsFor()).toBe('provider');
    const back = { type: 'redriven', messageId, atMs: BASE_MS + 9000, by: 'ada', delayMs: 0 } as const;
    await record([{ ...back, cause: 'repair' }]);
    expect(await waitsFor()).toBe('provider');
    await record([{ ...back, cause: 'person' }]);
    expect(await waitsFor()).toBe('schedule');
  });

  it('F4 · recording the events twice, or all in one batch, changes nothing', async () => {
    const messageId = newId();
    const events = [
      accepted({ messageId }),
      deferred(messageId, 0),
      deferred(messageId, 1),
      { ...failed(messageId, 5), slowRetries: 2 } as LifecycleEvent,
      { type: 'redriven', messageId, atMs: BASE_MS + 9000, cause: 'person', by: 'ada', delayMs: 0 } as const,
    ];
    const log = logOf(events);
    const entries = log.entries();
    await recordAll(url, log);
    const first = await failures();
    expect(first).toMatchObject([
      { status: 'PENDING', attempt_count: 1, metadata: { redrivenBy: 'ada', redrives: 1 } },
    ]);
    const again = logOf();
    again.restore(entries);
    await recordAll(url, again);
    expect(await failures()).toEqual(first);
    expect(await letters()).toEqual([]);
  });

  it('F4 · a message that is cancelled or expires while it waits leaves no pending row', async () => {
    const [cancelled, expired] = [newId(), newId()];
    await record([accepted({ messageId: cancelled }), accepted({ messageId: expired })]);
    await record([deferred(cancelled, 0), deferred(expired, 0)]);
    await record([
      { type: 'cancelled', messageId: cancelled, atMs: BASE_MS },
      { type: 'expired', messageId: expired, atMs: BASE_MS },
    ]);
    const byId = new Map((await failures()).map((row) => [row.id, row]));
    expect(byId.get(cancelled)).toMatchObject({ status: 'RESOLVED', metadata: { resolution: 'cancelled' } });
    expect(byId.get(expired)).toMatchObject({ status: 'FAILED', metadata: { resolution: 'expired' } });
    expect(await letters()).toEqual([]);
  });
});

describe('a failure that a status reports later', () => {
  const DAY_MS = 86_400_000;

  it('F4 · is final where the table says nothing, and a dead letter', async () => {
    const messageId = newId();
    await record([accepted({ messageId })], [sent(messageId, 'wamid.1')], [reported('wamid.1')]);
    expect(await failures()).toMatchObject([
      { status: 'FAILED', error_code: '131049', metadata: { source: 'report' } },
    ]);
    expect(await letters()).toEqual([messageId]);
  });

  it('F4 · waits as long as the table says, once, and is final the second time', async () => {
    const messageId = newId();
    const policy = { waitMs: DAY_MS, retriesMax: 1 };
    // The status comes before the answer is recorded.
    await record([accepted({ messageId }), reported('wamid.1', policy)], [sent(messageId, 'wamid.1')]);
    const [row] = await failures();
    expect(row).toMatchObject({ status: 'PENDING', attempt_count: 1, metadata: { source: 'report' } });
    expect(row?.next_retry_at?.getTime()).toBe(BASE_MS + 5000 + DAY_MS);
    expect(await letters()).toEqual([]);
    const back = {
      type: 'redriven',
      messageId,
      atMs: BASE_MS + 6000,
      cause: 'report',
      by: 'waxwing',
      delayMs: 1,
    } as const;
    await record([back]);
    expect((await failures())[0]).toMatchObject({
      status: 'PENDING',
      attempt_count: 2,
      metadata: { source: 'attempt' },
    });
    // The old id reported again changes nothing: it has been tried again since.
    await record([sent(messageId, 'wamid.2', 2), reported('wamid.1', policy, BASE_MS + 7000)]);
    expect((await failures())[0]).toMatchObject({ status: 'RESOLVED' });
    await record([reported('wamid.2', policy, BASE_MS + 8000)]);
    expect((await failures())[0]).toMatchObject({ status: 'FAILED', next_retry_at: null });
    expect(await letters()).toEqual([messageId]);
  });

  it.each([
    ['with its send', (again: LifecycleEvent, told: LifecycleEvent) => [[again, told]]],
    ['before its send', (again: LifecycleEvent, told: LifecycleEvent) => [[told], [again]]],
    ['after its send', (again: LifecycleEvent, told: LifecycleEvent) => [[again], [told]]],
  ])('F4 · counts the second time also within the same second, recorded %s', async (_when, entriesOf) => {
    const messageId = newId();
    const policy = { waitMs: 1, retriesMax: 1 };
    await record([accepted({ messageId }), sent(messageId, 'wamid.1'), reported('wamid.1', policy)]);
    await record([{ type: 'redriven', messageId, atMs: BASE_MS + 6000, cause: 'report', by: 'waxwing', delayMs: 1 }]);
    // Providers tell whole seconds: the same time and the same words as of the first id.
    const told: (string | null)[] = [];
    let undelivered = 0;
    for (const entry of entriesOf(sent(messageId, 'wamid.2', 2), reported('wamid.2', policy))) {
      await recordAll(url, logOf(entry), {
        onBatch(batch) {
          told.push(...batch.deliveries.map(({ status: now }) => now));
          undelivered += batch.undelivered;
        },
      });
    }
    expect(told.at(-1)).toBe('failed');
    expect(undelivered).toBe(1);
    expect(await failures()).toMatchObject([{ status: 'FAILED', next_retry_at: null, attempt_count: 2 }]);
    expect(await letters()).toEqual([messageId]);
  });

  it('S13 · is counted once, when it is final, however often and late it is told', async () => {
    const [final, later] = [newId(), newId()];
    const policy = { waitMs: 1000, retriesMax: 1 };
    let counted = 0;
    const log = logOf(
      [accepted({ messageId: final }), accepted({ messageId: later }), reported('wamid.1')],
      [sent(final, 'wamid.1'), sent(later, 'wamid.2'), reported('wamid.2', policy)],
      [reported('wamid.1', undefined, BASE_MS + 9000), status('wamid.1', 'sent', BASE_MS + 4000)],
    );
    const entries = log.entries();
    const onBatch = ({ undelivered }: { readonly undelivered: number }) => (counted += undelivered);
    await recordAll(url, log, { onBatch, batchMax: 1 });
    expect(counted).toBe(1);
    const again = logOf();
    again.restore(entries);
    await recordAll(url, again, { onBatch });
    expect(counted).toBe(1);
  });

  it('F4 · of media is tried again for a link only', async () => {
    const [link, id] = [newId(), newId()];
    const policy = { waitMs: 1000, retriesMax: 1, onlyForLink: true };
    await record([
      accepted({ messageId: link, body: { type: 'image', content: { link: 'https://example.com/a.png' } } }),
      accepted({ messageId: id, body: { type: 'image', content: { id: '123' } } }),
      sent(link, 'wamid.link'),
      sent(id, 'wamid.id'),
      reported('wamid.link', policy),
      reported('wamid.id', policy),
    ]);
    const states = new Map((await failures()).map((row) => [row.id, row.status]));
    expect([states.get(link), states.get(id)]).toEqual(['PENDING', 'FAILED']);
    expect((await failures()).find((row) => row.id === link)?.message).toContain('example.com');
  });

  it('F4 · is taken back when a device got the message after all', async () => {
    const messageId = newId();
    await record([accepted({ messageId })], [sent(messageId, 'wamid.1')], [reported('wamid.1')]);
    await record([status('wamid.1', 'delivered', BASE_MS + 9000)]);
    expect(await failures()).toMatchObject([{ status: 'RESOLVED', metadata: { resolution: 'delivered' } }]);
    expect(await letters()).toEqual([]);
  });
});

describe('dead letters', () => {
  it('S12 · hold what is unknown and waits for a person, until it is resent, closed or proved', async () => {
    const [resent, closed, proved] = [newId(), newId(), newId()];
    const held = (messageId: string): LifecycleEvent => ({
      type: 'unknown',
      messageId,
      atMs: BASE_MS,
      waitMs: null,
      report: null,
    });
    const ids = [resent, closed, proved];
    await record(
      ids.map((messageId) => accepted({ messageId })),
      ids.map(held),
    );
    expect((await letters()).sort()).toEqual([...ids].sort());
    await record([
      { type: 'redriven', messageId: resent, atMs: BASE_MS, cause: 'person', by: 'ada', delayMs: 0 },
      { type: 'failed', messageId: closed, atMs: BASE_MS, error: ERROR, closedBy: 'ada', report: null },
      { type: 'sent', messageId: proved, atMs: BASE_MS, providerMessageId: 'wamid.p', report: null },
    ]);
    expect(await letters()).toEqual([]);
    expect((await failures()).find((row) => row.id === closed)).toMatchObject({
      status: 'FAILED',
      metadata: { discardedBy: 'ada' },
    });
  });
});
