import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import type { NewInboundMessage, WaxwingRecord, WebhookBytes } from '../../src/record/index.ts';
import { newId } from '../../src/util/ids.ts';
import { eventually, testDatabase } from '../support/services.ts';
import { accepted, sent } from './support/events.ts';
import { sql } from '../support/postgres.ts';
import { logOf, openTestRecord, recordAll } from './support/record.ts';

let url: string;
let record: WaxwingRecord;
beforeAll(async () => {
  ({ url } = await testDatabase());
});
beforeEach(async () => {
  await sql(
    url,
    `truncate inbound_messages, conversation_events, conversations, contact_aliases, contacts, raw_webhooks, messages,
       message_events, provider_messages, status_events`,
  );
  record = openTestRecord(url);
});
afterEach(() => record.close());

const HOUR_MS = 3_600_000;
let count = 0;
const message = (more: Partial<NewInboundMessage> = {}): NewInboundMessage => {
  count += 1;
  const receivedAtMs = more.receivedAtMs ?? Date.UTC(2026, 0, 1) + count * 1000;
  return {
    tenant: 'salon',
    sender: 'main',
    webhookId: newId(),
    providerMessageId: `wamid.${count}`,
    isEcho: false,
    type: 'text',
    content: { body: 'Hello' },
    replyTo: null,
    referral: null,
    providerAtMs: receivedAtMs,
    receivedAtMs,
    aliases: [
      { kind: 'e164', value: '+4915112345678' },
      { kind: 'wa_id', value: '4915112345678' },
    ],
    name: 'Ada',
    conversation: '+4915112345678',
    windowUntilMs: receivedAtMs + 24 * HOUR_MS,
    ...more,
  };
};
const webhook = (id: string): WebhookBytes => ({
  id,
  provider: 'cloud',
  sender: null,
  receivedAtMs: Date.UTC(2026, 0, 1),
  headers: {},
  body: Buffer.from('{}'),
  covers: null,
});
const add = (...messages: NewInboundMessage[]) => record.inbound.add({ messages, webhooks: [], events: [] });
const rows = <R extends object>(text: string) => sql<R & Record<string, unknown>>(url, text);

