import { expect, test } from 'vitest';
import { evidenceOf } from '../../src/inbound/status-evidence.ts';
import { evolutionReader } from '../../src/providers/evolution/reader.ts';
import type { ReadWebhook } from '../../src/providers/events.ts';
import { twilioReader } from '../../src/providers/twilio/reader.ts';
import { eventually } from '../support/services.ts';
import { sql } from '../support/postgres.ts';
import { cloudBody, wamid } from './support/cloud.ts';
import { roomOfFile, TAG_KEY } from './support/room.ts';

/* Statuses go past the jobs into the event log: what they tell must come through, and a repeat must stay one. */

const { url, room } = await roomOfFile();

const kept = (id: string) =>
  sql<{ status: string; more: unknown; provider_at: Date }>(
    url,
    'select status, more, provider_at from status_events where provider_message_id = $1 order by recorded_at',
    [id],
  );

test('Q3 · a status keeps all that it told beside id, word, time and error, and unknown fields are counted', async () => {
  const status = {
    id: wamid(),
    status: 'delivered',
    timestamp: '1790000000',
    recipient_id: '4915112345678',
    recipient_user_id: 'DE.123',
    pricing: { billable: true, pricing_model: 'PMP', category: 'marketing', type: 'regular' },
    brand_new_field: { anything: 'with \u0000 and \ud800' },
  };
  await room.post(cloudBody({ statuses: [status] }));
  const [row] = await eventually(async () => {
    const found = await kept(status.id);
    return found.length > 0 && found;
  });
  expect(row?.more).toEqual({
    recipient_id: '4915112345678',
    recipient_user_id: 'DE.123',
    pricing: status.pricing,
    brand_new_field: { anything: 'with \uFFFD and \uFFFD' },
  });
  expect(room.statistics.figures().events['other:status.brand_new_field']).toBe(1);
  expect(await sql(url, 'select 1 from raw_webhooks')).toHaveLength(0);
});

const callback = (fields: object) => (receivedAtMs: number) =>
  twilioReader.read({ MessageSid: 'SM-once', From: 'whatsapp:+1555', ...fields }, receivedAtMs);
const acknowledged = (status: string, more: object) => (receivedAtMs: number) =>
  evolutionReader.read(
    { event: 'messages.update', instance: 'salon', data: { keyId: 'BAE-once', fromMe: true, status, ...more } },
    receivedAtMs,
  );

test.each<[string, string, (receivedAtMs: number) => ReadWebhook, (receivedAtMs: number) => ReadWebhook]>([
  ['Twilio', 'SM-once', callback({ MessageStatus: 'delivered' }), callback({ MessageStatus: 'read' })],
  ['Evolution without a time', 'BAE-once', acknowledged('DELIVERY_ACK', {}), acknowledged('READ', {})],
])('F41 · R7 · %s: a status that comes three times is one, known by id and word', async (_name, id, told, last) => {
  const post = async (read: ReadWebhook) => {
    const statuses = read.events.flatMap((event) => (event.kind === 'status' ? [event.status] : []));
    expect(statuses).toHaveLength(1);
    await room.queue.statuses(statuses.map((status) => evidenceOf(status, TAG_KEY)));
  };
  for (const receivedAtMs of [1_790_000_000_000, 1_790_000_001_000, 1_790_000_002_000]) await post(told(receivedAtMs));
  await post(last(1_790_000_003_000));
  // The last one is recorded after those before it.
  const found = await eventually(async () => {
    const rows = await kept(id);
    return rows.some(({ status }) => status === 'read') && rows;
  });
  expect(found.map(({ status }) => status).sort()).toEqual(['delivered', 'read']);
  expect(found.find(({ status }) => status === 'delivered')?.provider_at.getTime()).toBe(1_790_000_000_000);
});

test('two statuses with times of the provider are two, as before', async () => {
  const id = wamid();
  const status = (timestamp: string) => ({ id, status: 'read', timestamp, recipient_id: '4915112345678' });
  await room.post(cloudBody({ statuses: [status('1790000000'), status('1790000000'), status('1790000001')] }));
  await eventually(async () => (await kept(id)).length === 2);
});
