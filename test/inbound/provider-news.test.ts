import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { evolutionReader } from '../../src/providers/evolution/reader.ts';
import { twilioReader } from '../../src/providers/twilio/reader.ts';
import { eventually } from '../support/services.ts';
import { sql } from '../support/postgres.ts';
import { cloudBody, cloudMessage, wamid } from './support/cloud.ts';
import { roomOfFile, SENDER } from './support/room.ts';

/* Webhooks come in any order, in parallel, and more than once: what they tell of senders and people goes by its time. */

const { url, room } = await roomOfFile({ intervalMs: 5 });
beforeAll(async () => {
  const credentials = { apiKey: 'key', webhookToken: 'word' };
  const evolution = { ...SENDER, id: 'evo', provider: 'evolution' as const, externalId: 'salon', credentials };
  await room.record.senders.ensure({ ...evolution, portfolio: null });
  await room.queue.configureSender({ ...evolution, sender: 'evo' });
});

const rows = <R extends object>(text: string) => sql<R & Record<string, unknown>>(url, text);
const T = 1_790_000_000;

async function done(): Promise<void> {
  await eventually(async () => {
    const { waiting, active, delayed } = await room.queues.getQueueDetail('webhook');
    return waiting + active + delayed === 0;
  });
}

async function account(value: Record<string, unknown>, time: number): Promise<void> {
  const body = JSON.parse(cloudBody(value, '', 'account_update')) as { entry: object[] };
  await room.post(JSON.stringify({ ...body, entry: body.entry.map((entry) => ({ ...entry, time })) }));
}
const ban = (state: string, time: number) =>
  account({ event: 'DISABLED_UPDATE', ban_info: { waba_ban_state: state } }, time);

const failed = (code: number, timestamp: number) => ({
  id: wamid(),
  status: 'failed',
  timestamp: String(timestamp),
  recipient_id: '4915112345678',
  errors: [{ code, title: 'told later', message: 'told later' }],
});

const evolution = (event: string, data: Record<string, unknown>, atMs = Date.now()) =>
  room.reception.receive({
    provider: 'evolution',
    sender: 'evo',
    body: Buffer.from(JSON.stringify({ event, instance: 'salon', data, date_time: new Date(atMs).toISOString() })),
    headers: { 'x-webhook-token': 'word' },
    path: '/webhooks/whatsapp/evolution/evo',
  });
const nack = { keyId: 'BAE1', remoteJid: '4915112345678@s.whatsapp.net', fromMe: true, status: 'ERROR' };