describe('a message that comes in', () => {
  test('Q3 · makes contact, conversation and message, with the window of 24 hours', async () => {
    const first = message();
    const { recorded } = await add(first);
    expect(recorded).toEqual([
      expect.objectContaining({ conversation: '+4915112345678', seq: 1, isNew: true, tenant: 'salon' }),
    ]);
    const conversation = await record.conversations.find({ tenant: 'salon', id: '+4915112345678' });
    expect(conversation).toMatchObject({
      messagesIn: 1,
      unread: 1,
      contactName: 'Ada',
      windowExpiresAtMs: first.receivedAtMs + 24 * HOUR_MS,
      lastInboundAtMs: first.receivedAtMs,
    });
    const contact = await record.contacts.get('salon', recorded[0]?.contactId ?? '');
    expect(contact?.aliases).toEqual([
      { kind: 'e164', value: '+4915112345678' },
      { kind: 'wa_id', value: '4915112345678' },
    ]);
  });

  test('P2 · whom a number belongs to is remembered for CACHE_USER_MAPPING_TTL, and looked up again then', async () => {
    const looks = async (ttlMs: number) => {
      const known: boolean[] = [];
      const own = openTestRecord(url, { knownPeople: { ttlMs, onLook: (isKnown) => known.push(isKnown) } });
      for (let n = 0; n < 3; n += 1) {
        await own.inbound.add({ messages: [message()], webhooks: [], events: [] });
        // The memory's clock has milliseconds; the entry is older than its time afterwards.
        await eventually(
          (
            (startedAtMs) => () =>
              performance.now() - startedAtMs > 5
          )(performance.now()),
        );
      }
      await own.close();
      return known;
    };
    await add(message());
    // Two names of a person: the first message looks them up.
    expect(await looks(60_000)).toEqual([false, false, true, true, true, true]);
    expect(await looks(1)).toEqual([false, false, false, false, false, false]);
  });

  test('P10 · twice is recorded once, in one batch, in two, and in two at the same time', async () => {
    const one = message();
    const again = { ...one, webhookId: newId() };
    await add(one, again);
    await Promise.all([add({ ...one, webhookId: newId() }), add({ ...one, webhookId: newId() })]);
    const two = message();
    const parallel = await Promise.all(Array.from({ length: 8 }, () => add({ ...two, webhookId: newId() })));
    expect(parallel.flatMap(({ recorded }) => recorded)).toHaveLength(1);
    expect(await rows('select 1 from inbound_messages')).toHaveLength(2);
    expect(await record.conversations.find({ tenant: 'salon', id: '+4915112345678' })).toMatchObject({
      messagesIn: 2,
      unread: 2,
    });
    expect(
      (await rows<{ seq: number }>('select seq::integer as seq from conversation_events order by seq')).map(
        (r) => r.seq,
      ),
    ).toEqual([1, 2]);
  });

  test('is given again to another attempt at the same webhook, with the same id and number', async () => {
    const one = message();
    const first = await add(one);
    const second = await add(one);
    expect(second.recorded).toEqual([{ ...first.recorded[0], isNew: false }]);
  });

  test('joins the conversation that was active last, else that of the message it answers', async () => {
    const out = accepted({ tenant: 'salon', sender: 'main', conversation: 'order-7', contact: '+4915112345678' });
    const other = accepted({
      tenant: 'salon',
      sender: 'main',
      conversation: 'order-8',
      contact: '+4915112345678',
      atMs: out.atMs + 5,
    });
    await recordAll(url, logOf([out, sent(out.messageId, 'wamid.out7'), other]));
    expect((await add(message())).recorded[0]?.conversation).toBe('order-8');
    expect((await add(message({ replyTo: 'wamid.out7' }))).recorded[0]?.conversation).toBe('order-7');
  });

  test('of an ad opens the window for longer, an older one does not shorten it', async () => {
    const ad = message();
    await add({ ...ad, windowUntilMs: ad.receivedAtMs + 72 * HOUR_MS });
    await add(message());
    const conversation = await record.conversations.find({ tenant: 'salon', id: '+4915112345678' });
    expect(conversation?.windowExpiresAtMs).toBe(ad.receivedAtMs + 72 * HOUR_MS);
  });

  test('opens the window of every conversation of the person with this sender, and of nobody else', async () => {
    const [contact, stranger] = ['+4915112345678', '+4915100000099'];
    const place = { tenant: 'salon', contact };
    await recordAll(
      url,
      logOf([
        accepted({ ...place, sender: 'main', conversation: 'order-7' }),
        accepted({ ...place, sender: 'other', conversation: 'order-8' }),
        accepted({ ...place, sender: 'main', conversation: 'order-9', contact: stranger }),
      ]),
    );
    const one = message();
    await add(one);
    const page = await record.conversations.list('salon');
    const ends = Object.fromEntries(page.items.map(({ id, windowExpiresAtMs }) => [id, windowExpiresAtMs]));
    expect(ends).toEqual({ 'order-7': one.windowUntilMs, 'order-8': null, 'order-9': null });
  });

  test('an echo counts neither as unread nor for the window', async () => {
    await add(message({ isEcho: true, windowUntilMs: null, name: null }));
    expect(await record.conversations.find({ tenant: 'salon', id: '+4915112345678' })).toMatchObject({
      messagesIn: 0,
      unread: 0,
      windowExpiresAtMs: null,
    });
  });

  test('numbers are without gaps while four batches are written at the same time', async () => {
    const batches = Array.from({ length: 8 }, () => [message(), message(), message()]);
    await Promise.all(batches.map((batch) => add(...batch)));
    const seqs = await rows<{ seq: number }>('select seq::integer as seq from conversation_events order by seq');
    expect(seqs.map(({ seq }) => seq)).toEqual(Array.from({ length: 24 }, (_, index) => index + 1));
  });
});

