import { expect, test } from 'vitest';
import type { LifecycleEvent } from '../../src/model/events.ts';
import type { NewInboundMessage } from '../../src/record/index.ts';
import { newId } from '../../src/util/ids.ts';
import { accepted, BASE_MS, ERROR, failed, sent, status } from './support/events.ts';
import { sql } from '../support/postgres.ts';
import { logOf, recordAll, recordOfFile } from './support/record.ts';

const { url, record } = await recordOfFile();

const HOUR_MS = 3_600_000;
const range = (tenant: string | null, timeZone = 'UTC') => ({
  tenant,
  fromMs: BASE_MS - 100 * HOUR_MS,
  toMs: BASE_MS + 100 * HOUR_MS,
  timeZone,
});

/** What the counters say, and what counting the messages themselves says. */
async function bothCounts(tenant: string) {
  const counted = await sql(
    url,
    `select status, is_sent, reason, sum(messages)::int as n, sum(send_ms)::int as send_ms from message_stats
     where tenant = $1 group by 1, 2, 3 having sum(messages) <> 0 or sum(send_ms) <> 0 order by 1, 2, 3`,
    [tenant],
  );
  const recounted = await sql(
    url,
    `select status, sent_at is not null as is_sent, stats_reason(status, error, delivery_error) as reason,
       count(*)::int as n,
       coalesce(sum(extract(epoch from sent_at - coalesce(send_at, created_at)) * 1000), 0)::int as send_ms
     from messages where $1 in ('', tenant) group by 1, 2, 3 order by 1, 2, 3`,
    [tenant],
  );
  return { counted, recounted };
}

test('C2 · counters follow every change of a message, and recording a batch again counts nothing twice', async () => {
  const events: LifecycleEvent[][] = [];
  for (let n = 0; n < 60; n += 1) {
    const first = accepted({ tenant: `t${n % 2}`, conversation: `c${n % 7}`, atMs: BASE_MS + n * 10 * 60_000 });
    const { messageId, atMs } = first;
    events.push([first]);
    if (n % 5 === 0) events.push([failed(messageId, 1, atMs + 600)]);
    else if (n % 5 !== 1) {
      events.push([sent(messageId, `wamid.${n}`, 1, atMs + 500)]);
      if (n % 5 !== 2) events.push([status(`wamid.${n}`, 'delivered', atMs + 1000)]);
      if (n % 10 === 4) events.push([status(`wamid.${n}`, 'read', atMs + 2000)]);
      if (n === 7) events.push([status('wamid.7', 'failed', atMs + 3000, { error: ERROR })]);
    }
  }
  await recordAll(url, logOf(...events), { batchMax: 7 });
  for (const tenant of ['t0', 't1', '']) {
    const { counted, recounted } = await bothCounts(tenant);
    expect(counted).toEqual(recounted);
    expect(counted.length).toBeGreaterThan(3);
  }
  await recordAll(url, logOf(...events), { batchMax: 50 });
  const { counted, recounted } = await bothCounts('');
  expect(counted).toEqual(recounted);
});

test('C2 · a failure that the provider reports later moves the message and its reason', async () => {
  const first = accepted({ tenant: 'reports' });
  await recordAll(url, logOf([first, sent(first.messageId, 'wamid.reports')]));
  expect((await record.stats.counts(range('reports'))).totals).toEqual([
    { status: 'sent', isSent: true, messages: 1, sendMs: 500 },
  ]);
  await recordAll(url, logOf([status('wamid.reports', 'failed', BASE_MS + 900, { error: ERROR })]));
  const counts = await record.stats.counts(range('reports'));
  expect(counts.totals).toEqual([{ status: 'failed', isSent: true, messages: 1, sendMs: 500 }]);
  expect(counts.failures).toEqual([{ code: ERROR.code, providerCode: ERROR.providerCode, messages: 1 }]);
});

test('C2 · days and hours are those of the asked time zone', async () => {
  await recordAll(url, logOf([accepted({ tenant: 'zones', atMs: Date.UTC(2025, 9, 10, 22, 40) })]));
  const asked = { tenant: 'zones', fromMs: Date.UTC(2025, 9, 1), toMs: Date.UTC(2025, 10, 1) };
  const utc = await record.stats.counts({ ...asked, timeZone: 'UTC' });
  expect([utc.days[0]?.day, utc.sentByHour]).toEqual(['2025-10-10', [{ hour: 22, messages: 1 }]]);
  const kolkata = await record.stats.counts({ ...asked, timeZone: 'Asia/Kolkata' });
  expect([kolkata.days[0]?.day, kolkata.sentByHour]).toEqual(['2025-10-11', [{ hour: 4, messages: 1 }]]);
});

const inbound = (more: Partial<NewInboundMessage> = {}): NewInboundMessage => {
  const receivedAtMs = more.receivedAtMs ?? BASE_MS;
  return {
    tenant: 'answers',
    sender: 'default',
    webhookId: newId(),
    providerMessageId: `wamid.in.${newId()}`,
    isEcho: false,
    type: 'text',
    content: { body: 'Hello' },
    replyTo: null,
    referral: null,
    providerAtMs: receivedAtMs,
    receivedAtMs,
    aliases: [{ kind: 'e164', value: '+966500000001' }],
    name: null,
    conversation: 'c1',
    windowUntilMs: receivedAtMs + 24 * HOUR_MS,
    ...more,
  };
};

test('C2 · response time runs from the first unanswered message to the next message sent, once', async () => {
  const add = (...messages: NewInboundMessage[]) => record.inbound.add({ messages, webhooks: [], events: [] });
  const first = inbound({ receivedAtMs: BASE_MS });
  await add(first);
  await add(inbound({ receivedAtMs: BASE_MS + 20_000 }));
  await add(first); // a repeat
  const early = accepted({ tenant: 'answers', atMs: BASE_MS - 1000 });
  const answer = accepted({ tenant: 'answers', atMs: BASE_MS + 60_000 });
  const more = accepted({ tenant: 'answers', atMs: BASE_MS + 90_000 });
  await recordAll(url, logOf([early], [answer, more]));
  await recordAll(url, logOf([answer]));
  await add(inbound({ receivedAtMs: BASE_MS + 120_000 }));
  await add(inbound({ receivedAtMs: BASE_MS + 130_000, isEcho: true })); // answered on the phone
  await recordAll(url, logOf([accepted({ tenant: 'answers', atMs: BASE_MS + HOUR_MS })]));
  const counts = await record.stats.counts(range('answers'));
  expect(counts.responses).toEqual([{ bucket: 23, responses: 1, responseMs: 60_000 }]);
  expect(counts.receivedByDay).toEqual([{ day: '2025-10-09', messages: 3 }]);
});