describe('Q3 · what is told of a sender', () => {
  beforeEach(async () => {
    await done();
    await sql(url, `delete from sender_news`);
    await sql(url, `update senders set resumed_at = null, paused_reason = null`);
    for (const sender of ['main', 'evo']) await room.queue.resumeSender(sender);
  });
  const reason = (sender = 'main') => room.queue.pauseReason(sender);

  test('a ban told again after its end holds the sender no more, and neither does one that comes after its end', async () => {
    await ban('DISABLE', T);
    await eventually(async () => (await reason())?.startsWith('webhook: account_update'));
    await ban('REINSTATE', T + 60);
    await eventually(async () => (await reason()) === null);
    await ban('DISABLE', T);
    await done();
    expect(await reason()).toBeNull();
    await ban('DISABLE', T + 61);
    await done();
    expect(await reason()).not.toBeNull();
  });

  test('of a ban and its end in the same second the ban counts, whichever comes first', async () => {
    await ban('DISABLE', T);
    await done();
    await ban('REINSTATE', T);
    await done();
    expect(await reason()).not.toBeNull();
    await ban('REINSTATE', T + 1);
    await done();
    await ban('DISABLE', T + 1);
    await done();
    expect(await reason()).not.toBeNull();
  });

  test('F41 · a connection that closes and opens at once ends open, in whatever order its webhooks arrive', async () => {
    for (let round = 0; round < 15; round += 1) {
      const atMs = Date.now() + round * 1000;
      const words = ['close', 'connecting', 'open'].map((state, index) => ({ state, atMs: atMs + index }));
      if (round % 2 === 1) words.reverse();
      await Promise.all(words.map(({ state, atMs: at }) => evolution('connection.update', { state }, at)));
      await done();
      expect(await reason('evo'), `round ${round}`).toBeNull();
    }
  });

  test('R7 · a reconnect lifts what the connection held, and never the hold of code 463', async () => {
    await evolution('connection.update', { state: 'close', statusReason: 428 });
    await eventually(async () => (await reason('evo'))?.startsWith('webhook: connection.update close'));
    await evolution('messages.update', { ...nack, error: 463 });
    await eventually(async () => (await reason('evo'))?.startsWith('webhook: messages.update 463'));
    await evolution('connection.update', { state: 'close', statusReason: 428 });
    await evolution('connection.update', { state: 'open' });
    await done();
    expect(await reason('evo')).toMatch(/^webhook: messages\.update 463/);
    for (const held of ['Instance not connected (CONNECTION_CLOSED)', 'webhook: instance removed']) {
      await room.queue.pauseSender('evo', held);
      await evolution('connection.update', { state: 'open' });
      await eventually(async () => (await reason('evo')) === null, { what: held });
    }
  });

  test('the end of a ban lifts no hold for a payment or for credentials', async () => {
    for (const held of ['Payment problem (131042)', 'Access token not valid (190)', 'paused by an operator']) {
      await room.queue.pauseSender('main', held);
      await ban('REINSTATE', T);
      await done();
      expect(await reason()).toBe(held);
    }
    // What the answer to an attempt said of the account itself ends with it.
    await room.queue.pauseSender('main', 'Business account locked (131031)');
    await ban('REINSTATE', T);
    await eventually(async () => (await reason()) === null);
  });

  test.each([131048, 131042, 131031, 368, 190])(
    'R4 · code %i holds the sender also when a status reports it, and a person ends that for good',
    async (code) => {
      const status = failed(code, T);
      await room.post(cloudBody({ statuses: [status] }));
      await eventually(async () => (await reason())?.startsWith(`webhook: status ${code}: `));
      await room.record.senders.patch('main', { pausedReason: null });
      await room.queue.resumeSender('main');
      await room.post(cloudBody({ statuses: [status] }));
      await done();
      expect(await reason()).toBeNull();
      await room.post(cloudBody({ statuses: [failed(code, Math.ceil(Date.now() / 1000) + 5)] }));
      await done();
      expect(await reason()).not.toBeNull();
    },
  );

  test('a hold that comes in between is neither lifted nor replaced by who decided about the one before', async () => {
    await room.queue.pauseSender('main', 'first', { heldFor: null });
    await room.queue.pauseSender('main', 'second', { heldFor: null });
    await room.queue.pauseSender('main', 'second', { heldFor: 'other' });
    await room.queue.resumeSender('main', { heldFor: 'other' });
    expect(await reason()).toBe('first');
    await room.queue.pauseSender('main', 'second', { heldFor: 'first' });
    expect(await reason()).toBe('second');
    await room.queue.resumeSender('main', { heldFor: 'second' });
    expect(await reason()).toBeNull();
  });

  test('a code that concerns one recipient holds nobody', async () => {
    await room.post(cloudBody({ statuses: [failed(131026, T), failed(131049, T)] }));
    await done();
    expect(await reason()).toBeNull();
  });

  test.each(['63001', '63007', '63051', '63112'])('R7 · Twilio %s in a status callback tells of the sender', (code) => {
    const fields = { MessageSid: 'SM1', MessageStatus: 'undelivered', ErrorCode: code, From: 'whatsapp:+15551230000' };
    expect(twilioReader.read(fields, T * 1000).events).toMatchObject([
      { kind: 'status' },
      { kind: 'sender', state: 'paused', event: `status ${code}`, externalSenderId: '+15551230000' },
    ]);
  });

  test('an Evolution server without date_time is ordered by arrival', () => {
    const read = (more: object) =>
      evolutionReader.read({ event: 'connection.update', instance: 'salon', data: { state: 'open' }, ...more }, 5000);
    expect(read({}).events).toMatchObject([{ atMs: 5000 }]);
    expect(read({ date_time: '1970-01-01T00:00:07.000Z' }).events).toMatchObject([{ atMs: 7000 }]);
  });
});

