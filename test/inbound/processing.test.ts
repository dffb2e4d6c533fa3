import { describe, expect, test } from 'vitest';
import { eventually } from '../support/services.ts';
import { sql } from '../support/postgres.ts';
import { cloudBody, cloudMessage, wamid } from './support/cloud.ts';
import { roomOfFile } from './support/room.ts';

const { url, room } = await roomOfFile({ perMinute: 20 });

const rows = <R extends object>(text: string) => sql<R & Record<string, unknown>>(url, text);
const found = (id: string) =>
  eventually(async () => (await sql(url, 'select * from inbound_messages where provider_message_id = $1', [id]))[0], {
    timeoutMs: 10_000,
    what: id,
  });

test('Q3 · P1 · a webhook becomes contact, conversation and message, and is handed over once', async () => {
  const message = cloudMessage();
  const contacts = [{ profile: { name: 'Ada' }, wa_id: '4915112345678' }];
  await room.post(cloudBody({ contacts, messages: [message] }));
  const row = await found(String(message['id']));
  expect(row).toMatchObject({ tenant: 'default', sender: 'main', conversation: '+4915112345678', type: 'text' });
  await eventually(() => room.handed.length === 1);
  expect(room.handed[0]).toMatchObject({
    id: row['id'] as string,
    seq: 1,
    isLimited: false,
    content: { body: 'Is the table free?' },
  });
  await eventually(async () => (await room.queues.getQueueStats('webhook')).completed === 1);
  expect(await rows('select processed_at from raw_webhooks')).toEqual([{ processed_at: expect.any(Date) as Date }]);
});

test('P10 · F41 · the same webhook a hundred times is one message, handed over once', async () => {
  const message = cloudMessage({ from: '4915199999999' });
  const body = cloudBody({ messages: [message] });
  await Promise.all(Array.from({ length: 100 }, () => room.post(body)));
  await found(String(message['id']));
  await eventually(async () => {
    const { waiting, active } = await room.queues.getQueueStats('webhook');
    return waiting + active === 0;
  });
  expect(room.handed.filter(({ conversation }) => conversation === '+4915199999999')).toHaveLength(1);
});

test('a mixed batch of a thousand updates loses none, and a broken one costs only itself', async () => {
  const messages = Array.from({ length: 600 }, (_, index) =>
    cloudMessage({ from: `49151${String(index).padStart(8, '0')}` }),
  );
  const statuses = Array.from({ length: 398 }, () => ({
    id: wamid(),
    status: 'delivered',
    timestamp: '1700000000',
    recipient_id: '4915112345678',
  }));
  const before = await rows<{ n: number }>('select count(*)::integer as n from inbound_messages');
  await room.post(
    cloudBody({
      messages: [...messages, cloudMessage({ type: 'hologram', hologram: { a: 1 } }), { nothing: 1 }],
      statuses,
    }),
  );
  await eventually(
    async () => {
      const [row] = await rows<{ n: number }>('select count(*)::integer as n from inbound_messages');
      return row?.n === (before[0]?.n ?? 0) + 601;
    },
    { timeoutMs: 15_000 },
  );
  await eventually(async () => (await rows(`select 1 from status_events`)).length === 398, { timeoutMs: 15_000 });
  await eventually(async () => (await rows(`select 1 from provider_events where kind = 'broken'`)).length >= 1);
});

test('P6 · of 25 messages of one person in a minute 20 are to be answered, all are kept', async () => {
  const own = () => room.handed.filter(({ conversation }) => conversation === '+4915188888888');
  await room.post(cloudBody({ messages: Array.from({ length: 25 }, () => cloudMessage({ from: '4915188888888' })) }));
  await eventually(() => own().length === 25, { timeoutMs: 15_000 });
  expect(own().filter(({ isLimited }) => !isLimited)).toHaveLength(20);
});

