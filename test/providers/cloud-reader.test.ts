import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cloudReader } from '../../src/providers/cloud/reader.ts';
import type { InboundMessage, ProviderEvent } from '../../src/providers/events.ts';

const NOW = 1_800_000_000_000;
type Json = Record<string, unknown>;
const change = (value: Json, field = 'messages'): Json => ({
  field,
  value: { messaging_product: 'whatsapp', metadata: { phone_number_id: '106', display_phone_number: '1' }, ...value },
});
const body = (...changes: Json[]): Json => ({
  object: 'whatsapp_business_account',
  entry: [{ id: 'waba1', changes }],
});
const inbound = (overrides: Json): Json => ({
  id: 'wamid.I',
  from: '4915112345678',
  timestamp: '1790000000',
  ...overrides,
});
const CONTACTS = [{ profile: { name: 'Ana' }, wa_id: '4915112345678', user_id: 'DE.123' }];

function read(...changes: Json[]): readonly ProviderEvent[] {
  const result = cloudReader.read(body(...changes), NOW);
  expect(result.broken).toEqual([]);
  return result.events;
}
function messageOf(item: Json, contacts: unknown[] = CONTACTS): InboundMessage {
  const [event] = read(change({ contacts, messages: [inbound(item)] }));
  if (event?.kind !== 'message') throw new Error(`a message was expected, not ${event?.kind ?? 'nothing'}`);
  return event.message;
}

