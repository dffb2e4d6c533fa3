import { describe, expect, it } from 'vitest';
import { accepted, CUSTOMER, emulator, message, NUMBER, post, text } from './support.ts';

describe('POST /{version}/{phone_number_id}/messages', () => {
  it('answers like Meta: contacts with wa_id, and a wamid that holds the other party', async () => {
    const target = await emulator();
    const answer = await post(target, text('Hi', { to: '+49 170 (123) 4567' }));
    expect(answer.status).toBe(200);
    expect(answer.body).toMatchObject({
      messaging_product: 'whatsapp',
      contacts: [{ input: '+49 170 (123) 4567', wa_id: '491701234567' }],
    });
    const id = (answer.body as unknown as { messages: [{ id: string }] }).messages[0].id;
    expect(id).toMatch(/^wamid\.[A-Za-z0-9+/]+=*$/);
    expect(Buffer.from(id.slice(6), 'base64').toString('latin1')).toContain('491701234567');
    expect(await accepted(target, text())).not.toBe(id);
  });

  it.each([
    ['Brazil, outside the nine-digit areas', '+5547984178525', '554784178525'],
    ['Brazil, São Paulo keeps the nine', '+5511987654321', '5511987654321'],
    ['Brazil, already eight digits', '+554784178525', '554784178525'],
    ['Mexico gets a 1', '+525512345678', '5215512345678'],
    ['Mexico, legacy form', '+5215512345678', '5215512345678'],
    ['Argentina without the 9 stays the landline that it is', '+541123456789', '541123456789'],
    ['Argentina, mobile form', '+5491123456789', '5491123456789'],
  ])('gives the wa_id of WhatsApp: %s', async (_what, to, waId) => {
    const target = await emulator();
    const { body } = await post(target, text('x', { to }));
    expect(body).toMatchObject({ contacts: [{ input: to, wa_id: waId }] });
  });

  it('sends to a business-scoped user id and answers without wa_id', async () => {
    const target = await emulator();
    const answer = await post(target, { ...text(), to: undefined, recipient: 'US.13491208655302741918' });
    expect((answer.body as unknown as { contacts: unknown[] }).contacts).toEqual([
      { input: 'US.13491208655302741918', user_id: 'US.13491208655302741918' },
    ]);
  });

  it('accepts every version and the path without one, and refuses what is no version', async () => {
    const target = await emulator();
    const headers = { authorization: 'Bearer t', 'content-type': 'application/json' };
    const send = async (path: string): Promise<number> =>
      (await fetch(target.url + path, { method: 'POST', headers, body: JSON.stringify(text()) })).status;
    expect(await send(`/v25.0/${NUMBER}/messages`)).toBe(200);
    expect(await send(`/${NUMBER}/messages`)).toBe(200);
    expect(await send(`/latest/${NUMBER}/messages`)).toBe(400);
  });

  it('refuses a missing or wrong token with code 190 and 401', async () => {
    const target = await emulator({ accessToken: 'right' });
    expect(await post(target, text(), NUMBER, 'right')).toMatchObject({ status: 200 });
    const wrong = await post(target, text(), NUMBER, 'wrong');
    expect(wrong).toMatchObject({ status: 401, body: { error: { code: 190, type: 'OAuthException' } } });
    const none = await fetch(`${target.apiUrl}/${NUMBER}/messages`, { method: 'POST' });
    expect(none.status).toBe(401);
  });

  it('answers an unknown number with code 100 and subcode 33 when only known ones are allowed', async () => {
    const target = await emulator({ settings: { knownNumbersOnly: true, numbers: { [NUMBER]: {} } } });
    expect((await post(target, text())).status).toBe(200);
    expect((await post(target, text(), '2000')).body).toMatchObject({ error: { code: 100, error_subcode: 33 } });
  });

  it('marks as read, with and without typing', async () => {
    const target = await emulator();
    const sent = await target.inbound({ phoneNumberId: NUMBER, from: CUSTOMER, text: 'Hello?' });
    const read = { messaging_product: 'whatsapp', status: 'read', message_id: sent.messages[0].id };
    expect((await post(target, read)).body).toEqual({ success: true });
    expect((await post(target, { ...read, typing_indicator: { type: 'text' } })).body).toEqual({ success: true });
    expect((await post(target, { ...read, message_id: 'abc' })).body.error?.code).toBe(100);
    expect(target.ledger().map((entry) => entry.kind)).toEqual(['read', 'typing', 'invalid']);
  });

  it('says in the envelope what is wrong: code, details and a trace id', async () => {
    const target = await emulator();
    const answer = await post(target, text('x'.repeat(4097)));
    expect(answer.status).toBe(400);
    expect(answer.body.error).toMatchObject({
      message: '(#100) Invalid parameter',
      type: 'OAuthException',
      code: 100,
      error_data: {
        messaging_product: 'whatsapp',
        details: "Param text['body'] must be at most 4096 characters long.",
      },
      fbtrace_id: expect.stringMatching(/^A[\w-]{20,}$/) as string,
    });
    expect(await post(target, '{"not json')).toMatchObject({ status: 400, body: { error: { code: 100 } } });
  });
});