describe('what else a provider tells', () => {
  const event = (field: string, value: Record<string, unknown>) => room.post(cloudBody(value, '', field));

  test('a restriction of the account pauses its senders, a reinstatement lets them go on', async () => {
    await event('account_update', { event: 'DISABLED_UPDATE', ban_info: { waba_ban_state: 'DISABLE' } });
    await eventually(async () => ((await room.queue.pauseReason('main')) ?? '').startsWith('webhook: '));
    await event('account_update', { event: 'DISABLED_UPDATE', ban_info: { waba_ban_state: 'REINSTATE' } });
    await eventually(async () => (await room.queue.pauseReason('main')) === null);
  });

  test('a template that is paused is kept for whoever looks after templates', async () => {
    await event('message_template_status_update', {
      event: 'PAUSED',
      message_template_id: 1,
      message_template_name: 'offer',
      message_template_language: 'en',
    });
    const [row] = await eventually(async () => {
      const found = await rows(`select * from provider_events where kind = 'template'`);
      return found.length > 0 && found;
    });
    expect(row).toMatchObject({
      event: 'PAUSED',
      detail: expect.objectContaining({ name: 'offer', language: 'en' }) as object,
    });
  });

  test('an unknown field is counted and kept', async () => {
    await event('brand_new_field', { anything: true });
    await eventually(() =>
      Object.keys(room.statistics.figures().events).some((word) => word.includes('brand_new_field')),
    );
  });

  test('a person who wants no marketing is remembered as such', async () => {
    const [contact] = await rows<{ id: string }>(
      `select contact_id as id from contact_aliases where value = '+4915112345678'`,
    );
    const preference = (value: string, timestamp: number) =>
      room.post(
        cloudBody(
          {
            user_preferences: [{ wa_id: '4915112345678', category: 'marketing_messages', value, timestamp }],
          },
          '100200300',
          'user_preferences',
        ),
      );
    await preference('stop', 1_700_000_000);
    await eventually(
      async () => (await room.record.contacts.get(null, contact?.id ?? ''))?.marketingOptOutAtMs != null,
    );
    await preference('resume', 1_700_000_001);
    await eventually(
      async () => (await room.record.contacts.get(null, contact?.id ?? ''))?.marketingOptOutAtMs === null,
    );
  });
});

test('Q4 · a status of a message that nobody sent from here is kept, also one with an unknown word', async () => {
  const id = wamid();
  for (const status of ['Delivered', 'teleported'])
    await room.queues.addMessageStatusJob({ messageId: id, status, timestamp: new Date().toISOString() });
  await eventually(async () => {
    const kept = await rows(
      `select status, message_id from status_events where provider_message_id = '${id}' order by 1`,
    );
    expect(kept).toEqual([
      { status: 'delivered', message_id: null },
      { status: 'teleported', message_id: null },
    ]);
    return true;
  });
});

test('Q2 · a webhook job that a program adds is processed for the tenant that it names', async () => {
  const message = cloudMessage({ from: '4915177777777' });
  const payload = JSON.parse(cloudBody({ messages: [message] })) as unknown;
  await room.queues.addWebhookJob({ salonId: 'salon9', payload, receivedAt: new Date() });
  expect(await found(String(message['id']))).toMatchObject({ tenant: 'salon9' });
});

test('webhooks of a time range are processed again without effects, counted before', async () => {
  const range = { fromMs: 0, toMs: Date.now() + 1000 };
  const isIdle = async () => {
    const { waiting, active, delayed } = await room.queues.getQueueDetail('webhook');
    return waiting + active + delayed === 0;
  };
  await eventually(isIdle, { timeoutMs: 15_000 });
  const handed = room.handed.length;
  const before = await rows<{ n: number }>('select count(*)::integer as n from inbound_messages');
  const dry = await room.keeper.replay(range, true);
  expect(dry.found).toBeGreaterThan(3);
  expect(dry.queued).toBe(0);
  expect((await room.keeper.replay(range, false)).queued).toBe(dry.found);
  await eventually(isIdle, { timeoutMs: 15_000 });
  expect(await rows<{ n: number }>('select count(*)::integer as n from inbound_messages')).toEqual(before);
  expect(room.handed).toHaveLength(handed);
});
