import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openRecord, type NewSender, type WaxwingRecord } from '../../src/record/index.ts';
import { hashPassword } from '../../src/util/passwords.ts';
import { createSecretBox } from '../../src/util/secret-box.ts';
import { sql as sqlOn } from '../support/postgres.ts';
import { testDatabase } from '../support/services.ts';

const OLD = 'the old secret key of these tests';
const NEW = 'the new secret key of these tests';
const TOKEN = 'EAAG-planted-access-token';

let databaseUrl: string;
const opened: WaxwingRecord[] = [];
function open(key: string, previousKeys: string[] = []): WaxwingRecord {
  const record = openRecord({
    databaseUrl,
    tenantDefaults: { concurrency: 5, weight: 1, backlogMax: 1000 },
    secretBox: createSecretBox({ key, previousKeys }),
  });
  opened.push(record);
  return record;
}
const sender = (id: string): NewSender => ({
  id,
  tenant: null,
  provider: 'cloud',
  externalId: `ext-${id}`,
  apiUrl: 'https://graph.facebook.com/v23.0',
  ratePerSecond: 80,
  burst: 1,
  concurrency: 20,
  pairGapMs: 2000,
  pairBucketCapacity: 45,
  pairBucketRefillPerSecond: 0.1667,
  credentials: { accessToken: `${TOKEN}-${id}`, appSecret: 'planted-app-secret' },
  shard: 0,
});
const sql = async (text: string) => await sqlOn<Record<string, unknown>>(databaseUrl, text);

beforeAll(async () => {
  ({ url: databaseUrl } = await testDatabase());
  const record = open(OLD);
  for (const id of ['a', 'b', 'c']) await record.senders.create(sender(id));
});
afterAll(async () => {
  for (const record of opened) await record.close();
});

describe('stored secrets', () => {
  test('that are swapped between rows do not open', async () => {
    const swap = `update senders set credentials = case id
        when 'a' then (select credentials from senders where id = 'b')
        else (select credentials from senders where id = 'a') end
      where id in ('a', 'b')`;
    await sql(swap);
    await expect(open(OLD).senders.getWithCredentials('a')).rejects.toThrow(/changed or belongs to another place/);
    await sql(swap);
    expect((await open(OLD).senders.getWithCredentials('a'))?.credentials['accessToken']).toBe(`${TOKEN}-a`);
  });

  test('are sealed anew with a new key, and need the old one no more', async () => {
    await expect(open(NEW).senders.getWithCredentials('a')).rejects.toThrow(/another key/);
    const both = open(NEW, [OLD]);
    expect((await both.senders.getWithCredentials('a'))?.credentials['accessToken']).toBe(`${TOKEN}-a`);
    expect(await both.sealed.rotate()).toEqual({ resealed: 3, current: 0, unreadable: [] });
    expect(await both.sealed.rotate()).toEqual({ resealed: 0, current: 3, unreadable: [] });
    expect((await open(NEW).senders.getWithCredentials('b'))?.credentials['accessToken']).toBe(`${TOKEN}-b`);
    await expect(open(OLD).senders.getWithCredentials('b')).rejects.toThrow(/another key/);
  });

  test('that no key opens are named and left alone', async () => {
    const stranger = open('a third secret key of these tests');
    const { unreadable } = await stranger.sealed.rotate();
    expect(unreadable).toEqual(['senders a', 'senders b', 'senders c']);
    expect((await open(NEW).senders.getWithCredentials('c'))?.credentials['accessToken']).toBe(`${TOKEN}-c`);
  });
});

test('a stolen dump holds no key, token, password or secret that works', async () => {
  const record = open(NEW);
  const { key } = await record.apiKeys.create({ tenant: null, name: 'stolen' });
  await record.people.add({ name: 'ann', role: 'admin', passwordHash: await hashPassword('planted password') });
  const tables = await sql("select table_name from information_schema.tables where table_schema = 'public'");
  let dump = '';
  for (const { table_name: table } of tables) {
    dump += JSON.stringify(await sql(`select t::text as row from ${String(table)} t`));
  }
  expect(dump).toContain('ann');
  const hex = (text: string) => Buffer.from(text).toString('hex');
  for (const planted of [key, TOKEN, 'planted-app-secret', 'planted password', NEW, OLD]) {
    expect(dump).not.toContain(planted);
    expect(dump).not.toContain(hex(planted));
  }
});

test('an API key has a successor while the old one goes on, and ends by itself', async () => {
  const record = open(NEW);
  const { key, id } = await record.apiKeys.create({ tenant: null, name: 'rotated' });
  const verify = (one: string) => record.apiKeys.verify(createHash('sha256').update(one).digest());
  const rotated = await record.apiKeys.rotate(id, 3600_000);
  const made = rotated?.made.key ?? '';
  expect(made).not.toBe(key);
  expect([await verify(key), await verify(made)]).not.toContain(null);
  expect(rotated?.old.expiresAtMs).toBeGreaterThan(Date.now());
  await record.apiKeys.rotate(id, 0);
  expect(await verify(key)).toBeNull();
  expect(await verify(made)).not.toBeNull();
  expect(await record.apiKeys.rotate(id, 0)).toBeNull();
});

test('every column of bytes is a hash, a digest, a body, or an envelope that a rotation reaches', async () => {
  const columns = await sql(
    "select table_name || '.' || column_name as name from information_schema.columns where table_schema = 'public' and data_type = 'bytea'",
  );
  const envelopes = columns.map(({ name }) => String(name)).filter((name) => !/(hash|digest|body)$/.test(name));
  expect(envelopes).toEqual(['senders.credentials']);
});
