import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AppError } from '../../src/errors/app-error.ts';
import { makeTag } from '../../src/providers/tag.ts';
import { APP_SECRET, sign, startApi, TAG_KEY, type Api } from './support/api.ts';

let api: Api;
const OWN_SECRET = 'secret-of-an-app-of-its-own';
beforeAll(async () => {
  api = await startApi();
  const as = await api.token('admin');
  const own = {
    id: 'own-app',
    provider: 'cloud',
    externalId: '555',
    credentials: { accessToken: 'x', appSecret: OWN_SECRET, verifyToken: 'own-verify' },
  };
  expect((await api.call({ method: 'POST', url: '/admin/senders', body: own, as })).statusCode).toBe(201);
});
afterAll(() => api.close());

const URL = '/webhooks/whatsapp/cloud';
const MESSAGE = '01890000-0000-7000-8000-000000000001';

const status = (more: Record<string, unknown> = {}) => ({
  id: 'wamid.A',
  status: 'delivered',
  timestamp: '1700000000',
  recipient_id: '4915112345678',
  ...more,
});
const payload = (value: Record<string, unknown>, externalId = '100200300', field = 'messages') =>
  JSON.stringify({
    object: 'whatsapp_business_account',
    entry: [
      {
        id: 'waba',
        changes: [
          { field, value: { messaging_product: 'whatsapp', metadata: { phone_number_id: externalId }, ...value } },
        ],
      },
    ],
  });
const post = (body: string | Buffer, headers: Record<string, string> = {}, url = URL) =>
  api.call({ method: 'POST', url, body, as: null, headers: { 'content-type': 'application/json', ...headers } });
const signed = (body: string, secret = APP_SECRET) => ({ 'x-hub-signature-256': sign(body, secret) });
const jobs = () => api.webhookJobs;

describe('statuses', () => {
  test('are in the event log before the 200, with the message and attempt of their tag', async () => {
    const before = api.queue.evidence.length;
    const body = payload({
      statuses: [
        status({ biz_opaque_callback_data: makeTag({ messageId: MESSAGE, attempt: 2 }, TAG_KEY) }),
        status({ id: 'wamid.B', status: 'failed', errors: [{ code: 131026, title: 'Message undeliverable' }] }),
      ],
    });
    const answer = await post(body, signed(body));
    expect(answer.statusCode).toBe(200);
    expect(api.queue.evidence.slice(before)).toEqual([
      {
        messageId: MESSAGE,
        attempt: 2,
        providerMessageId: 'wamid.A',
        status: 'delivered',
        providerAtMs: 1_700_000_000_000,
        error: null,
        more: { recipient_id: '4915112345678' },
      },
      expect.objectContaining({
        messageId: '',
        attempt: null,
        providerMessageId: 'wamid.B',
        status: 'failed',
        error: expect.objectContaining({ providerCode: '131026' }) as unknown,
      }),
    ]);
    expect(jobs()).toEqual([]);
  });

  test('a tag that was made with another key names no message', async () => {
    const body = payload({
      statuses: [
        status({ biz_opaque_callback_data: makeTag({ messageId: MESSAGE, attempt: 1 }, Buffer.from('other')) }),
      ],
    });
    await post(body, signed(body));
    expect(api.queue.evidence.at(-1)).toMatchObject({ messageId: '', attempt: null });
  });

  test('a thousand of one post are all taken', async () => {
    const before = api.queue.evidence.length;
    const body = payload({ statuses: Array.from({ length: 1000 }, (_, i) => status({ id: `wamid.${i}` })) });
    expect((await post(body, signed(body))).statusCode).toBe(200);
    expect(api.queue.evidence.length).toBe(before + 1000);
  });

  test('3 MB of them are not too much', async () => {
    const body = payload({ statuses: [status({ filler: 'x'.repeat(3 * 1024 * 1024) })] });
    expect((await post(body, signed(body))).statusCode).toBe(200);
  });

  test('are kept in PostgreSQL while the queue is away, and 503 only when that is away too', async () => {
    api.queue.isAway = true;
    const unavailable = () => Promise.reject(new AppError('RECORD_UNAVAILABLE'));
    const add = api.record.rawWebhooks.add.bind(api.record.rawWebhooks);
    try {
      const body = payload({ statuses: [status()] });
      expect((await post(body, signed(body))).statusCode).toBe(200);
      const kept = await api.record.rawWebhooks.unprocessed(10);
      expect(kept.map((one) => one.body.toString())).toEqual([body]);
      Object.assign(api.record.rawWebhooks, { add: unavailable });
      const answer = await post(body, signed(body));
      expect(answer.statusCode).toBe(503);
      expect(answer.json()).toMatchObject({ code: 'QUEUE_UNAVAILABLE' });
    } finally {
      Object.assign(api.record.rawWebhooks, { add });
      api.queue.isAway = false;
    }
  });
});