const row = (id: string, title = 'Row'): unknown => ({ id, title });
const list = (rows: unknown[], more: object = {}): unknown => ({
  type: 'list',
  body: { text: 'Choose' },
  action: { button: 'Menu', sections: [{ title: 'One', rows }] },
  ...more,
});
const button = (id: string, title: string): unknown => ({ type: 'reply', reply: { id, title } });
const buttons = (...entries: unknown[]): unknown => ({
  type: 'button',
  body: { text: 'x' },
  action: { buttons: entries },
});

const VALID: [string, unknown][] = [
  ['text', { body: '😀'.repeat(4096), preview_url: true }],
  ['image', { link: 'https://example.com/a.jpg', caption: 'c' }],
  ['video', { id: '123' }],
  ['audio', { id: '123', voice: true }],
  ['sticker', { link: 'http://example.com/a.webp' }],
  ['document', { link: 'https://example.com/a.pdf', filename: 'a.pdf', caption: 'c' }],
  ['location', { latitude: 52.5, longitude: '13.4', name: 'Here', address: 'There' }],
  ['contacts', [{ name: { formatted_name: 'Anna' }, phones: [{ phone: '+49170' }] }]],
  ['reaction', { message_id: 'wamid.X', emoji: '👩‍👩‍👧' }],
  ['reaction', { message_id: 'wamid.X', emoji: '' }],
  ['interactive', buttons(button('a', 'A'), button('b', 'B'), button('c', 'C'))],
  ['interactive', list([row('1'), row('2')], { header: { type: 'text', text: 'H' }, footer: { text: 'F' } })],
  [
    'interactive',
    {
      type: 'cta_url',
      body: { text: 'x' },
      action: { name: 'cta_url', parameters: { display_text: 'Open', url: 'https://example.com' } },
    },
  ],
  ['interactive', { type: 'location_request_message', body: { text: 'x' }, action: { name: 'send_location' } }],
  [
    'template',
    {
      name: 'hello',
      language: { code: 'en_US' },
      components: [
        { type: 'header', parameters: [{ type: 'image', image: { link: 'https://example.com/a.png' } }] },
        { type: 'body', parameters: [{ type: 'text', text: 'Anna', parameter_name: 'name' }] },
        { type: 'button', sub_type: 'quick_reply', index: '0', parameters: [{ type: 'payload', payload: 'p' }] },
      ],
    },
  ],
];

