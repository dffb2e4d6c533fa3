import { expect, test } from 'vitest';
import { RedisSendQueue } from '../../src/engine/queue.ts';
import { createSenders, createTenants } from '../../src/messages/index.ts';
import { SENDER } from '../inbound/support/room.ts';
import { recordOfFile } from '../record/support/record.ts';
import { sharedRedisUrl } from '../support/services.ts';

const { record } = await recordOfFile();

test('C4 · of two changes of a sender that overtake each other the later one holds, in memory and in the engine', async () => {
  const queue = new RedisSendQueue({ redis: { url: await sharedRedisUrl() }, shards: 1 });
  await queue.connect(10_000);
  const senders = createSenders({ store: record.senders, tenantStore: record.tenants, queue, fromSettings: [] });
  const made = await record.senders.create(SENDER);
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