describe('the Cloud API reader: messages of persons', () => {
  it('reads a text with who wrote it, when and to which number', () => {
    expect(messageOf({ type: 'text', text: { body: 'Hello', new_field: 1 } })).toEqual({
      externalSenderId: '106',
      providerMessageId: 'wamid.I',
      contact: { waId: '4915112345678', userId: 'DE.123', phone: '+4915112345678', name: 'Ana' },
      atMs: 1_790_000_000_000,
      type: 'text',
      content: { body: 'Hello', new_field: 1 },
      replyTo: null,
      referral: null,
      isEcho: false,
    });
  });

  const media = { id: 'm1', mime_type: 'x/y', sha256: 'abc', url: 'https://lookaside.example/1' };
  it.each<[string, Json]>([
    ['image', { ...media, caption: 'c' }],
    ['video', { ...media, caption: 'c' }],
    ['audio', { ...media, voice: true }],
    ['document', { ...media, filename: 'a.pdf' }],
    ['sticker', { ...media, animated: false }],
    ['location', { latitude: 1.5, longitude: -2, name: 'n', address: 'a', url: 'u' }],
    ['interactive', { type: 'button_reply', button_reply: { id: 'b', title: 'B' } }],
    ['interactive', { type: 'list_reply', list_reply: { id: 'l', title: 'L', description: 'd' } }],
    ['interactive', { type: 'nfm_reply', nfm_reply: { name: 'flow', body: 'Sent', response_json: '{}' } }],
    ['button', { payload: 'p', text: 'Yes' }],
    ['order', { catalog_id: 'c', text: 't', product_items: [{ product_retailer_id: 'r', quantity: 1 }] }],
  ])('%s keeps its object: %j', (type, object) => {
    expect(messageOf({ type, [type]: object })).toMatchObject({ type, content: object });
  });

  it('contacts, a list in the API, stand under their own name', () => {
    const contacts = [{ name: { formatted_name: 'Bo' }, phones: [{ phone: '+1' }], origin: 'contact_request' }];
    expect(messageOf({ type: 'contacts', contacts }).content).toEqual({ contacts });
  });

  it.each<[Json, string]>([
    [{ type: 'reaction', reaction: { message_id: 'wamid.R', emoji: '👍' } }, 'wamid.R'],
    [{ type: 'edit', edit: { original_message_id: 'wamid.O', text: { body: 'x' } } }, 'wamid.O'],
    [{ type: 'revoke', revoke: { original_message_id: 'wamid.O' } }, 'wamid.O'],
    [{ type: 'revoke', original_message_id: 'wamid.O' }, 'wamid.O'],
    [{ type: 'text', text: { body: 'x' }, context: { from: '49', id: 'wamid.Q' } }, 'wamid.Q'],
  ])('%j answers %s', (item, replyTo) => {
    expect(messageOf(item).replyTo).toBe(replyTo);
  });

  it('a context that says more than what is answered is kept', () => {
    const context = { forwarded: true, referred_product: { catalog_id: 'c' } };
    expect(messageOf({ type: 'text', text: { body: 'x' }, context }).content).toEqual({ body: 'x', context });
  });

  it('an unsupported message keeps its errors', () => {
    const errors = [{ code: 131051 }];
    const message = messageOf({ type: 'unsupported', unsupported: { type: 'poll' }, errors });
    expect(message).toMatchObject({ type: 'unsupported', content: { type: 'poll', errors } });
  });

  it.each(['request_welcome', 'hologram'])('%s, without an object, is kept', (type) => {
    expect(messageOf({ type, odd: { a: 1 } })).toMatchObject({ type, content: { odd: { a: 1 } } });
  });

  it('a click on an advertisement', () => {
    const referral = { source_type: 'ad', source_id: '1', ctwa_clid: 'x' };
    expect(messageOf({ type: 'text', text: { body: 'x' }, referral }).referral).toEqual(referral);
  });

  it('a person without a phone number is known by the user id', () => {
    const contacts = [{ profile: { name: 'Zed', username: 'zed' }, user_id: 'US.9' }];
    const [event] = read(
      change({
        contacts,
        messages: [{ id: 'w', from_user_id: 'US.9', timestamp: '1', type: 'text', text: { body: 'x' } }],
      }),
    );
    expect(event).toMatchObject({
      message: { contact: { waId: null, userId: 'US.9', phone: null, name: 'Zed' } },
    });
  });

  it('each message gets its own contact, also in a batch', () => {
    const contacts = [
      { profile: { name: 'A' }, wa_id: '491510000001' },
      { profile: { name: 'B' }, wa_id: '491510000002' },
    ];
    const messages = ['491510000002', '491510000001', '491510000003'].map((from) =>
      inbound({ from, type: 'text', text: { body: 'x' } }),
    );
    const names = read(change({ contacts, messages })).map((e) => (e.kind === 'message' ? e.message.contact.name : 0));
    expect(names).toEqual(['B', 'A', null]);
  });

  it('a message typed in the Business app is an echo to the person', () => {
    const echo = {
      id: 'wamid.E',
      from: '1',
      to: '4915112345678',
      timestamp: '1790000000',
      type: 'text',
      text: { body: 'x' },
    };
    expect(read(change({ message_echoes: [echo] }, 'smb_message_echoes'))).toMatchObject([
      { kind: 'message', message: { isEcho: true, contact: { waId: '4915112345678' }, content: { body: 'x' } } },
    ]);
  });

  it.each<[Json, Json]>([
    [
      { type: 'user_changed_number', body: 'changed', wa_id: '4915199999999' },
      { waId: '4915199999999', phone: '+4915199999999', userId: 'DE.123' },
    ],
    [
      { type: 'user_changed_user_id', body: 'changed', user_id: 'DE.999' },
      { waId: '4915112345678', phone: '+4915112345678', userId: 'DE.999' },
    ],
  ])('%j', (system, after) => {
    expect(read(change({ contacts: CONTACTS, messages: [inbound({ type: 'system', system })] }))).toMatchObject([
      { kind: 'contact-changed', externalSenderId: '106', before: { waId: '4915112345678' }, after },
    ]);
  });

  it('another system message is a message', () => {
    expect(messageOf({ type: 'system', system: { type: 'group_joined', body: 'x' } }).type).toBe('system');
  });

  it('what is said in a group is told apart: it is no message of its member to us, and no echo to one', () => {
    const said = inbound({ type: 'text', text: { body: 'Hello all' }, group_id: 'GROUP1' });
    expect(read(change({ contacts: CONTACTS, messages: [said] }))).toEqual([
      { kind: 'other', externalSenderId: '106', type: 'messages.group' },
    ]);
    const echo = { ...said, to: '4915112345678' };
    expect(read(change({ message_echoes: [echo] }, 'smb_message_echoes'))).toEqual([
      { kind: 'other', externalSenderId: '106', type: 'smb_message_echoes.group' },
    ]);
  });
});