describe('Q3 · what is told of a person', () => {
  const wish = async (waId: string, value: string, timestamp: number) => {
    const item = { wa_id: waId, category: 'marketing_messages', value, timestamp };
    await room.post(cloudBody({ user_preferences: [item] }, '100200300', 'user_preferences'));
    await done();
  };
  const optedOut = async (waId: string) => {
    const contact = await room.record.contacts.findByAlias('default', 'wa_id', waId);
    return contact === null ? null : contact.marketingOptOutAtMs !== null;
  };

  test('an older wish that comes again, or late, does not undo a newer one', async () => {
    await wish('4915110000001', 'resume', T);
    await wish('4915110000001', 'stop', T + 9);
    await wish('4915110000001', 'resume', T);
    expect(await optedOut('4915110000001')).toBe(true);
    await wish('4915110000001', 'resume', T + 10);
    await wish('4915110000001', 'stop', T + 9);
    expect(await optedOut('4915110000001')).toBe(false);
  });

  test('of two wishes of the same second the refusal counts', async () => {
    await wish('4915110000002', 'stop', T);
    await wish('4915110000002', 'resume', T);
    expect(await optedOut('4915110000002')).toBe(true);
  });

  test('the refusal of somebody unknown on a shared sender is kept with the tenant that strangers belong to', async () => {
    expect(await optedOut('4915110000003')).toBeNull();
    await wish('4915110000003', 'stop', T);
    expect(await optedOut('4915110000003')).toBe(true);
    expect(await rows(`select 1 from contact_aliases where value like '%4915110000003'`)).toHaveLength(2);
  });

  test('a changed number leads to one contact, also when the new number wrote first, and the memory follows', async () => {
    const [old, next] = ['4915110000010', '4915110000011'];
    const say = async (from: string) => {
      const id = wamid();
      await room.post(cloudBody({ messages: [cloudMessage({ id, from })] }));
      const [row] = await eventually(async () => {
        const found = await rows<{ contact_id: string }>(
          `select contact_id from inbound_messages where provider_message_id = '${id}'`,
        );
        return found.length > 0 && found;
      });
      return row?.contact_id;
    };
    const first = await say(old);
    expect(await say(next)).not.toBe(first);
    await say(next);
    const system = { type: 'user_changed_number', body: 'changed', wa_id: next };
    await room.post(cloudBody({ messages: [cloudMessage({ from: old, type: 'system', system, text: undefined })] }));
    await done();
    expect(await say(next)).toBe(first);
    expect(await say(old)).toBe(first);
    const contact = await room.record.contacts.findByAlias('default', 'wa_id', next);
    expect(contact?.id).toBe(first);
    expect(contact?.aliases.map(({ value }) => value).sort()).toEqual([`+${old}`, `+${next}`, old, next].sort());
    const conversations = await rows(
      `select distinct contact_id from conversations where id in ('+${old}', '+${next}')`,
    );
    expect(conversations).toEqual([{ contact_id: first }]);
    // Told again, nothing changes.
    await room.post(cloudBody({ messages: [cloudMessage({ from: old, type: 'system', system, text: undefined })] }));
    await done();
    expect(await say(next)).toBe(first);
  });

  test('two contacts that turn out to be one person keep the last wish', async () => {
    const alias = (value: string) => [{ kind: 'wa_id' as const, value }];
    const changes = room.record.providerChanges;
    const change = { strangersOf: 'default' };
    await changes.setMarketing('t1', alias('4915110000004'), { ...change, isWanted: false, atMs: T });
    await changes.setMarketing('t1', alias('4915110000005'), { ...change, isWanted: true, atMs: T + 1 });
    const nowMs = Date.now();
    await room.record.inbound.add({
      messages: [
        {
          tenant: 't1',
          sender: 'main',
          webhookId: '00000000-0000-7000-8000-000000000001',
          providerMessageId: wamid(),
          isEcho: false,
          type: 'text',
          content: { body: 'Hello' },
          replyTo: null,
          referral: null,
          providerAtMs: nowMs,
          receivedAtMs: nowMs,
          aliases: [...alias('4915110000004'), ...alias('4915110000005')],
          name: null,
          conversation: '+4915110000004',
          windowUntilMs: nowMs + 1000,
        },
      ],
      webhooks: [],
      events: [],
    });
    const contact = await room.record.contacts.findByAlias('t1', 'wa_id', '4915110000004');
    expect(contact?.aliases).toHaveLength(2);
    expect(contact?.marketingOptOutAtMs).toBeNull();
  });
});
