import { beforeAll, describe, expect, it } from 'vitest';
import { hashApiKey, openRecord, type NewSender } from '../../src/record/index.ts';
import { createSecretBox } from '../../src/util/secret-box.ts';
import { sql } from '../support/postgres.ts';
import { recordOfFile, TENANT_DEFAULTS } from './support/record.ts';

const { url, record } = await recordOfFile();

beforeAll(async () => {
  await record.tenants.create({ id: 'salon1', name: 'Salon One' });
});

function sender(id: string, fields: Partial<NewSender> = {}): NewSender {
  return {
    id,
    tenant: null,
    provider: 'cloud',
    externalId: `phone-${id}`,
    apiUrl: 'https://graph.facebook.com/v23.0',
    credentials: { accessToken: 'EAAG-secret' },
    ratePerSecond: 80,
    burst: 1,
    concurrency: 20,
    pairGapMs: 2_000,
    pairBucketCapacity: 45,
    pairBucketRefillPerSecond: 0.1667,
    shard: 0,
    ...fields,
  };
}

describe('tenants', () => {
  it('are made once by ensure(), also by many at the same time', async () => {
    const made = await Promise.all(Array.from({ length: 10 }, () => record.tenants.ensure('new')));
    expect(new Set(made.map((tenant) => JSON.stringify(tenant))).size).toBe(1);
    expect(made[0]).toMatchObject({
      id: 'new',
      name: 'new',
      ...TENANT_DEFAULTS,
      queueEnabled: null,
      pausedReason: null,
    });
  });

  it('follow the settings for limits of their own that they do not have', async () => {
    await record.tenants.create({ id: 'own', concurrency: 9 });
    const later = openRecord({
      databaseUrl: url,
      tenantDefaults: { concurrency: 7, weight: 3, backlogMax: 10 },
      secretBox: createSecretBox({ key: 'the key of the record tests' }),
    });
    expect(await later.tenants.get('own')).toMatchObject({ concurrency: 9, weight: 3, backlogMax: 10 });
    expect(await later.tenants.patch('own', { concurrency: null })).toMatchObject({ concurrency: 7 });
    await later.close();
  });

  it('change what is given and nothing else', async () => {
    await record.tenants.create({ id: 'patched', name: 'Before', weight: 2, eventsUrl: 'https://example.org/hook' });
    expect(await record.tenants.patch('patched', { name: 'After', pausedReason: 'asked to' })).toMatchObject({
      name: 'After',
      weight: 2,
      eventsUrl: 'https://example.org/hook',
      pausedReason: 'asked to',
    });
    expect(await record.tenants.patch('patched', { eventsUrl: null, pausedReason: null })).toMatchObject({
      eventsUrl: null,
      pausedReason: null,
    });
    expect(await record.tenants.patch('patched', {})).toMatchObject({ name: 'After' });
    expect(await record.tenants.patch('nobody', { name: 'x' })).toBeNull();
    expect(await record.tenants.get('nobody')).toBeNull();
  });

  it('refuse an id that is taken', async () => {
    await expect(record.tenants.create({ id: 'salon1' })).rejects.toMatchObject({ code: 'CONFLICT', field: 'id' });
  });

  it('are listed in pages, each once', async () => {
    await sql(url, `insert into tenants (id, name) select 'bulk' || n, 'x' from generate_series(1, 25) n`);
    const ids: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await record.tenants.list({ cursor, limit: 10 });
      ids.push(...page.items.map((tenant) => tenant.id));
      cursor = page.next ?? undefined;
    } while (cursor !== undefined);
    const [row] = await sql<{ count: number }>(url, 'select count(*)::integer as count from tenants');
    expect(ids).toHaveLength(row?.count ?? -1);
    expect(new Set(ids).size).toBe(ids.length);
  });
});

describe('senders', () => {
  it('keep their credentials sealed, and give them only when they are asked for', async () => {
    const made = await record.senders.create(sender('s1'));
    expect(JSON.stringify([made, await record.senders.get('s1'), await record.senders.list()])).not.toContain('EAAG');
    const [row] = await sql<{ credentials: Buffer }>(url, `select credentials from senders where id = 's1'`);
    expect(row?.credentials.includes('EAAG')).toBe(false);
    expect((await record.senders.getWithCredentials('s1'))?.credentials).toEqual({ accessToken: 'EAAG-secret' });
  });

  it('do not open credentials that were copied from another sender, and name the sender that cannot be opened', async () => {
    await record.senders.create(sender('victim'));
    await record.senders.create(sender('thief', { credentials: { accessToken: 'own' } }));
    await sql(
      url,
      `update senders set credentials = (select credentials from senders where id = 'victim') where id = 'thief'`,
    );
    await expect(record.senders.getWithCredentials('thief')).rejects.toThrow(/belongs to another place/);
    const { senders, unreadable } = await record.senders.all();
    expect(unreadable).toEqual(['thief']);
    expect(senders.map((each) => each.id)).toContain('victim');
  });

  it('refuse an id or a provider number that is taken, and an unknown tenant', async () => {
    await record.senders.create(sender('taken'));
    await expect(record.senders.create(sender('taken', { externalId: 'free' }))).rejects.toMatchObject({
      code: 'CONFLICT',
    });
    await expect(record.senders.create(sender('free', { externalId: 'phone-taken' }))).rejects.toMatchObject({
      code: 'CONFLICT',
    });
    await expect(record.senders.create(sender('lost', { tenant: 'nobody' }))).rejects.toMatchObject({
      code: 'NOT_FOUND',
      field: 'tenant',
    });
  });

  it('follow the settings by ensure(), but keep shard, tenant and pause', async () => {
    await record.senders.ensure(sender('default', { shard: 1 }));
    await record.senders.patch('default', { pausedReason: 'token expired' });
    const again = await record.senders.ensure(
      sender('default', { shard: 0, ratePerSecond: 10, credentials: { accessToken: 'new' } }),
    );
    expect(again).toMatchObject({ shard: 1, ratePerSecond: 10, pausedReason: 'token expired' });
    expect((await record.senders.getWithCredentials('default'))?.credentials).toEqual({ accessToken: 'new' });
  });

  it('are found by the number that a webhook names, and listed for the tenant that may use them', async () => {
    await record.senders.create(sender('own', { tenant: 'salon1' }));
    expect((await record.senders.findByExternalId('cloud', 'phone-own'))?.id).toBe('own');
    expect(await record.senders.findByExternalId('twilio', 'phone-own')).toBeNull();
    const usable = (await record.senders.list({ usableBy: 'salon1' })).items.map((each) => each.id);
    expect(usable).toEqual(expect.arrayContaining(['own', 's1']));
    expect((await record.senders.list({ usableBy: 'new' })).items.map((each) => each.id)).not.toContain('own');
  });

  it('change what is given and nothing else', async () => {
    await record.senders.create(sender('patched', { portfolio: 'p1' }));
    expect(
      await record.senders.patch('patched', { ratePerSecond: 5, credentials: { accessToken: 'x' } }),
    ).toMatchObject({
      ratePerSecond: 5,
      burst: 1,
      portfolio: 'p1',
    });
    expect((await record.senders.getWithCredentials('patched'))?.credentials).toEqual({ accessToken: 'x' });
    expect(await record.senders.patch('nobody', { burst: 2 })).toBeNull();
  });
});