const INVALID: [string, string, unknown, number][] = [
  ['an empty text', 'text', { body: '' }, 131009],
  ['a text without body', 'text', {}, 131008],
  ['a text that is a number', 'text', { body: 5 }, 100],
  ['a misspelt key', 'text', { body: 'x', previewUrl: true }, 100],
  ['a caption on audio', 'audio', { id: '1', caption: 'x' }, 100],
  ['a caption that is too long', 'image', { id: '1', caption: 'x'.repeat(1025) }, 100],
  ['id and link together', 'image', { id: '1', link: 'https://example.com' }, 100],
  ['neither id nor link', 'video', {}, 100],
  ['a link that is no address', 'image', { link: 'ftp://example.com/a' }, 100],
  ['a latitude out of range', 'location', { latitude: 91, longitude: 0 }, 131009],
  ['a location without longitude', 'location', { latitude: 1 }, 131008],
  ['contacts without a name', 'contacts', [{ phones: [] }], 131008],
  ['no contacts', 'contacts', [], 131009],
  ['two emoji', 'reaction', { message_id: 'wamid.X', emoji: '👍👍' }, 131009],
  ['a reaction that is a word', 'reaction', { message_id: 'wamid.X', emoji: 'ok' }, 131009],
  ['four buttons', 'interactive', buttons(...['a', 'b', 'c', 'd'].map((id) => button(id, id))), 131009],
  ['a button title of 21 characters', 'interactive', buttons(button('a', 'x'.repeat(21))), 131009],
  ['two buttons with one id', 'interactive', buttons(button('a', 'A'), button('a', 'B')), 131009],
  ['two buttons with one title', 'interactive', buttons(button('a', 'A'), button('b', 'A')), 131009],
  ['a list of eleven rows', 'interactive', list(Array.from({ length: 11 }, (_, i) => row(String(i)))), 131009],
  ['a row title of 25 characters', 'interactive', list([row('1', 'x'.repeat(25))]), 131009],
  ['two rows with one id', 'interactive', list([row('1'), row('1')]), 131009],
  [
    'an image header on a list',
    'interactive',
    list([row('1')], { header: { type: 'image', image: { id: '1' } } }),
    100,
  ],
  ['an unknown interactive type', 'interactive', { type: 'carousel3', body: { text: 'x' }, action: {} }, 100],
  ['a footer of 61 characters', 'interactive', list([row('1')], { footer: { text: 'x'.repeat(61) } }), 100],
  ['a template without language', 'template', { name: 'hello' }, 131008],
  [
    'a template button without index',
    'template',
    { name: 'h', language: { code: 'en' }, components: [{ type: 'button', sub_type: 'url', parameters: [] }] },
    100,
  ],
];

describe('the judge of what is sent', () => {
  it.each(VALID)('takes a %s message that keeps the limits', async (type, content) => {
    expect(await post(await emulator(), message(type, content))).toMatchObject({ status: 200 });
  });

  it.each(INVALID)('refuses %s', async (_what, type, content, code) => {
    const target = await emulator();
    const answer = await post(target, message(type, content));
    expect(answer.status).toBe(400);
    expect(answer.body.error?.code).toBe(code);
    expect(target.ledger()).toMatchObject([{ kind: 'invalid', taken: false, outcome: 'rejected', code }]);
  });

  it.each([
    ['no messaging_product', { ...text(), messaging_product: undefined }, 100],
    ['another product', { ...text(), messaging_product: 'sms' }, 100],
    ['no recipient', { ...text(), to: undefined }, 100],
    ['a recipient that is no number', text('x', { to: 'anna' }), 131009],
    ['an unknown type', { ...text(), type: 'fax' }, 100],
    ['a key that does not exist', text('x', { biz_opaque_callback: 'x' }), 100],
    ['a tag of 513 characters', text('x', { biz_opaque_callback_data: 'x'.repeat(513) }), 100],
    ['a context without message_id', text('x', { context: {} }), 131008],
    ['its own number', text('x', { to: '+1 555 000 1000' }), 131021],
  ])('refuses a message with %s', async (_what, body, code) => {
    const target = await emulator({ settings: { numbers: { [NUMBER]: { displayPhoneNumber: '+15550001000' } } } });
    expect((await post(target, body)).body.error?.code).toBe(code);
  });
});