describe('a person', () => {
  test('without a phone number is known by the user id', async () => {
    const aliases = [{ kind: 'user_id' as const, value: 'US.1349' }];
    const first = await add(message({ aliases, conversation: 'US.1349' }));
    const second = await add(message({ aliases, conversation: 'US.1349' }));
    expect(second.recorded[0]?.contactId).toBe(first.recorded[0]?.contactId);
  });

  test('that was two contacts becomes one when a webhook names both', async () => {
    const byPhone = await add(message());
    const byUser = await add(
      message({ aliases: [{ kind: 'user_id', value: 'US.1' }], conversation: 'US.1', name: null }),
    );
    const both = await add(
      message({
        aliases: [
          { kind: 'e164', value: '+4915112345678' },
          { kind: 'user_id', value: 'US.1' },
        ],
      }),
    );
    const [kept, gone] = [byPhone.recorded[0]?.contactId ?? '', byUser.recorded[0]?.contactId ?? ''];
    expect(both.recorded[0]?.contactId).toBe(kept);
    expect((await record.contacts.get('salon', gone))?.id).toBe(kept);
    expect((await add(message({ aliases: [{ kind: 'user_id', value: 'US.1' }] }))).recorded[0]?.contactId).toBe(kept);
    expect(await rows(`select 1 from conversations where contact_id <> '${kept}'`)).toEqual([]);
  });

  test('written to and writing is one contact', async () => {
    const out = accepted({
      tenant: 'salon',
      sender: 'main',
      conversation: '+4915112345678',
      contact: '+4915112345678',
    });
    await recordAll(url, logOf([out]));
    await add(message());
    expect(await rows('select 1 from contacts')).toHaveLength(1);
    expect(await rows('select 1 from conversations')).toHaveLength(1);
  });

  test('two processes that meet a person at the same time make one contact', async () => {
    const other = openTestRecord(url);
    const results = await Promise.all(
      Array.from({ length: 6 }, (_, index) =>
        (index % 2 === 0 ? record : other).inbound.add({ messages: [message()], webhooks: [], events: [] }),
      ),
    );
    await other.close();
    expect(new Set(results.flatMap(({ recorded }) => recorded.map(({ contactId }) => contactId))).size).toBe(1);
    expect(await rows('select 1 from contacts')).toHaveLength(1);
  });

  test('of another tenant is another contact', async () => {
    const here = await add(message());
    const there = await add(message({ tenant: 'clinic', sender: 'second' }));
    expect(there.recorded[0]?.contactId).not.toBe(here.recorded[0]?.contactId);
    expect(await record.contacts.get('clinic', here.recorded[0]?.contactId ?? '')).toBeNull();
  });
});

describe('a batch', () => {
  test('a message that can never be stored costs the others nothing', async () => {
    const long = randomBytes(8000).toString('hex');
    const id = newId();
    const outcome = await record.inbound.add({
      messages: [
        message(),
        message({ providerMessageId: long, webhookId: id }),
        message(),
        message({ providerAtMs: NaN }),
      ],
      webhooks: [webhook(id)],
      events: [],
    });
    expect(outcome.recorded).toHaveLength(2);
    expect(outcome.refused.map(({ reason }) => reason)).toEqual(['RangeError', 'SQLSTATE 54000']);
    expect(await record.rawWebhooks.count({ fromMs: 0, toMs: Date.now() })).toBe(1);
  });

  test('takes a thousand messages of a thousand people', async () => {
    const messages = Array.from({ length: 1000 }, (_, index) =>
      message({ aliases: [{ kind: 'e164', value: `+49151${index}` }], conversation: `+49151${index}` }),
    );
    expect((await add(...messages)).recorded).toHaveLength(1000);
    expect(await rows('select 1 from contacts')).toHaveLength(1000);
  });

  test('texts that PostgreSQL cannot hold come in with the sign for it', async () => {
    const { recorded } = await add(message({ content: { body: 'a\u0000b\ud800c' }, name: 'x\u0000y' }));
    expect(recorded).toHaveLength(1);
  });
});