describe('API keys', () => {
  it('are shown once, stored as a hash, and found by it until they are revoked', async () => {
    const { key, ...made } = await record.apiKeys.create({ tenant: 'salon1', name: 'till' });
    expect(key).toMatch(/^wxt_[\w-]{43}$/);
    expect(key.startsWith(made.prefix)).toBe(true);
    const rows = JSON.stringify(await sql(url, 'select *, encode(hash, $1) from api_keys', ['escape']));
    expect(rows).not.toContain(key);

    expect(made.lastUsedAtMs).toBeNull();
    expect(await record.apiKeys.verify(hashApiKey(key))).toMatchObject({ id: made.id, tenant: 'salon1' });
    expect((await record.apiKeys.verify(hashApiKey(key)))?.lastUsedAtMs).toEqual(expect.any(Number));
    expect(await record.apiKeys.verify(hashApiKey(`${key}x`))).toBeNull();

    const revoked = await record.apiKeys.revoke(made.id);
    expect(revoked?.revokedAtMs).toEqual(expect.any(Number));
    expect(await record.apiKeys.verify(hashApiKey(key))).toBeNull();
    expect(await record.apiKeys.revoke(made.id)).toEqual(revoked);
    expect(await record.apiKeys.revoke('no id')).toBeNull();
  });

  it('are listed by tenant, newest first, and not made for an unknown tenant', async () => {
    const tenant = (await record.tenants.ensure('keyring')).id;
    for (const name of ['one', 'two', 'three']) await record.apiKeys.create({ tenant, name });
    const first = await record.apiKeys.list({ tenant, limit: 2 });
    const rest = await record.apiKeys.list({ tenant, limit: 2, cursor: first.next ?? '' });
    const keys = [...first.items, ...rest.items];
    // Within one millisecond any order is right, but every key is there once.
    expect(keys.map((key) => key.name).sort()).toEqual(['one', 'three', 'two']);
    expect(keys.map((key) => key.createdAtMs)).toEqual(keys.map((key) => key.createdAtMs).sort((a, b) => b - a));
    await expect(record.apiKeys.create({ tenant: 'nobody', name: 'x' })).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});

describe('raw webhooks and audit', () => {
  it('keep a webhook byte by byte', async () => {
    const body = Buffer.from([0, 255, 10, 123, 0xc3, 0x28]);
    const id = await record.rawWebhooks.add({
      provider: 'cloud',
      sender: null,
      receivedAtMs: 1_000,
      headers: { 'x-a': 'b\0' },
      body,
      covers: null,
    });
    const [row] = await sql<{ body: Buffer; headers: unknown }>(url, 'select * from raw_webhooks where id = $1', [id]);
    expect(row?.body.equals(body)).toBe(true);
    expect(row?.headers).toEqual({ 'x-a': 'b\uFFFD' });
  });

  it('list who did what, newest first, in pages', async () => {
    for (const action of ['sender.pause', 'sender.resume', 'tenant.create']) {
      await record.audit.add({ actor: 'ada', action, target: 's1', tenant: 'salon1', detail: { why: 'test' } });
    }
    const first = await record.audit.list({ tenant: 'salon1', limit: 2 });
    const rest = await record.audit.list({ tenant: 'salon1', limit: 2, cursor: first.next ?? '' });
    const acts = [...first.items, ...rest.items];
    // Within one millisecond any order is right, but every act is there once.
    expect(acts.map((act) => act.action).sort()).toEqual(['sender.pause', 'sender.resume', 'tenant.create']);
    expect(acts.map((act) => act.atMs)).toEqual(acts.map((act) => act.atMs).sort((a, b) => b - a));
    expect(rest).toMatchObject({ next: null });
    expect(first.items[0]).toMatchObject({ actor: 'ada', target: 's1', detail: { why: 'test' } });
  });
});
