import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PLATFORM_KEY, startApi, text, type Api } from './support/api.ts';

let api: Api;
let tenantKey: string;
beforeAll(async () => {
  api = await startApi();
  const created = await api.call({
    method: 'POST',
    url: '/admin/tenants',
    body: { id: 'salon1' },
    as: await api.token('admin'),
  });
  tenantKey = created.json<{ key: string }>().key;
});
afterAll(() => api.close());

const post = (body: unknown, more: { headers?: Record<string, string>; as?: string } = {}) =>
  api.call({ method: 'POST', url: '/v1/messages', body, ...more });
const idOf = async (body: unknown) => (await post(body)).json<{ id: string }>().id;

describe('POST /v1/messages', () => {
  test('answers 202 with the message object of the contract', async () => {
    const answer = await post(text({ tenant: 'salon1', conversation: 'c1', metadata: { order: 7 } }));
    expect(answer.statusCode).toBe(202);
    const message = answer.json<Record<string, unknown>>();
    expect(message).toEqual({
      id: expect.stringMatching(/^[0-9a-f-]{36}$/) as string,
      tenant: 'salon1',
      conversation: 'c1',
      sender: 'default',
      to: '+4915112345678',
      type: 'text',
      status: 'queued',
      duplicate: false,
      priority: 5,
      attempts: 0,
      providerMessageId: null,
      error: null,
      hold: null,
      createdAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/) as string,
      sendAt: null,
      expiresAt: null,
      sentAt: null,
      deliveredAt: null,
      readAt: null,
      statusOverdue: false,
      metadata: { order: 7 },
    });
    expect(answer.headers['x-request-id']).toMatch(/^[0-9a-f-]{36}$/);
    expect(answer.headers['cache-control']).toBe('no-store');
  });

  test('hands the engine the canonical contact, the lane and the body', async () => {
    const id = await idOf(text({ to: '+55 (11) 8765-4321', priority: 9 }));
    const stored = api.queue.accepted.find((message) => message.id === id);
    expect(stored).toMatchObject({
      lane: { sender: 'default', tenant: 'default', conversation: '+5511987654321' },
      contact: '+5511987654321',
      priority: 9,
      tenantLimits: { concurrency: 5, weight: 1, backlogMax: 1000 },
    });
    expect(JSON.parse(stored?.body ?? '')).toMatchObject({
      to: '+551187654321',
      type: 'text',
      content: { body: 'Your table is ready.' },
    });
  });

  test('takes a business-scoped user id instead of a number', async () => {
    const answer = await post({ recipient: 'US.13491208655302741918', type: 'text', text: { body: 'x' } });
    expect(answer.json()).toMatchObject({
      to: null,
      recipient: 'US.13491208655302741918',
      conversation: 'US.13491208655302741918',
    });
  });

  test('schedules what has a sendAt in the future, and sends at once what has one in the past', async () => {
    const sendAt = new Date(Date.now() + 60_000).toISOString();
    const later = await post(text({ sendAt }));
    expect(later.json()).toMatchObject({ status: 'scheduled', sendAt, hold: { kind: 'scheduled', until: sendAt } });
    const past = await post(text({ sendAt: '2020-01-01T00:00:00+02:00' }));
    expect(past.json()).toMatchObject({ status: 'queued', sendAt: null });
  });

  test('the tenant of a tenant key is implied, and another one is 403', async () => {
    expect((await post(text(), { as: tenantKey })).json()).toMatchObject({ tenant: 'salon1' });
    expect((await post(text({ tenant: 'salon1' }), { as: tenantKey })).statusCode).toBe(202);
    const other = await post(text({ tenant: 'salon2' }), { as: tenantKey });
    expect(other.statusCode).toBe(403);
    expect(other.json()).toMatchObject({ code: 'FORBIDDEN', field: 'tenant' });
  });

  test('a full backlog is 429 with Retry-After and stores nothing', async () => {
    await api.record.tenants.create({ id: 'small', backlogMax: 1 });
    expect((await post(text({ tenant: 'small' }))).statusCode).toBe(202);
    const before = api.queue.accepted.length;
    const refused = await post(text({ tenant: 'small' }));
    expect(refused.statusCode).toBe(429);
    expect(refused.headers['retry-after']).toMatch(/^\d+$/);
    expect(refused.json()).toMatchObject({ code: 'BACKLOG_FULL' });
    expect(api.queue.accepted.length).toBe(before);
  });

  test('while the queue is away: 503 with Retry-After', async () => {
    api.queue.isAway = true;
    try {
      const refused = await post(text());
      expect(refused.statusCode).toBe(503);
      expect(refused.headers['retry-after']).toMatch(/^\d+$/);
      expect(refused.json()).toMatchObject({ code: 'QUEUE_UNAVAILABLE' });
    } finally {
      api.queue.isAway = false;
    }
  });

  test('tells the engine of the sender again when it was forgotten', async () => {
    api.queue.forgetSenders();
    expect((await post(text())).statusCode).toBe(202);
    expect(api.queue.configured.get('default')).toMatchObject({ ratePerSecond: 80, pairGapMs: 2000, shard: 0 });
  });
});