describe('everything else', () => {
  test.each<[string, string]>([
    [
      'a message',
      payload({ messages: [{ id: 'wamid.in', from: '4915112345678', type: 'text', text: { body: 'hi' } }] }),
    ],
    ['an error of the account', payload({ errors: [{ code: 130429 }] })],
    ['another field', payload({ event: 'APPROVED' }, '', 'message_template_status_update')],
    ['a status and a message', payload({ statuses: [status()], messages: [{ id: 'x' }] })],
    ['a status that cannot be read', payload({ statuses: [{ nothing: 'known' }] })],
    ['a payload of no known shape', '{"hello":"world"}'],
    ['a list', '[1]'],
  ])('%s is kept as it came before the 200', async (_what, body) => {
    const before = jobs().length;
    const answer = await post(body, { ...signed(body), 'user-agent': 'facebookexternalua' });
    expect(answer.statusCode).toBe(200);
    expect(
      jobs()
        .slice(before)
        .map(({ data }) => data),
    ).toEqual([
      expect.objectContaining({
        provider: 'cloud',
        sender: null,
        headers: { 'user-agent': 'facebookexternalua' },
        payload: body,
        covers: null,
      }),
    ]);
  });

  test('keeps the exact bytes, also what Meta escapes', async () => {
    const body = payload({ messages: [{ text: { body: 'Ä/€' } }] })
      .replace('Ä', '\\u00c4')
      .replace('/', '\\/');
    expect((await post(body, signed(body))).statusCode).toBe(200);
    expect(jobs().at(-1)?.data.payload).toBe(body);
  });
});

describe('F40 · signatures', () => {
  const body = payload({ statuses: [status()] });
  test.each<[string, string | Buffer, Record<string, string>]>([
    ['none', body, {}],
    ['an empty one', body, { 'x-hub-signature-256': '' }],
    ['half of it', body, { 'x-hub-signature-256': sign(body).slice(0, 40) }],
    ['without its prefix', body, { 'x-hub-signature-256': sign(body).slice(7) }],
    ['of another secret', body, signed(body, 'other')],
    ['of an empty secret', body, signed(body, '')],
    ['the old kind only', body, { 'x-hub-signature': sign(body) }],
    ['of another body', body, signed(`${body} `)],
    ['of the body in another form', Buffer.from(JSON.stringify(JSON.parse(body), null, 1)), signed(body)],
    ['with a byte order mark before the body', Buffer.from(`\uFEFF${body}`), signed(body)],
    ['over the body before it was packed', gzipSync(body), { ...signed(body), 'content-encoding': 'gzip' }],
    ['of an app of another sender', body, signed(body, OWN_SECRET)],
    ['over nothing', '', {}],
  ])('refuses a signature: %s', async (_what, bytes, headers) => {
    const before = [api.queue.evidence.length, jobs().length];
    const answer = await post(bytes, headers);
    expect(answer.statusCode).toBe(401);
    expect(answer.json()).toMatchObject({ code: 'UNAUTHORIZED' });
    expect([api.queue.evidence.length, jobs().length]).toEqual(before);
  });

  test('the content type does not matter, the bytes do', async () => {
    expect((await post(body, { ...signed(body), 'content-type': 'text/plain' })).statusCode).toBe(200);
  });

  test('what is signed and is not JSON is 400', async () => {
    const answer = await post('not json', signed('not json'));
    expect(answer.statusCode).toBe(400);
    expect(answer.json()).toMatchObject({ code: 'REQUEST_NOT_JSON' });
  });

  test('a replay does the same once more, which changes nothing further down', async () => {
    const before = api.queue.evidence.length;
    await post(body, signed(body));
    await post(body, signed(body));
    expect(api.queue.evidence.slice(before)).toHaveLength(2);
    expect(new Set(api.queue.evidence.slice(before).map((one) => JSON.stringify(one))).size).toBe(1);
  });
});

