import pino from 'pino';
import { describe, expect, it } from 'vitest';
import { type Emulator } from '../../src/emulator/index.ts';
import { generateIdempotencyKey, percentileOf } from '../../src/messages/index.ts';
import { sql } from '../support/postgres.ts';
import { eventually, testRedis } from '../support/services.ts';
import { waxwingPlace } from '../support/waxwing.ts';

/* The throttled sender and direct mode, from the library's functions to the emulator's ledger. */

const GAP_MS = 250;
/** The times are whole milliseconds of the machine's clock. */
const CLOCK_MS = 2;

const { database, emulator, start } = await waxwingPlace({
  WHATSAPP_RATE_LIMIT_MS: String(GAP_MS),
  QUEUE_BACKOFF_DELAY: '20',
});

let numbers = 0;
const phone = () => `+4477009${String((numbers += 1)).padStart(5, '0')}`;
const sentTo = (to: string) => emulator.ledger().filter((entry) => entry.recipient === to.slice(1));
/** By the times at which they were begun: on a busy machine they arrive nearer together. */
async function expectApart(ids: readonly string[]): Promise<void> {
  const starts = await eventually(async () => {
    const found = await sql<{ started_at: Date }>(
      database.url,
      'select started_at from attempts where message_id = any($1) order by started_at',
      [ids],
    );
    return found.length === ids.length && found.map((row) => row.started_at.getTime());
  });
  for (const [index, atMs] of starts.slice(1).entries()) {
    expect(atMs - (starts[index] ?? 0)).toBeGreaterThanOrEqual(GAP_MS - CLOCK_MS);
  }
}
const job = (restaurantId: string, phoneNumber: string, text: string) => ({ restaurantId, phoneNumber, text });

describe('throttled sender', () => {
  it('F2 · F3 · exactly one of immediate, queued, duplicate; the job id is the key, and metadata keeps it', async () => {
    const waxwing = await start();
    const to = phone();
    const first = await waxwing.sendMessage(to, 'Your table is ready', { metadata: { order: 7 } });
    expect([first.immediate, first.queued, first.duplicate].filter(Boolean)).toHaveLength(1);
    expect(first).toMatchObject({ jobId: generateIdempotencyKey(to, 'Your table is ready'), direct: false });
    expect(first.jobId).toMatch(/^whatsapp:\+\d+:[0-9a-f]{16}$/);
    const again = await waxwing.throttled.sendMessage(to, 'Your table is ready');
    expect(again).toMatchObject({ immediate: false, queued: false, duplicate: true, jobId: first.jobId });
    expect(again.messageId).toBe(first.messageId);
    const other = await waxwing.sendMessage(to, 'Your table is ready', { type: 'reminder' });
    expect(other.duplicate).toBe(false);
    expect(other.jobId).toBe(waxwing.generateIdempotencyKey(to, 'Your table is ready', { type: 'reminder' }));
    const stored = await waxwing.messages.get(first.messageId, { kind: 'platform' });
    expect(stored.metadata).toEqual({ order: 7, idempotencyKey: first.jobId });
  });

  it('F3 · a repetition that was skipped is logged, with neither the person nor the text', async () => {
    const lines: string[] = [];
    const log = pino({ level: 'info' }, { write: (line: string) => lines.push(line) });
    const waxwing = await start({}, 'all', log);
    const to = phone();
    const first = await waxwing.sendMessage(to, 'planted text');
    await waxwing.sendMessage(to, 'another one');
    await waxwing.sendMessage(to, 'planted text');
    const told = lines.filter((line) => line.includes('skipped'));
    expect(told.map((line) => JSON.parse(line) as unknown)).toEqual([
      expect.objectContaining({ level: 30, messageId: first.messageId, tenant: 'default' }),
    ]);
    expect(lines.join('')).not.toMatch(new RegExp(`planted|${to.slice(1)}`));
  });

  it('F7 · getStats() counts limits, failures and the queue', async () => {
    const waxwing = await start({ WHATSAPP_RATE_LIMIT_MS: '60000' });
    const to = phone();
    await waxwing.sendMessage(to, 'one');
    await waxwing.sendMessage(to, 'two');
    await eventually(async () => {
      const stats = await waxwing.getStats();
      return stats.throttling.activeRateLimits >= 1 && stats.queue.waiting >= 1;
    });
    expect(await waxwing.getStats()).toMatchObject({
      deliveryFailures: { pending: 0, resolved: 0, failed: 0 },
      queue: { waiting: expect.any(Number) as number, active: expect.any(Number) as number },
    });
  });
});

describe('the limit of a pair', () => {
  it('F6 · is cleared for a person, however the number is written: what waits goes at once', async () => {
    const waxwing = await start({ WHATSAPP_RATE_LIMIT_MS: '3600000' });
    const to = phone();
    await waxwing.sendMessage(to, 'one');
    await eventually(() => sentTo(to).length === 1);
    const { messageId } = await waxwing.sendMessage(to, 'two');
    await eventually(
      async () => (await waxwing.messages.explain(messageId, { kind: 'platform' })).hold?.kind === 'pair',
    );
    await waxwing.failures.clearPairLimit(`${to.slice(0, 5)} ${to.slice(5)}`);
    await eventually(() => sentTo(to).length === 2);
  });
});