describe('Idempotency-Key', () => {
  const key = () => `key-${Math.random()}`;

  test('the same key and body give the first message with 200 and duplicate: true', async () => {
    const headers = { 'idempotency-key': key() };
    const first = await post(text({ metadata: { a: 1, b: 2 } }), { headers });
    const second = await post(text({ metadata: { b: 2, a: 1 }, priority: 5 }), { headers });
    expect(first.statusCode).toBe(202);
    expect(second.statusCode).toBe(200);
    expect(second.json()).toMatchObject({ id: first.json<{ id: string }>().id, duplicate: true });
  });

  test.each([
    ['text', { text: { body: 'other' } }],
    ['recipient', { to: '+4915112345679' }],
    ['priority', { priority: 6 }],
    ['metadata', { metadata: { x: 1 } }],
    ['conversation', { conversation: 'other' }],
    ['expiresAt', { expiresAt: '2099-01-01T00:00:00Z' }],
  ])('another %s under the same key is 422', async (_what, change) => {
    const headers = { 'idempotency-key': key() };
    await post(text(), { headers });
    const near = 'expiresAt' in change ? { expiresAt: new Date(Date.now() + 3_600_000).toISOString() } : change;
    const refused = await post(text(near), { headers });
    expect(refused.statusCode).toBe(422);
    expect(refused.json()).toMatchObject({ code: 'IDEMPOTENCY_KEY_REUSED' });
  });

  test('twenty posts at the same time with one key get the one message', async () => {
    const headers = { 'idempotency-key': key() };
    const answers = await Promise.all(Array.from({ length: 20 }, () => post(text(), { headers })));
    expect(new Set(answers.map((answer) => answer.json<{ id: string }>().id)).size).toBe(1);
    expect(answers.filter((answer) => answer.statusCode === 202)).toHaveLength(1);
    expect(answers.filter((answer) => answer.json<{ duplicate: boolean }>().duplicate)).toHaveLength(19);
  });

  test('keys of two tenants do not meet', async () => {
    const headers = { 'idempotency-key': key() };
    const one = await post(text({ tenant: 'salon1' }), { headers });
    const two = await post(text({ tenant: 'salon2' }), { headers });
    expect([one.statusCode, two.statusCode]).toEqual([202, 202]);
  });

  test('a refused request leaves its key free', async () => {
    const headers = { 'idempotency-key': key() };
    expect((await post(text({ to: 'nobody' }), { headers })).statusCode).toBe(400);
    expect((await post(text(), { headers })).statusCode).toBe(202);
  });

  test.each([' ', 'two words', 'é', 'x'.repeat(256)])('refuses the key %j', async (bad) => {
    const refused = await post(text(), { headers: { 'idempotency-key': bad } });
    // A key of blanks reaches the server as an empty header.
    expect(refused.statusCode).toBe(400);
    expect(refused.json()).toMatchObject({ field: 'idempotency-key' });
  });
});