describe('the Cloud API reader: everything else', () => {
  it('statuses, with the tag', () => {
    const statuses = [{ id: 'wamid.A', status: 'read', timestamp: '1790000000', biz_opaque_callback_data: 'v1.x' }];
    expect(read(change({ statuses }))).toMatchObject([
      {
        kind: 'status',
        status: { providerMessageId: 'wamid.A', status: 'read', tag: 'v1.x', externalSenderId: '106' },
      },
    ]);
  });

  it.each<[Json, Json]>([
    [
      { event: 'PAUSED', reason: 'NONE', other_info: { title: 'FIRST_PAUSE' } },
      { event: 'PAUSED', reason: 'FIRST_PAUSE' },
    ],
    [
      { event: 'rejected', reason: 'INVALID_FORMAT' },
      { event: 'REJECTED', reason: 'INVALID_FORMAT' },
    ],
    [
      { event: 'APPROVED', reason: 'NONE' },
      { event: 'APPROVED', reason: null },
    ],
  ])('a template: %j', (value, expected) => {
    const names = { message_template_id: 12345, message_template_name: 'hello', message_template_language: 'en_US' };
    expect(read(change({ ...names, ...value }, 'message_template_status_update'))).toEqual([
      {
        kind: 'template',
        accountId: 'waba1',
        name: 'hello',
        language: 'en_US',
        providerTemplateId: '12345',
        ...expected,
      },
    ]);
  });

  const restriction = (type: string) => ({
    event: 'ACCOUNT_RESTRICTION',
    restriction_info: [{ restriction_type: type, expiration: 1_790_000_000 }],
  });
  it.each<[string, Json, string, string | null]>([
    ['account_update', { event: 'DISABLED_UPDATE', ban_info: { waba_ban_state: 'DISABLE' } }, 'paused', 'DISABLE'],
    ['account_update', { event: 'DISABLED_UPDATE', ban_info: { waba_ban_state: 'REINSTATE' } }, 'usable', 'REINSTATE'],
    [
      'account_update',
      { event: 'DISABLED_UPDATE', ban_info: { waba_ban_state: 'SCHEDULE_FOR_DISABLE' } },
      'unchanged',
      'SCHEDULE_FOR_DISABLE',
    ],
    [
      'account_update',
      restriction('RESTRICTED_BIZ_INITIATED_MESSAGING'),
      'paused',
      'RESTRICTED_BIZ_INITIATED_MESSAGING until 2026-09-21T14:13:20.000Z',
    ],
    [
      'account_update',
      restriction('RESTRICTED_ADD_PHONE_NUMBER_ACTION'),
      'unchanged',
      'RESTRICTED_ADD_PHONE_NUMBER_ACTION until 2026-09-21T14:13:20.000Z',
    ],
    ['account_update', { event: 'ACCOUNT_DELETED' }, 'paused', null],
    ['account_update', { event: 'ACCOUNT_OFFBOARDED' }, 'paused', null],
    ['account_update', { event: 'ACCOUNT_RECONNECTED' }, 'usable', null],
    ['account_update', { event: 'ACCOUNT_VIOLATION', violation_info: { violation_type: 'SCAM' } }, 'unchanged', 'SCAM'],
    ['account_update', { event: 'PARTNER_ADDED' }, 'unchanged', null],
    ['phone_number_quality_update', { event: 'THROUGHPUT_UPGRADE' }, 'unchanged', null],
    ['business_capability_update', { max_daily_conversations_per_business: 'TIER_2K' }, 'unchanged', 'TIER_2K'],
    ['account_alerts', { alert_type: 'LIMIT', alert_description: 'near' }, 'unchanged', 'near'],
    ['security', { event: 'PIN_CHANGED' }, 'unchanged', null],
  ])('%s %j means %s', (field, value, state, reason) => {
    expect(read(change(value, field))).toMatchObject([{ kind: 'sender', accountId: 'waba1', state, reason }]);
  });

  it.each([
    ['stop', false],
    ['resume', true],
  ])('a person wants marketing to %s', (value, wantsMarketing) => {
    const wish = { wa_id: '4915112345678', category: 'marketing_messages', value, timestamp: 1_790_000_000 };
    expect(read(change({ user_preferences: [wish] }, 'user_preferences'))).toMatchObject([
      { kind: 'preference', wantsMarketing, atMs: 1_790_000_000_000, contact: { phone: '+4915112345678' } },
    ]);
  });

  it.each([
    ['history', { history: [{ threads: [] }] }],
    ['calls', { calls: [] }],
    ['message_template_quality_update', { new_quality_score: 'RED' }],
    ['template_category_update', { new_category: 'MARKETING' }],
    ['business_username_update', { username: 'x' }],
    ['field_of_tomorrow', {}],
    ['constructor', {}],
  ])('the field %s is kept as other, under its name', (field, value) => {
    expect(read(change(value, field))).toEqual([{ kind: 'other', externalSenderId: '106', type: field }]);
  });

  it('lists of tomorrow beside messages are kept as other', () => {
    expect(read(change({ errors: [{ code: 1 }], waves: [1] }))).toMatchObject([
      { kind: 'other', type: 'messages.errors' },
      { kind: 'other', type: 'messages.waves' },
    ]);
  });

  it('a broken item costs the good ones around it nothing', () => {
    const good = inbound({ type: 'text', text: { body: 'x' } });
    const messages = [good, 7, { ...good, id: null }, { ...good, from: undefined }, { ...good, type: [] }, good];
    const { events, broken } = cloudReader.read(body(change({ messages }), change({ statuses: [{}] })), NOW);
    expect(events).toHaveLength(2);
    expect(broken.map(({ where }) => where)).toEqual([
      ...[1, 2, 3, 4].map((n) => `entry[0].changes[0].value.messages[${n}]`),
      'entry[0].changes[1].value.statuses[0]',
    ]);
    expect(JSON.stringify(broken)).not.toContain('49151');
  });

  it('a thousand items of all kinds in one body are a thousand events', () => {
    const entry = Array.from({ length: 10 }, (_, e) => ({
      id: `waba${e}`,
      changes: Array.from({ length: 10 }, (_, c) =>
        change({
          statuses: Array.from({ length: 5 }, (_, n) => ({ id: `s${e}.${c}.${n}`, status: 'sent', timestamp: '1' })),
          messages: Array.from({ length: 5 }, (_, n) =>
            inbound({ id: `m${e}.${c}.${n}`, type: 'text', text: { body: '' } }),
          ),
        }),
      ),
    }));
    const { events, broken } = cloudReader.read({ entry }, NOW);
    expect(broken).toEqual([]);
    expect(events).toHaveLength(1_000);
  });

  it('never throws, whatever comes', () => {
    fc.assert(
      fc.property(fc.anything(), fc.jsonValue(), (thing, json) => {
        for (const odd of [thing, json]) {
          cloudReader.read(odd, NOW);
          cloudReader.read({ entry: odd }, NOW);
          cloudReader.read({ entry: [{ changes: odd }] }, NOW);
          for (const field of ['messages', 'account_update', 'user_preferences', 'message_template_status_update']) {
            cloudReader.read({ entry: [{ id: odd, changes: [{ field, value: odd }] }] }, NOW);
            cloudReader.read(body(change({ messages: [odd], statuses: odd, restriction_info: odd }, field)), NOW);
            cloudReader.read(body(change({ messages: [{ id: 'a', type: 'text', from: '1', text: odd }] })), NOW);
          }
        }
      }),
      { numRuns: 100 },
    );
  });
});