test('whose a message on a shared sender is: of the answered message, else of the latest writer', async () => {
  const a = accepted({ tenant: 'a', sender: 'shared', conversation: '+49', contact: '+4915112345678' });
  const b = accepted({
    tenant: 'b',
    sender: 'shared',
    conversation: '+49',
    contact: '+4915112345678',
    atMs: a.atMs + 1000,
  });
  await recordAll(url, logOf([a, sent(a.messageId, 'wamid.a'), b]));
  const aliases = [{ kind: 'e164' as const, value: '+4915112345678' }];
  const stranger = [{ kind: 'e164' as const, value: '+1555' }];
  expect(
    await record.inbound.ownersOf([
      { sender: 'shared', aliases, replyTo: null },
      { sender: 'shared', aliases, replyTo: 'wamid.a' },
      { sender: 'shared', aliases: stranger, replyTo: null },
      { sender: 'else', aliases, replyTo: null },
    ]),
  ).toEqual(['b', 'a', null, null]);
});

test('P3 · the newest that was said in a conversation, both ways, is one query', async () => {
  const base = Date.UTC(2026, 0, 1);
  const key = { tenant: 'salon', sender: 'main', id: '+4915112345678' };
  const place = { tenant: 'salon', sender: 'main', conversation: key.id, contact: key.id };
  await recordAll(url, logOf([1000, 3000, 5000].map((ms) => accepted({ ...place, atMs: base + ms }))));
  for (const ms of [0, 2000, 4000]) await add(message({ receivedAtMs: base + ms }));
  await add(message({ receivedAtMs: base + 6000, isEcho: true }));
  await add(message({ receivedAtMs: base + 7000, sender: 'another' }));
  const spy = vi.spyOn(pg.Client.prototype, 'query');
  const said = await record.chat.newest(key, 6);
  expect(spy).toHaveBeenCalledTimes(1);
  spy.mockRestore();
  expect(said.map(({ isFromPerson, createdAtMs }) => [createdAtMs - base, isFromPerson])).toEqual([
    [6000, false],
    [5000, false],
    [4000, true],
    [3000, false],
    [2000, true],
    [1000, false],
  ]);
  const { items } = await record.chat.list(key, { limit: 6 });
  expect(said.map(({ id, content }) => [id, content])).toEqual(
    items.map(({ message: { id, content } }) => [id, content]),
  );
});

test('a chat shows both directions in one list, page by page', async () => {
  const out = accepted({
    tenant: 'salon',
    sender: 'main',
    conversation: '+4915112345678',
    contact: '+4915112345678',
    atMs: Date.UTC(2026, 0, 1),
  });
  await recordAll(url, logOf([out]));
  const base = Date.UTC(2026, 0, 1);
  for (let index = 0; index < 5; index += 1)
    await add(message({ receivedAtMs: base + 1000 + index, providerAtMs: base + 1000 }));
  const key = { tenant: 'salon', sender: 'main', id: '+4915112345678' };
  const seen: string[] = [];
  let cursor: string | undefined;
  do {
    const page = await record.chat.list(key, { limit: 2, ...(cursor === undefined ? {} : { cursor }) });
    seen.push(...page.items.map(({ direction }) => direction));
    cursor = page.next ?? undefined;
  } while (cursor !== undefined);
  expect(seen.sort()).toEqual([...Array<string>(5).fill('inbound'), 'outbound']);
  expect(await record.chat.markRead(key)).toMatch(/^wamid/);
  expect((await record.conversations.find(key))?.unread).toBe(0);
});