describe('F3 · dedupe', () => {
  test('F3 · the same text to the same person is one message, whatever else differs', async () => {
    const first = await post(text({ dedupe: true, text: { body: 'only once' } }));
    const second = await post(
      text({ dedupe: true, to: '+49 151 12345678', text: { body: 'only once' }, priority: 9, metadata: { try: 2 } }),
      { headers: { 'idempotency-key': 'made by a retrying client'.replaceAll(' ', '-') } },
    );
    expect(second.statusCode).toBe(200);
    expect(second.json()).toMatchObject({ id: first.json<{ id: string }>().id, duplicate: true });
    const other = await post(text({ dedupe: true, text: { body: 'only once!' } }));
    expect(other.statusCode).toBe(202);
    const stored = api.queue.accepted.find((message) => message.id === first.json<{ id: string }>().id);
    expect(stored?.idempotency?.key).toMatch(/^whatsapp:\+4915112345678:[0-9a-f]{16}$/);
  });

  test('content alone is never a reason to drop a message', async () => {
    const [one, two] = [await post(text()), await post(text())];
    expect(one.json<{ id: string }>().id).not.toBe(two.json<{ id: string }>().id);
    expect(two.statusCode).toBe(202);
  });
});

describe('Prefer: wait=N', () => {
  test('answers 200 as soon as the message was sent', async () => {
    const before = api.queue.accepted.length;
    const waiting = post(text(), { headers: { prefer: 'wait=10' } });
    await expect.poll(() => api.queue.accepted.length, { interval: 5 }).toBe(before + 1);
    const id = api.queue.accepted.at(-1)?.id ?? '';
    api.queue.send(id);
    const answer = await waiting;
    expect(answer.statusCode).toBe(200);
    expect(answer.headers['preference-applied']).toBe('wait=10');
    expect(answer.json()).toMatchObject({ id, status: 'sent', providerMessageId: `wamid.${id}` });
  });

  test('answers 202 when the time is over', async () => {
    const startMs = performance.now();
    const answer = await post(text(), { headers: { prefer: 'respond-async, wait=1' } });
    expect(answer.statusCode).toBe(202);
    expect(performance.now() - startMs).toBeGreaterThan(900);
    expect(answer.json()).toMatchObject({ status: 'queued' });
  });

  test('answers 202 with the error when the message failed within the time', async () => {
    const before = api.queue.accepted.length;
    const waiting = post(text(), { headers: { prefer: 'wait=10' } });
    await expect.poll(() => api.queue.accepted.length, { interval: 5 }).toBe(before + 1);
    const error = { code: 'PROVIDER_REJECTED', providerCode: '131026', title: 't', detail: 'd', retryable: false };
    api.queue.fail(api.queue.accepted.at(-1)?.id ?? '', error);
    const answer = await waiting;
    expect(answer.statusCode).toBe(202);
    expect(answer.json()).toMatchObject({ status: 'failed', error });
  });
});

describe('GET /v1/messages/:id', () => {
  test('shows a message at once after its accept, before it is recorded, and the same afterwards', async () => {
    const id = await idOf(text({ tenant: 'salon1', metadata: { a: 1 } }));
    const early = await api.call({ url: `/v1/messages/${id}` });
    expect(early.statusCode).toBe(200);
    expect(early.json()).toMatchObject({
      id,
      status: 'queued',
      text: { body: 'Your table is ready.' },
      metadata: { a: 1 },
    });
    await api.recorded();
    const late = await api.call({ url: `/v1/messages/${id}` });
    expect(late.json()).toEqual(early.json());
  });

  test('says why it waits and until when', async () => {
    const id = await idOf(text());
    const untilMs = Date.now() + 60_000;
    api.queue.hold(id, { hold: { kind: 'pair', untilMs }, attempts: 2 });
    for (const when of ['before', 'after']) {
      if (when === 'after') await api.recorded();
      expect((await api.call({ url: `/v1/messages/${id}` })).json()).toMatchObject({
        status: 'queued',
        attempts: 2,
        hold: { kind: 'pair', until: new Date(untilMs).toISOString() },
      });
    }
  });

  test('still answers from the record while the queue is away', async () => {
    const id = await idOf(text());
    await api.recorded();
    api.queue.isAway = true;
    try {
      expect((await api.call({ url: `/v1/messages/${id}` })).json()).toMatchObject({ id, status: 'queued' });
      const unknown = await api.call({ url: '/v1/messages/01890000-0000-7000-8000-000000000000' });
      expect(unknown.json()).toMatchObject({ code: 'QUEUE_UNAVAILABLE' });
    } finally {
      api.queue.isAway = false;
    }
  });

  test('asks a queue that forgot its senders, as a process does that has just started', async () => {
    const id = await idOf(text());
    await api.recorded();
    api.queue.forgetSenders();
    expect((await api.call({ url: `/v1/messages/${id}` })).statusCode).toBe(200);
  });

  test.each(['nonsense', '../x', '01890000-0000-7000-8000-000000000000', '%00', 'x'.repeat(300)])(
    'an id that does not exist (%s) is 404',
    async (id) => {
      const answer = await api.call({ url: `/v1/messages/${encodeURIComponent(id)}` });
      expect(answer.statusCode).toBe(404);
      expect(answer.json()).toMatchObject({ code: 'NOT_FOUND' });
    },
  );
});

