import { expect, test } from 'vitest';
import { RedisSendQueue } from '../../src/engine/queue.ts';
import { createSenders, createTenants } from '../../src/messages/index.ts';
import { recordOfFile } from '../record/support/record.ts';
import { sharedRedisUrl } from '../support/services.ts';

const { record } = await recordOfFile();

test('C4 · of two changes of a sender that overtake each other the later one holds, in memory and in the engine', async () => {
  const queue = new RedisSendQueue({ redis: { url: await sharedRedisUrl() }, shards: 1 });
  await queue.connect(10_000);
  const senders = createSenders({ store: record.senders, tenantStore: record.tenants, queue, fromSettings: [] });
  const made = await record.senders.create({
    id: 'main',
    tenant: null,
    provider: 'cloud',
    externalId: '100',
    apiUrl: 'https://graph.facebook.com/v23.0',
    credentials: { accessToken: 'x' },
    ratePerSecond: 80,
    burst: 1,
    concurrency: 20,
    pairGapMs: 0,
    pairBucketCapacity: 0,
    pairBucketRefillPerSecond: 0.1667,
    shard: 0,
  });
  await senders.changed(made);
  const earlier = await record.senders.patch('main', { ratePerSecond: 10 });
  const later = await record.senders.patch('main', { ratePerSecond: 20 });
  for (const change of [later, earlier]) if (change !== null) await senders.changed(change);
  expect((await senders.byId('main')).ratePerSecond).toBe(20);
  expect(await queue.lookAtSender('main', 'default')).toMatchObject({ ratePerSecond: 20 });
  queue.close();
});

test('C4 · of two changes of a tenant that overtake each other the later one holds', async () => {
  const tenants = createTenants({ store: record.tenants, autoCreate: false });
  await record.tenants.create({ id: 'salon' });
  const earlier = await record.tenants.patch('salon', { concurrency: 3 });
  const later = await record.tenants.patch('salon', { concurrency: 4 });
  for (const change of [later, earlier]) if (change !== null) tenants.changed(change);
  expect((await tenants.resolve('salon')).concurrency).toBe(4);
});
