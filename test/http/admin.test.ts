import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startApi, text, type Api, type Call } from './support/api.ts';

let api: Api;
let admin: string;
beforeAll(async () => {
  api = await startApi();
  admin = await api.token('admin');
});
afterAll(() => api.close());

const call = (method: NonNullable<Call['method']>, url: string, body?: unknown) =>
  api.call({ method, url, as: admin, ...(body === undefined ? {} : { body }) });
const send = (body: object, as?: string) =>
  api.call({ method: 'POST', url: '/v1/messages', body: text({ ...body }), ...(as === undefined ? {} : { as }) });
const sender = (more: Record<string, unknown> = {}) => ({
  id: `s${Math.random().toString().slice(2)}`,
  provider: 'cloud',
  externalId: Math.random().toString().slice(2),
  credentials: { accessToken: 'EAAG-very-secret', appSecret: 'app-very-secret' },
  ...more,
});

describe('/admin/tenants', () => {
  test('a call without a body may name a content type, as many clients always do', async () => {
    const headers = { 'content-type': 'application/json' };
    const bare = (method: 'POST' | 'DELETE', url: string, as: string) =>
      api.call({ method, url, as, headers, body: '' });
    await call('POST', '/admin/tenants', { id: 'bare' });
    for (const act of ['pause', 'resume']) {
      const answer = await bare('POST', `/admin/tenants/bare/${act}`, admin);
      expect(answer.json()).toMatchObject({ id: 'bare', paused: act === 'pause' });
    }
    const platform = { body: text({ tenant: 'bare', sendAt: new Date(Date.now() + 3_600_000).toISOString() }) };
    const { id } = (await api.call({ method: 'POST', url: '/v1/messages', ...platform })).json<{ id: string }>();
    const cancelled = await api.call({ method: 'DELETE', url: `/v1/messages/${id}`, headers, body: '' });
    expect(cancelled.json()).toMatchObject({ id, status: 'cancelled' });
  });

  test('creating one answers 201 with its key, once; the key works for this tenant', async () => {
    const created = await call('POST', '/admin/tenants', {
      id: 'salon1',
      name: 'Salon One',
      concurrency: 2,
      weight: 3,
      backlogMax: 10,
    });
    expect(created.statusCode).toBe(201);
    const { key, ...tenant } = created.json<{ key: string }>();
    expect(tenant).toMatchObject({
      id: 'salon1',
      name: 'Salon One',
      concurrency: 2,
      weight: 3,
      backlogMax: 10,
      queueEnabled: true,
      eventsUrl: null,
      paused: false,
    });
    expect((await send({}, key)).json()).toMatchObject({ tenant: 'salon1' });
    expect(api.queue.accepted.at(-1)?.tenantLimits).toEqual({ concurrency: 2, weight: 3, backlogMax: 10 });
    const read = await call('GET', '/admin/tenants/salon1');
    expect(read.json()).toEqual(tenant);
    expect(read.body).not.toContain(key);
  });

  test('an id that is taken is 409', async () => {
    await call('POST', '/admin/tenants', { id: 'twice' });
    const again = await call('POST', '/admin/tenants', { id: 'twice' });
    expect(again.statusCode).toBe(409);
    expect(again.json()).toMatchObject({ code: 'CONFLICT', field: 'id' });
  });

  test('limits left out follow the settings; a change counts at once and is told to the engine', async () => {
    await call('POST', '/admin/tenants', { id: 'plain' });
    await send({ tenant: 'plain' });
    expect(api.queue.accepted.at(-1)?.tenantLimits).toEqual({ concurrency: 5, weight: 1, backlogMax: 1000 });
    const changed = await call('PATCH', '/admin/tenants/plain', { concurrency: 9 });
    expect(changed.json()).toMatchObject({ concurrency: 9, weight: 1 });
    expect(api.queue.tenantLimits.get('default|plain')).toEqual({ concurrency: 9, weight: 1, backlogMax: 1000 });
    await send({ tenant: 'plain' });
    expect(api.queue.accepted.at(-1)?.tenantLimits.concurrency).toBe(9);
    expect((await call('PATCH', '/admin/tenants/plain', { concurrency: null })).json()).toMatchObject({
      concurrency: 5,
    });
  });

  test('pausing holds the tenant on every sender it may use, also on one that comes later', async () => {
    await call('POST', '/admin/tenants', { id: 'held' });
    const own = sender({ tenant: 'held' });
    await call('POST', '/admin/senders', own);
    const paused = await call('POST', '/admin/tenants/held/pause', { reason: 'unpaid' });
    expect(paused.json()).toMatchObject({ paused: true, pausedReason: 'unpaid' });
    expect(api.queue.pausedTenants).toContain('default|held');
    expect(api.queue.pausedTenants).toContain(`${own.id}|held`);
    const later = sender();
    await call('POST', '/admin/senders', later);
    expect((await send({ tenant: 'held', sender: later.id })).statusCode).toBe(202);
    expect(api.queue.pausedTenants).toContain(`${later.id}|held`);

    const resumed = await call('POST', '/admin/tenants/held/resume');
    expect(resumed.json()).toMatchObject({ paused: false, pausedReason: null });
    expect([...api.queue.pausedTenants].filter((pair) => pair.endsWith('|held'))).toEqual([]);
    await send({ tenant: 'held', sender: later.id });
    expect([...api.queue.pausedTenants].filter((pair) => pair.endsWith('|held'))).toEqual([]);
  });

  test('a pause without a body and with an empty one are the same', async () => {
    await call('POST', '/admin/tenants', { id: 'brief' });
    for (const body of [undefined, {}]) {
      expect((await call('POST', '/admin/tenants/brief/pause', body)).json()).toMatchObject({ paused: true });
    }
  });

  test.each([
    ['PATCH', '/admin/tenants/nobody', {}],
    ['GET', '/admin/tenants/nobody', undefined],
    ['POST', '/admin/tenants/nobody/pause', undefined],
    ['POST', '/admin/tenants/nobody/resume', undefined],
    ['PATCH', '/admin/senders/nobody', {}],
    ['GET', '/admin/senders/nobody', undefined],
    ['POST', '/admin/senders/nobody/pause', undefined],
    ['POST', '/admin/senders/nobody/resume', undefined],
    ['DELETE', '/admin/keys/nobody', undefined],
  ] as const)('%s %s is 404', async (method, url, body) => {
    const answer = await call(method, url, body);
    expect(answer.statusCode).toBe(404);
    expect(answer.json()).toMatchObject({ code: 'NOT_FOUND' });
  });

  test.each([
    [{}, 'id'],
    [{ id: 'a b' }, 'id'],
    [{ id: 'x', concurrency: 0 }, 'concurrency'],
    [{ id: 'x', weight: 101 }, 'weight'],
    [{ id: 'x', backlogMax: 1.5 }, 'backlogMax'],
    [{ id: 'x', eventsUrl: 'ftp://x' }, 'eventsUrl'],
    [{ id: 'x', eventsUrl: 'http://example.org/hook' }, 'eventsUrl'],
    [{ id: 'x', eventsUrl: 'https://169.254.169.254/latest/meta-data' }, 'eventsUrl'],
    [{ id: 'x', eventsUrl: 'https://[::1]/hook' }, 'eventsUrl'],
    [{ id: 'x', eventsUrl: 'https://user:word@example.org/hook' }, 'eventsUrl'],
    [{ id: 'x', eventsUrl: 'https://example.org:6379/hook' }, 'eventsUrl'],
    [{ id: 'x', role: 'admin' }, 'role'],
    [{ id: 'x', pausedReason: 'x' }, 'pausedReason'],
  ])('refuses %j', async (body, field) => {
    const refused = await call('POST', '/admin/tenants', body);
    expect(refused.statusCode).toBe(400);
    expect(refused.json()).toMatchObject({ field });
  });

  test('F48 · a changed address for events is judged like a new one, and a good one is kept', async () => {
    expect((await call('POST', '/admin/tenants', { id: 'told' })).statusCode).toBe(201);
    const refused = await call('PATCH', '/admin/tenants/told', { eventsUrl: 'https://10.0.0.7/hook' });
    expect(refused.statusCode).toBe(400);
    expect(refused.json()).toMatchObject({
      code: 'REQUEST_INVALID',
      field: 'eventsUrl',
      detail: 'Its host is not on the public internet.',
    });
    const kept = await call('PATCH', '/admin/tenants/told', { eventsUrl: 'https://hooks.example.org:8443/told' });
    expect(kept.json()).toMatchObject({ eventsUrl: 'https://hooks.example.org:8443/told' });
    expect((await call('PATCH', '/admin/tenants/told', { eventsUrl: null })).json()).toMatchObject({ eventsUrl: null });
  });

  test('the list pages through every tenant', async () => {
    const all: string[] = [];
    let cursor: string | null = '';
    while (cursor !== null) {
      const page = await call(
        'GET',
        `/admin/tenants?limit=2${cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`}`,
      );
      const body: { items: { id: string }[]; next: string | null } = page.json();
      all.push(...body.items.map((item) => item.id));
      cursor = body.next;
    }
    expect(new Set(all).size).toBe(all.length);
    expect(all).toEqual(expect.arrayContaining(['salon1', 'plain', 'held']));
  });
});

describe('/admin/senders', () => {
  test('creating one tells the engine its limits; credentials are never shown', async () => {
    const body = sender({ ratePerSecond: 10, pairGapMs: 0 });
    const created = await call('POST', '/admin/senders', body);
    expect(created.statusCode).toBe(201);
    expect(created.json()).toMatchObject({
      id: body.id,
      tenant: null,
      provider: 'cloud',
      externalId: body.externalId,
      apiUrl: 'https://graph.facebook.com/v23.0',
      ratePerSecond: 10,
      burst: 1,
      concurrency: 20,
      pairGapMs: 0,
      pairBucketCapacity: 45,
      portfolio: null,
      paused: false,
    });
    expect(api.queue.configured.get(body.id)).toMatchObject({
      ratePerSecond: 10,
      pairGapMs: 0,
      burst: 1,
      concurrency: 20,
    });
    for (const url of [`/admin/senders/${body.id}`, '/admin/senders?limit=200']) {
      expect((await call('GET', url)).body).not.toContain('very-secret');
    }
    expect(created.body).not.toContain('very-secret');
    expect((await api.record.senders.getWithCredentials(body.id))?.credentials).toEqual(body.credentials);
  });

  test("a tenant's own sender is the one its messages take; another tenant cannot", async () => {
    await call('POST', '/admin/tenants', { id: 'owner' });
    await send({ tenant: 'owner' });
    expect(api.queue.accepted.at(-1)?.lane.sender).toBe('default');
    const own = sender({ tenant: 'owner' });
    await call('POST', '/admin/senders', own);
    await send({ tenant: 'owner' });
    expect(api.queue.accepted.at(-1)?.lane.sender).toBe(own.id);
    await send({ tenant: 'owner', sender: 'default' });
    expect(api.queue.accepted.at(-1)?.lane.sender).toBe('default');
    expect((await send({ tenant: 'other', sender: own.id })).statusCode).toBe(404);
  });

  test("a tenant's senders share one shard, and a sender keeps its shard", async () => {
    await call('POST', '/admin/tenants', { id: 'sharded' });
    const shards = new Set<number>();
    for (let i = 0; i < 4; i++) {
      const created = await call('POST', '/admin/senders', sender({ tenant: 'sharded' }));
      const { id, shard } = created.json<{ id: string; shard: number }>();
      shards.add(shard);
      expect(shard).toBeLessThan(api.queue.shards);
      expect((await call('PATCH', `/admin/senders/${id}`, { burst: 2 })).json()).toMatchObject({ shard });
    }
    expect(shards.size).toBe(1);
  });

  test('a change counts at once in the engine and keeps what it leaves out', async () => {
    const body = sender({ ratePerSecond: 10 });
    await call('POST', '/admin/senders', body);
    const changed = await call('PATCH', `/admin/senders/${body.id}`, {
      concurrency: 3,
      credentials: { accessToken: 'new' },
    });
    expect(changed.json()).toMatchObject({ concurrency: 3, ratePerSecond: 10 });
    expect(api.queue.configured.get(body.id)).toMatchObject({ concurrency: 3, ratePerSecond: 10 });
    expect((await api.record.senders.getWithCredentials(body.id))?.credentials).toEqual({ accessToken: 'new' });
  });

  test('pause and resume reach the engine, also one that forgot the sender', async () => {
    const { id } = sender();
    await call('POST', '/admin/senders', sender({ id }));
    api.queue.forgetSenders();
    const paused = await call('POST', `/admin/senders/${id}/pause`, { reason: 'quality' });
    expect(paused.json()).toMatchObject({ paused: true, pausedReason: 'quality' });
    expect(api.queue.pausedSenders.get(id)).toBe('quality');
    api.queue.forgetSenders();
    await send({ sender: id });
    expect(api.queue.pausedSenders.get(id)).toBe('quality');
    await call('POST', `/admin/senders/${id}/resume`);
    expect(api.queue.pausedSenders.has(id)).toBe(false);
  });

  test('the sender default comes from the settings and cannot be changed here, but paused', async () => {
    const refused = await call('PATCH', '/admin/senders/default', { ratePerSecond: 1000 });
    expect(refused.statusCode).toBe(409);
    expect(refused.json<{ detail: string }>().detail).toContain('settings');
    await call('POST', '/admin/senders/default/pause');
    expect(api.queue.pausedSenders.has('default')).toBe(true);
    expect((await send({})).statusCode).toBe(202);
    await call('POST', '/admin/senders/default/resume');
    expect(api.queue.pausedSenders.has('default')).toBe(false);
  });

  test('one phone number is one sender', async () => {
    const first = sender();
    await call('POST', '/admin/senders', first);
    const second = await call('POST', '/admin/senders', sender({ externalId: first.externalId }));
    expect(second.statusCode).toBe(409);
  });

  test.each([
    [{ provider: 'signal' }, 'provider'],
    [{ externalId: '+49151' }, 'externalId'],
    [{ credentials: undefined }, 'credentials'],
    [{ credentials: {} }, 'credentials.accessToken'],
    [{ credentials: { accessToken: 'x', password: 'y' } }, 'credentials.password'],
    [{ apiUrl: 'file:///etc/passwd' }, 'apiUrl'],
    [{ ratePerSecond: -1 }, 'ratePerSecond'],
    [{ burst: 0 }, 'burst'],
    [{ concurrency: 0 }, 'concurrency'],
    [{ pairBucketRefillPerSecond: 0 }, 'pairBucketRefillPerSecond'],
    [{ shard: 3 }, 'shard'],
    [{ id: 'default', tenant: 'salon1' }, 'id'],
  ])('refuses %j', async (change, field) => {
    const refused = await call('POST', '/admin/senders', sender(change));
    expect(refused.statusCode, refused.body).toBe(400);
    expect(refused.json()).toMatchObject({ field });
    expect(refused.body).not.toContain('very-secret');
  });

  test('an unknown tenant is 404', async () => {
    expect((await call('POST', '/admin/senders', sender({ tenant: 'nobody-yet' }))).statusCode).toBe(404);
  });
});

describe('/admin/keys', () => {
  test('a key is shown once, lists show its beginning only, and it ends when it is revoked', async () => {
    await call('POST', '/admin/tenants', { id: 'keyed' });
    const created = await call('POST', '/admin/keys', { tenant: 'keyed', name: 'second' });
    expect(created.statusCode).toBe(201);
    const { key, id, prefix } = created.json<{ key: string; id: string; prefix: string }>();
    expect(key.startsWith(prefix)).toBe(true);
    const list = await call('GET', '/admin/keys?tenant=keyed');
    expect(list.json<{ items: { name: string }[] }>().items.map((item) => item.name)).toEqual(['second', 'first key']);
    expect(list.body).not.toContain(key);
    const revoked = await call('DELETE', `/admin/keys/${id}`);
    expect(revoked.json()).toMatchObject({ id, revokedAt: expect.any(String) as string });
    expect((await send({}, key)).statusCode).toBe(401);
    expect((await call('DELETE', `/admin/keys/${id}`)).json()).toEqual(revoked.json());
  });

  test.each([
    [{ name: 'x' }, 'tenant'],
    [{ tenant: 'salon1' }, 'name'],
    [{ tenant: 'salon1', name: 'x', key: 'mine' }, 'key'],
  ])('refuses %j', async (body, field) => {
    expect((await call('POST', '/admin/keys', body)).json()).toMatchObject({ code: 'REQUEST_INVALID', field });
  });

  test('a key for an unknown tenant is 404', async () => {
    expect((await call('POST', '/admin/keys', { tenant: 'nobody-yet', name: 'x' })).statusCode).toBe(404);
  });
});

test('who did what stands in the audit, without secrets', async () => {
  const body = sender();
  await call('POST', '/admin/senders', body);
  await call('POST', `/admin/senders/${body.id}/pause`);
  const { items } = await api.record.audit.list({ limit: 200 });
  expect(items.filter((item) => item.target === body.id).map((item) => [item.actor, item.action])).toEqual([
    ['admin@example.com', 'sender.pause'],
    ['admin@example.com', 'sender.create'],
  ]);
  expect(JSON.stringify(items)).not.toContain('very-secret');
});

test('without TENANT_AUTO_CREATE an unknown tenant is 404, and without any sender a message is 422', async () => {
  const strict = await startApi({ autoCreate: false, hasDefaultSender: false });
  const post = (tenant: string) => strict.call({ method: 'POST', url: '/v1/messages', body: text({ tenant }) });
  const unknown = await post('nobody');
  expect(unknown.statusCode).toBe(404);
  expect(unknown.json()).toMatchObject({ code: 'NOT_FOUND', field: 'tenant' });
  await strict.record.tenants.create({ id: 'known' });
  const bare = await post('known');
  expect(bare.statusCode).toBe(422);
  expect(bare.json()).toMatchObject({ code: 'SENDER_MISSING' });
  expect(strict.queue.accepted).toEqual([]);
  await strict.close();
});
