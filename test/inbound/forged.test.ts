import { createHmac, randomBytes } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { AppError } from '../../src/errors/app-error.ts';
import { eventually, testDatabase, testRedis } from '../support/services.ts';
import { watchStandstill } from '../support/standstill.ts';
import { sql } from '../support/postgres.ts';
import { APP_SECRET, cloudBody, cloudMessage, signatureOf } from './support/cloud.ts';
import { openRoom, roomOfFile } from './support/room.ts';

const { url, room } = await roomOfFile({ works: false });

/** @returns 200, or the status of the refusal */
async function post(body: Buffer, signature: string | undefined): Promise<number> {
  const headers = { 'x-hub-signature-256': signature };
  try {
    await room.reception.receive({
      provider: 'cloud',
      sender: undefined,
      body,
      headers,
      path: '/webhooks/whatsapp/cloud',
    });
    return 200;
  } catch (error) {
    if (error instanceof AppError) return error.status;
    throw error;
  }
}
const kept = async (): Promise<number> => {
  const { waiting } = await room.queues.getQueueStats('webhook');
  const [raw] = await sql<{ n: number }>(url, 'select count(*)::integer as n from raw_webhooks');
  return waiting + (raw?.n ?? 0);
};

describe('bodies that nobody signed', () => {
  const good = Buffer.from(cloudBody({ messages: [cloudMessage({ text: { body: 'Grüße, ok/nein <b>@100%' } })] }));
  const text = good.toString();
  const hex = signatureOf(good).slice(7);
  const forged: [Buffer, string | undefined][] = [
    ...Array.from({ length: 60 }, (_, n): [Buffer, string] => [
      good.subarray(0, good.length - 1 - n),
      signatureOf(good),
    ]),
    ...Array.from({ length: 60 }, (_, n): [Buffer, string] => {
      const changed = Buffer.from(good);
      const at = Math.floor((n * good.length) / 60);
      changed[at] = (changed[at] ?? 0) ^ 1;
      return [changed, signatureOf(good)];
    }),
    ...Array.from({ length: 40 }, (): [Buffer, string] => [good, `sha256=${randomBytes(32).toString('hex')}`]),
    ...Array.from({ length: 30 }, (_, n): [Buffer, string] => [good, `sha256=${hex.slice(0, 2 * n)}`]),
    ...Array.from({ length: 20 }, (_, n): [Buffer, string] => [good, signatureOf(good, `${APP_SECRET}${n}`)]),
    [good, undefined],
    [good, ''],
    [good, hex],
    [good, `sha1=${createHmac('sha1', APP_SECRET).update(good).digest('hex')}`],
    [good, `sha512=${createHmac('sha512', APP_SECRET).update(good).digest('hex')}`],
    [good, `sha256=${createHmac('sha256', APP_SECRET).update(good).digest('base64')}`],
    [good, signatureOf(good, '')],
    [good, `${signatureOf(good)} `],
    [good, `${signatureOf(good)}00`],
    [Buffer.from(JSON.stringify(JSON.parse(text), null, 1)), signatureOf(good)],
    [Buffer.from(text.replaceAll('/', '\\/')), signatureOf(good)],
    [Buffer.from(text.replaceAll('ü', '\\u00fc')), signatureOf(good)],
    [Buffer.from(text.normalize('NFD')), signatureOf(good)],
    [Buffer.from(`\uFEFF${text}`), signatureOf(good)],
    [Buffer.from(text, 'utf16le'), signatureOf(good)],
    [gzipSync(good), signatureOf(good)],
    [Buffer.concat([good, good]), signatureOf(good)],
    [Buffer.alloc(0), signatureOf(good)],
  ];

  test('F40 · more than 200 forged, truncated and re-encoded bodies: none is accepted, nothing is kept', async () => {
    expect(forged.length).toBeGreaterThan(200);
    const before = await kept();
    const accepted: number[] = [];
    for (const [index, [body, signature]] of forged.entries()) {
      if ((await post(body, signature)) !== 401) accepted.push(index);
    }
    expect(accepted).toEqual([]);
    expect(await kept()).toBe(before);
    expect(await post(good, signatureOf(good))).toBe(200);
    expect(await kept()).toBe(before + 1);
  });
});