describe('GET /v1/messages/:id/timeline', () => {
  test('lists every event with its time', async () => {
    const id = await idOf(text());
    const early = await api.call({ url: `/v1/messages/${id}/timeline` });
    expect(early.json<{ items: { event: string }[] }>().items.map((item) => item.event)).toEqual(['accepted']);
    api.queue.send(id);
    await api.recorded();
    const late = await api.call({ url: `/v1/messages/${id}/timeline` });
    const { items } = late.json<{ items: { at: string; event: string; detail: object }[] }>();
    expect(items.map((item) => item.event)).toEqual(['accepted', 'sent']);
    expect(Date.parse(items[1]?.at ?? '')).toBeGreaterThanOrEqual(Date.parse(items[0]?.at ?? ''));
    expect(late.body).not.toContain('Your table is ready.');
  });

  test('tells times in the details as ISO 8601 in UTC, as everywhere', async () => {
    const sendAt = new Date(Date.now() + 3_600_000).toISOString();
    const id = await idOf(text({ sendAt }));
    await api.recorded();
    const { items } = (await api.call({ url: `/v1/messages/${id}/timeline` })).json<{ items: { detail: object }[] }>();
    expect(items[0]?.detail).toEqual({ source: 'engine', priority: 5, sendAt, expiresAt: null });
  });
});