describe('the rest of the Graph API', () => {
  it('reads a number, whole or by fields', async () => {
    const target = await emulator({ settings: { numbers: { [NUMBER]: { qualityRating: 'YELLOW' } } } });
    const get = async (path: string): Promise<unknown> =>
      (await fetch(`${target.apiUrl}/${path}`, { headers: { authorization: 'Bearer t' } })).json();
    expect(await get(`${NUMBER}?fields=throughput,quality_rating`)).toEqual({
      throughput: { level: 'STANDARD' },
      quality_rating: 'YELLOW',
      id: NUMBER,
    });
    expect(await get(NUMBER)).toMatchObject({ id: NUMBER, display_phone_number: expect.any(String) as string });
    expect(await get(`${NUMBER}?fields=nonsense`)).toMatchObject({ error: { code: 100 } });
    expect(await get('no/such/path')).toMatchObject({ error: { code: 2500 } });
  });

  it('keeps uploaded media, gives its address, and its bytes only with the token', async () => {
    const target = await emulator();
    const headers = { authorization: 'Bearer t' };
    const form = new FormData();
    form.set('messaging_product', 'whatsapp');
    form.set('type', 'image/png');
    form.set('file', new Blob([Buffer.from('not really a picture')], { type: 'image/png' }), 'a.png');
    const up = await fetch(`${target.apiUrl}/${NUMBER}/media`, { method: 'POST', headers, body: form });
    const { id } = (await up.json()) as { id: string };
    const about = (await (await fetch(`${target.apiUrl}/${id}`, { headers })).json()) as Record<string, string>;
    expect(about).toMatchObject({ id, mime_type: 'image/png', file_size: '20', messaging_product: 'whatsapp' });
    const file = await fetch(about['url'] ?? '', { headers });
    expect(await file.text()).toBe('not really a picture');
    expect((await fetch(about['url'] ?? '')).status).toBe(401);
    expect(await (await fetch(`${target.apiUrl}/${id}`, { method: 'DELETE', headers })).json()).toEqual({
      success: true,
    });
    expect((await fetch(`${target.apiUrl}/${id}`, { headers })).status).toBe(400);
    form.set('type', 'image/tiff');
    const refused = await fetch(`${target.apiUrl}/${NUMBER}/media`, { method: 'POST', headers, body: form });
    expect(await refused.json()).toMatchObject({ error: { code: 100 } });
  });

  it('knows only the templates that were configured, and counts their parameters', async () => {
    const templates = [
      { name: 'hello', language: 'en', body: 'Hi {{1}}, see you {{2}}' },
      { name: 'paused', language: 'en', status: 'PAUSED' as const },
      { name: 'held', language: 'en', hold: true },
    ];
    const target = await emulator({ settings: { templates } });
    const send = (name: string, parameters: string[], code = 'en'): ReturnType<typeof post> => {
      const body = { type: 'body', parameters: parameters.map((value) => ({ type: 'text', text: value })) };
      return post(target, message('template', { name, language: { code }, components: [body] }));
    };
    expect((await send('hello', ['Anna', 'Friday'])).body).toMatchObject({
      messages: [{ message_status: 'accepted' }],
    });
    expect(await send('hello', ['Anna', 'Friday'], 'de')).toMatchObject({
      status: 404,
      body: { error: { code: 132001 } },
    });
    expect((await send('other', [])).body.error?.code).toBe(132001);
    expect((await send('hello', ['Anna'])).body.error?.code).toBe(132000);
    expect((await send('paused', [])).body.error?.code).toBe(132015);
    expect((await send('held', [])).body).toMatchObject({
      messages: [{ message_status: 'held_for_quality_assessment' }],
    });
  });
});