test('F42 · nasty bodies with a good signature are 400 or kept, never an error of ours', async () => {
  const nasty = [
    '',
    ' ',
    '{',
    '[',
    '"',
    'null',
    'true',
    '0',
    '1e400',
    '-',
    '{"a":}',
    '{"a":1,}',
    '[1,]',
    "{'a':1}",
    '{"a":1}{"b":2}',
    'NaN',
    'Infinity',
    '\u0000',
    '\ufeff{}',
    '{"__proto__":{"x":1}}',
    '{"constructor":{"prototype":{"x":1}}}',
    '{"entry":1}',
    '{"entry":{}}',
    '{"entry":[1,null,"x",[],{}]}',
    '{"entry":[{"changes":1}]}',
    '{"entry":[{"changes":[1,null,{"field":1},{"field":"messages"},{"field":"messages","value":1}]}]}',
    '{"entry":[{"changes":[{"field":"messages","value":{"messages":{"0":1},"statuses":"x"}}]}]}',
    '{"entry":[{"changes":[{"field":"__proto__","value":{"__proto__":{}}}]}]}',
    '{"entry":[{"changes":[{"field":"messages","value":{"messages":[{"id":"\\ud800","type":"text"}]}}]}]}',
    '{"a":1,"a":2}',
    '['.repeat(100_000),
    '['.repeat(50_000) + ']'.repeat(50_000),
    `{"entry":[{"changes":[{"field":"messages","value":{"messages":[${'{},'.repeat(999)}{}]}}]}]}`,
  ].map((body) => Buffer.from(body));
  const statuses = new Set<number>();
  const standstill = watchStandstill(() => room.queue.runner.client.ping());
  for (const body of nasty) {
    const startMs = performance.now();
    statuses.add(await post(body, signatureOf(body)));
    expect(performance.now() - startMs).toBeLessThan(2_000 + standstill.ms());
  }
  expect([...statuses].sort()).toEqual([200, 400]);
  expect(({} as { x?: number }).x).toBeUndefined();
});

test('F37 · statuses five-fold, shuffled, early and late end as in order', async () => {
  const stateOf = async (order: readonly number[]) => {
    const { url: own } = await testDatabase();
    // Of its own: one event log has one record.
    const { url: redisUrl } = await testRedis();
    const other = await openRoom({ redisUrl, databaseUrl: own, works: false });
    const items = Array.from({ length: 20 }, (_, message) =>
      (message % 5 === 0
        ? ['sent', 'failed']
        : message % 3 === 0
          ? ['sent', 'read']
          : ['sent', 'delivered', 'read']
      ).map((status, at) => ({
        id: `wamid.f37.${message}`,
        status,
        timestamp: String(1_700_000_000 + at),
        recipient_id: '4915112345678',
        ...(status === 'failed' ? { errors: [{ code: 131026, title: 'Message undeliverable' }] } : {}),
      })),
    ).flat();
    for (const index of order) await other.post(cloudBody({ statuses: [items[index % items.length]] }));
    await eventually(() => other.recorder.caughtUp(10_000));
    const state = await sql(
      own,
      'select provider_message_id, status, provider_at, error from status_events order by 1, 2, 3',
    );
    await other.close();
    return state;
  };
  const count = 20 * 3 - 4 - 5;
  const ordered = Array.from({ length: count }, (_, index) => index);
  const shuffled = Array.from({ length: 5 * count }, (_, index) => index)
    .map((index) => ({ index, key: (index * 7919) % 1009 }))
    .sort((a, b) => a.key - b.key)
    .map(({ index }) => index);
  const inOrder = await stateOf(ordered);
  expect(inOrder).toHaveLength(count);
  expect(await stateOf(shuffled)).toEqual(inOrder);
});