describe('GET /v1/messages', () => {
  test('pages through everything once, newest first', async () => {
    const ids: string[] = [];
    for (let i = 0; i < 5; i++) ids.push(await idOf(text({ tenant: 'lister', conversation: 'c' })));
    await api.recorded();
    const seen: string[] = [];
    let cursor: string | null = '';
    while (cursor !== null) {
      const more = cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`;
      const page = await api.call({ url: `/v1/messages?tenant=lister&limit=2${more}` });
      expect(page.statusCode).toBe(200);
      const body: { items: { id: string }[]; next: string | null } = page.json();
      expect(body.items.length).toBeLessThanOrEqual(2);
      seen.push(...body.items.map((item) => item.id));
      cursor = body.next;
    }
    expect(seen).toEqual([...ids].sort().reverse());
  });

  test('filters by conversation, status and time', async () => {
    const sent = await idOf(text({ tenant: 'filters', conversation: 'a' }));
    const waiting = await idOf(text({ tenant: 'filters', conversation: 'b' }));
    api.queue.send(sent);
    await api.recorded();
    const list = async (query: string) => {
      const page = await api.call({ url: `/v1/messages?tenant=filters&${query}` });
      return page.json<{ items: { id: string }[] }>().items.map((item) => item.id);
    };
    expect(await list('conversation=b')).toEqual([waiting]);
    expect(await list('status=sent')).toEqual([sent]);
    expect(await list(`from=${new Date(Date.now() + 60_000).toISOString()}`)).toEqual([]);
    expect(await list(`to=${new Date(Date.now() + 60_000).toISOString()}`)).toHaveLength(2);
  });

  test.each([
    'limit=0',
    'limit=201',
    'limit=x',
    'status=happy',
    'from=yesterday',
    'cursor=nonsense',
    'limit=1&limit=2',
  ])('refuses ?%s', async (query) => {
    const refused = await api.call({ url: `/v1/messages?${query}` });
    expect(refused.statusCode).toBe(400);
    expect(refused.json()).toMatchObject({ code: 'REQUEST_INVALID', field: query.split('=')[0] });
  });
});

describe('DELETE /v1/messages/:id', () => {
  test('cancels what waits, before and after it is recorded', async () => {
    for (const isRecorded of [false, true]) {
      const id = await idOf(text());
      if (isRecorded) await api.recorded();
      const cancelled = await api.call({ method: 'DELETE', url: `/v1/messages/${id}` });
      expect(cancelled.statusCode).toBe(200);
      expect(cancelled.json()).toMatchObject({ id, status: 'cancelled', hold: null });
      await api.recorded();
      expect((await api.call({ url: `/v1/messages/${id}` })).json()).toMatchObject({ status: 'cancelled' });
    }
  });

  test('409 when it is in flight, when it was sent, and when it was cancelled before', async () => {
    const flying = await idOf(text());
    api.queue.hold(flying, { status: 'sending' });
    const sent = await idOf(text());
    api.queue.send(sent);
    const cancelled = await idOf(text());
    await api.call({ method: 'DELETE', url: `/v1/messages/${cancelled}` });
    for (const id of [flying, sent, cancelled]) {
      const refused = await api.call({ method: 'DELETE', url: `/v1/messages/${id}` });
      expect(refused.statusCode).toBe(409);
      expect(refused.json()).toMatchObject({ code: 'CONFLICT' });
    }
  });
});

describe('POST /v1/messages/batch', () => {
  const batch = (messages: unknown, as = PLATFORM_KEY, headers: Record<string, string> = {}) =>
    api.call({ method: 'POST', url: '/v1/messages/batch', body: { messages }, as, headers });

  test('gives a result per item in order; a wrong item fails alone', async () => {
    const answer = await batch([
      text(),
      text({ to: 'x' }),
      'nonsense',
      text({ surprise: 1 }),
      text({ tenant: 'salon2' }),
    ]);
    expect(answer.statusCode).toBe(200);
    expect(answer.json<{ results: unknown[] }>().results).toEqual([
      expect.objectContaining({ status: 'queued' }),
      expect.objectContaining({ code: 'REQUEST_INVALID', field: 'messages[1].to' }),
      expect.objectContaining({ code: 'REQUEST_INVALID', field: 'messages[2]' }),
      expect.objectContaining({ code: 'REQUEST_INVALID', field: 'messages[3].surprise' }),
      expect.objectContaining({ tenant: 'salon2' }),
    ]);
  });

  test('S2 · keeps the order of the items, a thousand of one conversation', async () => {
    const before = api.queue.accepted.length;
    const items = Array.from({ length: 1000 }, (_, i) =>
      text({ tenant: 'orderly', conversation: 'long', text: { body: `${i}` } }),
    );
    const answer = await batch(items);
    expect(answer.json<{ results: { status?: string }[] }>().results.every((one) => one.status === 'queued')).toBe(
      true,
    );
    const bodies = api.queue.accepted
      .slice(before)
      .map((message) => (JSON.parse(message.body) as { content: { body: string } }).content.body);
    expect(bodies).toEqual(items.map((item) => item.text.body));
  });

  test('an idempotency key per item, also twice within the batch', async () => {
    const item = text({ idempotencyKey: 'batch-key-1' });
    const { results } = (await batch([item, item, { ...item, priority: 9 }])).json<{
      results: Record<string, unknown>[];
    }>();
    expect(results[0]).toMatchObject({ duplicate: false });
    expect(results[1]).toMatchObject({ duplicate: true, id: results[0]?.['id'] });
    expect(results[2]).toMatchObject({ code: 'IDEMPOTENCY_KEY_REUSED' });
  });

  test('the header Idempotency-Key is that of each item without one, by its place', async () => {
    const repeated = async (messages: unknown, key = 'batch-of-friday') => {
      const answer = await batch(messages, PLATFORM_KEY, { 'idempotency-key': key });
      expect(answer.statusCode).toBe(200);
      return answer.json<{ results: Record<string, unknown>[] }>().results;
    };
    const items = [text(), text(), text({ idempotencyKey: 'own-key-of-friday' })];
    const first = await repeated(items);
    expect(first.map((one) => one['duplicate'])).toEqual([false, false, false]);
    const again = await repeated(items);
    expect(again.map((one) => [one['id'], one['duplicate']])).toEqual(first.map((one) => [one['id'], true]));
    const otherKey = await repeated(items, 'batch-of-monday');
    expect(otherKey.map((one) => one['duplicate'])).toEqual([false, false, true]);
    const otherItem = await repeated([items[0], text({ priority: 9 })]);
    expect(otherItem).toMatchObject([{ duplicate: true }, { code: 'IDEMPOTENCY_KEY_REUSED' }]);
    const wrong = await batch(items, PLATFORM_KEY, { 'idempotency-key': 'with space' });
    expect([wrong.statusCode, wrong.json()]).toMatchObject([400, { field: 'idempotency-key' }]);
  });

  test('a tenant key fails the items of other tenants only', async () => {
    const { results } = (await batch([text(), text({ tenant: 'salon2' })], tenantKey)).json<{ results: unknown[] }>();
    expect(results).toEqual([
      expect.objectContaining({ tenant: 'salon1' }),
      expect.objectContaining({ code: 'FORBIDDEN', field: 'messages[1].tenant' }),
    ]);
  });

  test.each([[[]], [Array(1001).fill({})], ['x'], [undefined]])(
    'refuses a list that is empty, too long or none',
    async (messages) => {
      const refused = await batch(messages);
      expect(refused.statusCode).toBe(400);
      expect(refused.json()).toMatchObject({ code: 'REQUEST_INVALID', field: 'messages' });
    },
  );

  test('503 when the queue took none of them', async () => {
    api.queue.isAway = true;
    try {
      const refused = await batch([text(), text()]);
      expect(refused.statusCode).toBe(503);
      expect(refused.headers['retry-after']).toMatch(/^\d+$/);
    } finally {
      api.queue.isAway = false;
    }
  });
});

describe('S1 · POST /api/whatsapp/send', () => {
  const send = (body: unknown, as = PLATFORM_KEY) => api.call({ method: 'POST', url: '/api/whatsapp/send', body, as });
  const short = (more: object = {}) => ({ phoneNumber: '+4915112345678', text: 'Hello', ...more });

  test('S1 · answers 202 with the job id and exactly one of queued, immediate, duplicate', async () => {
    const answer = await send(short({ restaurantId: 'r1', conversationId: 'c9', priority: 10 }));
    expect(answer.statusCode).toBe(202);
    const { jobId, ...rest } = answer.json<{ jobId: string }>();
    expect(rest).toEqual({ queued: true, immediate: false, duplicate: false, direct: false });
    expect(api.queue.accepted.at(-1)).toMatchObject({
      id: jobId,
      lane: { tenant: 'r1', conversation: 'c9', sender: 'default' },
      priority: 10,
    });
  });

  test('S1 · immediate when a worker is idle, duplicate when the content was sent before', async () => {
    api.queue.hasIdleWorker = true;
    const first = await send(short({ tenant: 'r2', dedupe: true }));
    api.queue.hasIdleWorker = false;
    expect(first.json()).toMatchObject({ queued: false, immediate: true, duplicate: false });
    const second = await send(short({ tenant: 'r2', dedupe: true }));
    expect(second.json()).toMatchObject({
      jobId: first.json<{ jobId: string }>().jobId,
      queued: false,
      immediate: false,
      duplicate: true,
    });
  });

  test('S1 · takes restaurants under numbers', async () => {
    await send(short({ restaurantId: 42 }));
    expect(api.queue.accepted.at(-1)?.lane.tenant).toBe('42');
  });

  test.each([
    [{ phoneNumber: '015112345678' }, 'phoneNumber'],
    [{ phoneNumber: undefined }, 'phoneNumber'],
    [{ text: '' }, 'text'],
    [{ text: 'x'.repeat(4097) }, 'text'],
    [{ text: 5 }, 'text'],
    [{ restaurantId: 'a', tenant: 'b' }, 'tenant'],
    [{ restaurantId: 'a b' }, 'restaurantId'],
    [{ priority: 11 }, 'priority'],
    [{ message: 'x' }, 'message'],
  ])('S1 · refuses %j and names the field in the words of the short form', async (change, field) => {
    const refused = await send(short(change));
    expect(refused.statusCode).toBe(400);
    expect(refused.json()).toMatchObject({ code: 'REQUEST_INVALID', field });
  });
});