describe('a sender with an app of its own', () => {
  const mine = payload({ statuses: [status()] }, '555');
  const both = JSON.stringify({
    entry: [
      ...(JSON.parse(mine) as { entry: unknown[] }).entry,
      ...(JSON.parse(payload({ statuses: [status({ id: 'wamid.foreign' })] })) as { entry: unknown[] }).entry,
    ],
  });

  test.each([URL, `${URL}/own-app`])('is known by its own secret at %s', async (url) => {
    expect((await post(mine, signed(mine, OWN_SECRET), url)).statusCode).toBe(200);
  });

  test('its secret speaks for no other sender', async () => {
    for (const url of [URL, `${URL}/own-app`]) {
      const before = api.queue.evidence.length;
      expect((await post(both, signed(both, OWN_SECRET), url)).statusCode).toBe(200);
      expect(api.queue.evidence.slice(before).map((one) => one.providerMessageId)).toEqual(['wamid.A']);
    }
    const before = api.queue.evidence.length;
    expect((await post(both, signed(both))).statusCode).toBe(200);
    expect(api.queue.evidence.slice(before)).toHaveLength(2);
  });

  test('an address that names no sender of ours is 404', async () => {
    expect((await post(mine, signed(mine), `${URL}/nobody`)).statusCode).toBe(404);
  });
});

test('without any app secret every post is refused', async () => {
  const bare = await startApi({ appSecret: undefined });
  const body = payload({ statuses: [status()] });
  for (const secret of ['', 'undefined', 'null', APP_SECRET]) {
    const answer = await bare.call({
      method: 'POST',
      url: URL,
      body,
      as: null,
      headers: { 'content-type': 'application/json', ...signed(body, secret) },
    });
    expect(answer.statusCode).toBe(401);
    expect(answer.json<{ detail: string }>().detail).toContain('WHATSAPP_APP_SECRET');
  }
  expect(bare.queue.evidence).toEqual([]);
  await bare.close();
});

describe('verification', () => {
  const ask = (query: Record<string, string>, url = URL) =>
    api.call({ url: `${url}?${new URLSearchParams(query).toString()}`, as: null });
  const good = { 'hub.mode': 'subscribe', 'hub.verify_token': 'the-verify-token', 'hub.challenge': '1158201444' };

  test('gives the bare challenge back', async () => {
    const answer = await ask(good);
    expect(answer.statusCode).toBe(200);
    expect(answer.headers['content-type']).toMatch(/^text\/plain/);
    expect(answer.body).toBe('1158201444');
  });

  test('a challenge that is HTML stays text', async () => {
    const answer = await ask({ ...good, 'hub.challenge': '<script>alert(1)</script>' });
    expect(answer.headers['content-type']).toMatch(/^text\/plain/);
    expect(answer.headers['x-content-type-options']).toBe('nosniff');
  });

  test('a sender may have a word of its own', async () => {
    expect((await ask({ ...good, 'hub.verify_token': 'own-verify' }, `${URL}/own-app`)).body).toBe('1158201444');
    expect((await ask(good, `${URL}/own-app`)).statusCode).toBe(200);
    expect((await ask({ ...good, 'hub.verify_token': 'own-verify' })).statusCode).toBe(403);
  });

  test.each([
    { ...good, 'hub.verify_token': 'wrong' },
    { ...good, 'hub.verify_token': '' },
    { ...good, 'hub.mode': 'unsubscribe' },
    { 'hub.mode': 'subscribe', 'hub.challenge': '1' },
    {},
  ])('refuses %j with 403', async (query) => {
    expect((await ask(query as Record<string, string>)).statusCode).toBe(403);
  });
});