describe('direct mode', () => {
  it('S7 · switched off: sent inside the process, in order, the pair gap kept, recorded and said', async () => {
    const waxwing = await start({ WHATSAPP_SEND_QUEUE_ENABLED: 'false' }, 'web');
    const to = phone();
    const texts = ['a', 'b', 'c', 'd'];
    const sent = await Promise.all(texts.map((text) => waxwing.sendMessage(to, text)));
    for (const one of sent) expect(one).toMatchObject({ direct: true, immediate: true, queued: false });
    const entries = sentTo(to);
    expect(entries.map(({ tag }) => tag?.split('.')[1])).toEqual(sent.map(({ messageId }) => messageId));
    await expectApart(sent.map(({ messageId }) => messageId));
    expect(await waxwing.sendMessage(to, 'a')).toMatchObject({ duplicate: true, messageId: sent[0]?.messageId });
    const id = sent[0]?.messageId ?? '';
    const stored = await eventually(() => waxwing.messages.get(id, { kind: 'platform' }));
    expect(stored).toMatchObject({ status: 'sent', attempts: 1 });
    const { items } = await waxwing.messages.timeline(id, { kind: 'platform' });
    expect(items.map(({ event }) => event).slice(0, 2)).toEqual(['accepted', 'sent']);
  });

  it('S7 · a refusal is final, an outage is retried and told, and a lost answer is never sent again', async () => {
    const waxwing = await start({ WHATSAPP_SEND_QUEUE_ENABLED: 'false' }, 'web');
    const [refused, down, lost] = [phone(), phone(), phone()];
    const ruleFor = (to: string, action: Parameters<Emulator['addRule']>[0]['action']) =>
      emulator.addRule({ match: { recipient: to }, action });
    ruleFor(refused, { kind: 'error', code: 131026, httpStatus: 400 });
    ruleFor(down, { kind: 'error', code: 131016, httpStatus: 500 });
    ruleFor(lost, { kind: 'reset', when: 'after' });
    await expect(waxwing.sendMessage(refused, 'x')).rejects.toMatchObject({ code: 'DIRECT_REFUSED' });
    await expect(waxwing.sendMessage(down, 'x')).rejects.toMatchObject({ code: 'DIRECT_NOT_SENT', retryable: true });
    expect(sentTo(down)).toHaveLength(3);
    await expect(waxwing.sendMessage(lost, 'x')).rejects.toMatchObject({ code: 'DIRECT_UNKNOWN' });
    // The same content again is its repetition: nothing goes out a second time, and nobody says that it was sent.
    await expect(waxwing.sendMessage(lost, 'x')).rejects.toMatchObject({ code: 'DIRECT_UNKNOWN' });
    expect(sentTo(lost)).toHaveLength(1);
  });

  it('S7 · the queue unreachable: direct and said, or 503 with reject; back on the queue when it is there', async () => {
    const own = await testRedis();
    const waxwing = await start({ REDIS_URL: own.url }, 'web');
    const strict = await start({ REDIS_URL: own.url, WHATSAPP_SEND_FALLBACK: 'reject' }, 'web');
    const to = phone();
    expect(await waxwing.sendMessage(phone(), 'on the queue', { tenant: 't1' })).toMatchObject({ direct: false });
    await strict.enqueueWhatsAppSend(job('t1', phone(), 'this process knows tenant and sender'));
    await own.kill('SIGKILL');
    const sent = await eventually(() => waxwing.sendMessage(to, 'past it', { tenant: 't1' }));
    expect(sent).toMatchObject({ direct: true, immediate: true });
    expect(sentTo(to)).toHaveLength(1);
    await expect(strict.sendMessage(to, 'no', { tenant: 't1' })).rejects.toMatchObject({ code: 'QUEUE_UNAVAILABLE' });
    await own.restart();
    const after = await eventually(async () => {
      const one = await waxwing.sendMessage(phone(), 'again', { tenant: 't1' });
      return one.direct ? false : one;
    });
    expect(after.direct).toBe(false);
  });

  it('S14 · rollback: what is queued goes first, in order, then the direct sends of the same conversation', async () => {
    const before = await start();
    const to = phone();
    const queued: string[] = [];
    for (const text of ['1', '2', '3', '4']) queued.push((await before.enqueueWhatsAppSend(job('t2', to, text))).id);
    const after = await start({ WHATSAPP_SEND_QUEUE_ENABLED: 'false' }, 'web');
    const sent = await after.sendMessage(to, '5', { tenant: 't2' });
    expect(sent.direct).toBe(true);
    const order = sentTo(to).map(({ tag }) => tag?.split('.')[1]);
    expect(order).toEqual([...queued, sent.messageId]);
    await expectApart([...queued, sent.messageId]);
  });

  it('S14 · a percentage of the tenants, by a stable hash, and a growing share keeps who was in', () => {
    const tenants = Array.from({ length: 5000 }, (_, n) => `salon-${n}`);
    const at = (percent: number) => new Set(tenants.filter((tenant) => percentileOf(tenant) < percent));
    const [ten, half] = [at(10), at(50)];
    expect(ten.size / tenants.length).toBeCloseTo(0.1, 1);
    expect(half.size / tenants.length).toBeCloseTo(0.5, 1);
    expect([...ten].every((tenant) => half.has(tenant))).toBe(true);
    expect(at(0).size + (tenants.length - at(100).size)).toBe(0);
  });
});
