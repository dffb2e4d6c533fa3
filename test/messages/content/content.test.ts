import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { contentOf, contentSchema, describeViolations, withContent } from '../../../src/messages/content/index.ts';
import { MESSAGE_TYPES } from '../../../src/model/message.ts';

type Json = Record<string, unknown>;
const long = (characters: number): string => 'x'.repeat(characters);

/** The sentences of a refused message, by field; empty when it is accepted. */
function violations(message: unknown): Record<string, string> {
  const result = contentSchema.safeParse(message);
  if (result.success) {
    // What is validated is what is stored: nothing may be added, dropped or changed.
    expect(result.data).toEqual(message);
    return {};
  }
  return Object.fromEntries(describeViolations(result.error).map(({ field, sentence }) => [field, sentence]));
}
const fields = (message: unknown): string[] => Object.keys(violations(message));
const accepted = (message: unknown): void => expect(violations(message)).toEqual({});
const refused = (message: unknown, ...expected: string[]): void => expect(fields(message)).toEqual(expected);

const text = (overrides: Json = {}): Json => ({ type: 'text', text: { body: 'Hello', ...overrides } });
const interactive = (content: Json): Json => ({ type: 'interactive', interactive: content });
const button = (buttons: Json[], more: Json = {}): Json =>
  interactive({ type: 'button', body: { text: 'Yes?' }, action: { buttons }, ...more });
const reply = (id: string, title = id): Json => ({ type: 'reply', reply: { id, title } });
const list = (sections: Json[], more: Json = {}): Json =>
  interactive({ type: 'list', body: { text: 'Choose' }, action: { button: 'Open', sections }, ...more });
const rows = (count: number, prefix = 'r'): Json[] =>
  Array.from({ length: count }, (_, n) => ({ id: `${prefix}${n}`, title: `Row ${n}` }));
const template = (components?: Json[], more: Json = {}): Json => ({
  type: 'template',
  template: { name: 'order_update', language: { code: 'en_US' }, ...(components ? { components } : {}), ...more },
});

describe('content of a message', () => {
  it('each type of the model is accepted, and its object found by contentOf()', () => {
    const media = { link: 'https://example.com/file' };
    const examples: Json[] = [
      text({ preview_url: true }),
      template(),
      { type: 'image', image: { ...media, caption: 'A' } },
      { type: 'document', document: { id: '123', caption: '', filename: 'bill.pdf' } },
      { type: 'audio', audio: { id: '123', voice: true } },
      { type: 'video', video: { ...media, caption: 'A' } },
      { type: 'sticker', sticker: media },
      { type: 'location', location: { latitude: 52.5, longitude: '-13.4', name: 'Here', address: 'A 1' } },
      { type: 'contacts', contacts: [{ name: { formatted_name: 'Ada' } }] },
      { type: 'reaction', reaction: { message_id: 'wamid.A', emoji: '👍' } },
      button([reply('yes')]),
    ];
    for (const example of examples) {
      accepted(example);
      expect(contentOf(contentSchema.parse(example))).toEqual(example[example['type'] as string]);
    }
    expect(examples.map(({ type }) => type)).toEqual([...MESSAGE_TYPES]);
  });

  it('an unknown or missing type names the known ones', () => {
    for (const message of [{}, { type: 'txt' }, { type: null }]) {
      expect(violations(message)['type']).toMatch(/^It must be one of "text", "template".*"interactive"\.$/);
    }
    for (const message of [null, 'x', [], 5]) expect(fields(message)).toEqual(['']);
  });

  it('unknown fields are refused where they stand, also the object of another type', () => {
    refused({ ...text({ boddy: 'x' }), image: {}, extra: 1 }, 'text.boddy', 'image', 'extra');
    expect(violations(text({ boddy: 'x' }))['text.boddy']).toBe(
      'This field is not known here; remove it or correct its name.',
    );
  });

  it('a missing object or field is called required, a wrong one is told what it must be', () => {
    expect(violations({ type: 'image' })).toEqual({ image: 'This field is required.' });
    expect(violations({ type: 'text', text: {} })).toEqual({ 'text.body': 'This field is required.' });
    expect(violations({ type: 'text', text: { body: 5 } })).toEqual({ 'text.body': 'It must be a text.' });
    expect(violations(text({ preview_url: 'yes' }))).toEqual({ 'text.preview_url': 'It must be true or false.' });
    expect(violations({ type: 'text', text: 'x' })).toEqual({ text: 'It must be an object.' });
    expect(violations({ type: 'contacts', contacts: {} })).toEqual({ contacts: 'It must be a list.' });
  });

  it('context quotes an earlier message', () => {
    accepted({ ...text(), context: { message_id: 'wamid.A' } });
    refused({ ...text(), context: {} }, 'context.message_id');
    refused({ ...text(), context: { message_id: 'has space' } }, 'context.message_id');
    refused({ ...text(), context: { message_id: 'a', from: 'b' } }, 'context.from');
  });

  it('sentences never repeat what was sent', () => {
    const secret = 'Secret text of a customer';
    const result = contentSchema.safeParse({ type: 'reaction', reaction: { message_id: secret, emoji: secret } });
    expect(JSON.stringify(describeViolations(result.error ?? { issues: [] }))).not.toContain('Secret');
  });
});

describe('text', () => {
  it('has 1 to 4,096 characters, an emoji counting as one', () => {
    accepted(text({ body: long(4_096) }));
    accepted(text({ body: '😀'.repeat(4_096) }));
    expect(violations(text({ body: long(4_097) }))).toEqual({ 'text.body': 'It may have at most 4,096 characters.' });
    refused(text({ body: '😀'.repeat(4_097) }), 'text.body');
    expect(violations(text({ body: '' }))).toEqual({ 'text.body': 'It must not be empty.' });
  });

  it('is refused when PostgreSQL could not store it', () => {
    refused(text({ body: 'a\u0000b' }), 'text.body');
    refused(text({ body: 'a\ud83d' }), 'text.body');
    accepted(text({ body: 'line\nbreak\ttab \u202e مرحبا 😀' }));
  });
});

describe('media', () => {
  const kinds = ['image', 'video', 'document', 'audio', 'sticker'];

  it.each(kinds)('%s has either an id or a link', (kind) => {
    const media = (content: Json): Json => ({ type: kind, [kind]: content });
    accepted(media({ id: '1' }));
    accepted(media({ link: 'http://example.com/a?b=c#d' }));
    expect(violations(media({}))).toEqual({ [kind]: 'Give either id or link, and not both.' });
    refused(media({ id: '1', link: 'https://example.com' }), kind);
    refused(media({ id: '' }), `${kind}.id`);
  });

  it.each([
    'ftp://example.com/a',
    'file:///etc/passwd',
    'javascript:alert(1)',
    'example.com/a',
    'https://',
    'https:///a',
    'https:/example.com',
    ' https://example.com',
    'https://exam ple.com',
    'https://example.com/a b',
    `https://example.com/${long(4_096)}`,
  ])('a link is http or https: not %s', (link) => {
    refused({ type: 'image', image: { link } }, 'image.link');
  });

  it('captions have at most 1,024 characters, and audio and stickers none', () => {
    for (const kind of ['image', 'video', 'document']) {
      accepted({ type: kind, [kind]: { id: '1', caption: long(1_024) } });
      refused({ type: kind, [kind]: { id: '1', caption: long(1_025) } }, `${kind}.caption`);
    }
    for (const kind of ['audio', 'sticker']) {
      refused({ type: kind, [kind]: { id: '1', caption: 'x' } }, `${kind}.caption`);
    }
  });
});

describe('location', () => {
  const at = (latitude: unknown, longitude: unknown): Json => ({ type: 'location', location: { latitude, longitude } });

  it('lies on the earth', () => {
    accepted(at(90, 180));
    accepted(at(-90, -180));
    accepted(at('37.44216251868683', '-122.16153582049394'));
    refused(at(90.01, 0), 'location.latitude');
    refused(at(0, -180.01), 'location.longitude');
    expect(violations(at('91', '181'))).toEqual({
      'location.latitude': 'It must be a number from -90 to 90.',
      'location.longitude': 'It must be a number from -180 to 180.',
    });
    for (const wrong of ['', 'north', '1e1', '0x10', ' 5', null, true, Number.NaN, Infinity]) {
      refused(at(wrong, 0), 'location.latitude');
    }
  });
});

describe('reaction', () => {
  const react = (emoji: unknown): Json => ({ type: 'reaction', reaction: { message_id: 'wamid.A', emoji } });

  it('is one emoji as a person sees it, or empty', () => {
    for (const emoji of ['', '👍', '👍🏽', '👨‍👩‍👧', '❤️', '🇩🇪', '1️⃣', '🏴󠁧󠁢󠁥󠁮󠁧󠁿']) accepted(react(emoji));
    for (const emoji of ['a', '1', 'ok', '👍👍', '👍a', ' ', ':)']) refused(react(emoji), 'reaction.emoji');
  });
});

describe('contacts', () => {
  const cards = (card: Json): Json => ({ type: 'contacts', contacts: [card] });

  it('takes whole cards as Meta describes them', () => {
    accepted(
      cards({
        name: { formatted_name: 'Ada Lovelace', first_name: 'Ada', last_name: 'Lovelace' },
        phones: [{ phone: '+4915112345678', type: 'CELL', wa_id: '4915112345678' }],
        emails: [{ email: 'ada@example.com', type: 'WORK' }],
        addresses: [{ street: 'A 1', city: 'B', zip: '1', country: 'C', country_code: 'de', type: 'HOME' }],
        urls: [{ url: 'https://example.com', type: 'WORK' }],
        org: { company: 'Engines', department: 'Analysis', title: 'Countess' },
        birthday: '1815-12-10',
      }),
    );
  });

  it('needs a formatted name, and at least one card', () => {
    refused(cards({ name: { first_name: 'Ada' } }), 'contacts[0].name.formatted_name');
    expect(violations({ type: 'contacts', contacts: [] })).toEqual({ contacts: 'It must have at least 1 item.' });
    refused(cards({ name: { formatted_name: 'A' }, birthday: '10.12.1815' }), 'contacts[0].birthday');
  });
});

describe('interactive buttons', () => {
  const path = 'interactive.action.buttons';

  it('are one to three, with ids and titles of their own', () => {
    accepted(button([reply('1'), reply('2'), reply('3')]));
    refused(button([]), path);
    expect(violations(button([reply('1'), reply('2'), reply('3'), reply('4')]))).toEqual({
      [path]: 'It may have at most 3 items.',
    });
    expect(violations(button([reply('1', 'a'), reply('1', 'b')]))).toEqual({
      [path]: 'No two buttons may have the same id.',
    });
    expect(violations(button([reply('1', 'a'), reply('2', 'a')]))).toEqual({
      [path]: 'No two buttons may have the same title.',
    });
  });

  it('keep their lengths', () => {
    accepted(button([reply(long(256), long(20))]));
    refused(button([reply(long(257), long(21))]), `${path}[0].reply.id`, `${path}[0].reply.title`);
    refused(button([{ type: 'url', reply: { id: '1', title: '1' } }]), `${path}[0].type`);
  });

  it('may have a header of text or media, and a footer', () => {
    accepted(button([reply('1')], { header: { type: 'text', text: long(60) }, footer: { text: long(60) } }));
    accepted(button([reply('1')], { header: { type: 'image', image: { id: '1' } } }));
    accepted(button([reply('1')], { header: { type: 'document', document: { link: 'https://a.b', filename: 'c' } } }));
    refused(button([reply('1')], { header: { type: 'text', text: long(61) } }), 'interactive.header.text');
    refused(button([reply('1')], { footer: { text: long(61) } }), 'interactive.footer.text');
    refused(button([reply('1')], { header: { type: 'sticker', sticker: { id: '1' } } }), 'interactive.header.type');
    refused(button([reply('1')], { body: { text: long(1_025) } }), 'interactive.body.text');
    refused(button([reply('1')], { body: undefined }), 'interactive.body');
  });
});

describe('interactive lists', () => {
  const path = 'interactive.action.sections';

  it('have at most ten rows in all sections together', () => {
    accepted(list([{ rows: rows(10) }]));
    accepted(
      list([
        { title: 'A', rows: rows(5, 'a') },
        { title: 'B', rows: rows(5, 'b') },
      ]),
    );
    expect(
      violations(
        list([
          { title: 'A', rows: rows(6, 'a') },
          { title: 'B', rows: rows(5, 'b') },
        ]),
      ),
    ).toEqual({
      [path]: 'A list may have at most 10 rows in all its sections together.',
    });
    refused(list([{ rows: rows(11) }]), `${path}[0].rows`);
    refused(list([{ rows: [] }]), `${path}[0].rows`);
    refused(list([]), path);
  });

  it('need titles for several sections, and row ids of their own', () => {
    expect(violations(list([{ rows: rows(1, 'a') }, { title: 'B', rows: rows(1, 'b') }]))).toEqual({
      [path]: 'Every section needs a title when there is more than one.',
    });
    expect(
      violations(
        list([
          { title: 'A', rows: rows(1) },
          { title: 'B', rows: rows(1) },
        ]),
      ),
    ).toEqual({
      [path]: 'No two rows may have the same id.',
    });
  });

  it('keep their lengths', () => {
    const row = (id: number, title: number, description: number): Json[] => [
      { id: long(id), title: long(title), description: long(description) },
    ];
    accepted(list([{ title: long(24), rows: row(200, 24, 72) }], { body: { text: long(4_096) } }));
    const at = `${path}[0].rows[0]`;
    refused(list([{ rows: row(201, 25, 73) }]), `${at}.id`, `${at}.title`, `${at}.description`);
    refused(list([{ title: long(25), rows: rows(1) }]), `${path}[0].title`);
    expect(fields(list([{ rows: rows(1) }], { header: { type: 'image', image: { id: '1' } } }))).toContain(
      'interactive.header.type',
    );
    refused(
      interactive({ type: 'list', body: { text: 'x' }, action: { button: long(21), sections: [{ rows: rows(1) }] } }),
      'interactive.action.button',
    );
  });
});

describe('interactive others', () => {
  const body = { text: 'Look' };
  const cta = (parameters: Json): Json =>
    interactive({ type: 'cta_url', body, action: { name: 'cta_url', parameters } });
  const flow = (parameters: Json): Json =>
    interactive({
      type: 'flow',
      body,
      action: { name: 'flow', parameters: { flow_message_version: '3', flow_cta: 'Go', ...parameters } },
    });

  it('cta_url has a short text and a web address', () => {
    accepted(cta({ display_text: long(20), url: 'https://example.com' }));
    const at = 'interactive.action.parameters';
    refused(cta({ display_text: long(21), url: 'tel:1' }), `${at}.display_text`, `${at}.url`);
  });

  it('flow has an id or a name', () => {
    accepted(flow({ flow_id: '1', flow_action_payload: { screen: 'A', data: { n: [1, { deep: null }] } } }));
    accepted(flow({ flow_name: 'booking', mode: 'draft' }));
    refused(flow({}), 'interactive.action.parameters');
    refused(flow({ flow_id: '1', flow_name: 'booking' }), 'interactive.action.parameters');
  });

  it('asks for a location and for the phone number', () => {
    accepted(interactive({ type: 'location_request_message', body, action: { name: 'send_location' } }));
    accepted(interactive({ type: 'request_contact_info', body, action: { name: 'request_contact_info' } }));
    refused(interactive({ type: 'location_request_message', body, action: { name: 'x' } }), 'interactive.action.name');
  });

  it('shows products and the catalogue', () => {
    const items = (count: number): Json[] => Array.from({ length: count }, (_, n) => ({ product_retailer_id: `${n}` }));
    const products = (sections: Json[]): Json =>
      interactive({
        type: 'product_list',
        header: { type: 'text', text: 'Menu' },
        body,
        action: { catalog_id: '1', sections },
      });
    accepted(interactive({ type: 'product', action: { catalog_id: '1', product_retailer_id: 'a' } }));
    accepted(interactive({ type: 'catalog_message', body, action: { name: 'catalog_message' } }));
    accepted(
      products([
        { title: 'A', product_items: items(15) },
        { title: 'B', product_items: items(15) },
      ]),
    );
    refused(
      products([
        { title: 'A', product_items: items(16) },
        { title: 'B', product_items: items(15) },
      ]),
      'interactive.action.sections',
    );
  });

  it('an unknown kind names the known ones', () => {
    expect(violations(interactive({ type: 'buttons' }))['interactive.type']).toContain('"cta_url"');
  });
});

describe('template', () => {
  const parameters = (...items: Json[]): Json => ({ type: 'body', parameters: items });

  it('takes every kind of component and parameter', () => {
    accepted(
      template([
        { type: 'header', parameters: [{ type: 'image', image: { link: 'https://example.com/a.png' } }] },
        parameters(
          { type: 'text', text: 'Ada', parameter_name: 'name' },
          { type: 'currency', currency: { fallback_value: '€1', code: 'EUR', amount_1000: 1_000 } },
          { type: 'date_time', date_time: { fallback_value: 'Monday', day_of_week: 1 } },
        ),
        { type: 'button', sub_type: 'quick_reply', index: '0', parameters: [{ type: 'payload', payload: 'yes' }] },
        { type: 'button', sub_type: 'url', index: 1, parameters: [{ type: 'text', text: 'path' }] },
        { type: 'button', sub_type: 'copy_code', index: 2, parameters: [{ type: 'coupon_code', coupon_code: 'A1' }] },
        { type: 'button', sub_type: 'flow', index: 3, parameters: [{ type: 'action', action: { flow_token: 'x' } }] },
        { type: 'button', sub_type: 'catalog', index: 4 },
      ]),
    );
    accepted(
      template([{ type: 'header', parameters: [{ type: 'location', location: { latitude: 1, longitude: 2 } }] }]),
    );
    accepted(
      template([
        { type: 'carousel', cards: [{ card_index: 0, components: [parameters({ type: 'text', text: 'x' })] }] },
      ]),
    );
    accepted(template(undefined, { language: { code: 'pt_BR', policy: 'deterministic' } }));
  });

  it('needs a name and a language as WhatsApp writes them', () => {
    for (const name of ['', 'Order', 'order-update', 'order update', 'x'.repeat(513)]) {
      refused(template(undefined, { name }), 'template.name');
    }
    for (const code of ['', 'english', 'EN', 'en-US', 'en_']) {
      refused(template(undefined, { language: { code } }), 'template.language.code');
    }
    refused(template(undefined, { language: 'en' }), 'template.language');
  });

  it('names the parameter at fault', () => {
    const at = 'template.components[0]';
    refused(template([parameters({ type: 'text', text: '' })]), `${at}.parameters[0].text`);
    refused(template([parameters({ type: 'text' })]), `${at}.parameters[0].text`);
    refused(template([parameters({ type: 'txt', text: 'x' })]), `${at}.parameters[0].type`);
    refused(template([parameters()]), `${at}.parameters`);
    refused(template([parameters({ type: 'image', image: {} })]), `${at}.parameters[0].image`);
    refused(template([{ type: 'footer', parameters: [] }]), `${at}.type`);
    refused(template([{ type: 'button', sub_type: 'url', index: '10' }]), `${at}.index`);
    refused(template([{ type: 'button', sub_type: 'link', index: '0' }]), `${at}.sub_type`);
  });

  it('has each component once', () => {
    const one = parameters({ type: 'text', text: 'x' });
    refused(template([one, one]), 'template.components');
    refused(
      template([
        { type: 'button', sub_type: 'catalog', index: 0 },
        { type: 'button', sub_type: 'mpm', index: '0' },
      ]),
      'template.components',
    );
  });
});

describe('withContent()', () => {
  const request = withContent({ to: z.string(), priority: z.int().min(1).max(10).default(5) });

  it('joins the message with the other fields of a request, strictly', () => {
    expect(request.parse({ to: '+1', ...text() })).toEqual({ to: '+1', priority: 5, ...text() });
    const result = request.safeParse({ priority: 11, ...text({ body: '' }), image: {} });
    expect(
      describeViolations(result.error ?? { issues: [] }, 'messages[3]')
        .map(({ field }) => field)
        .sort(),
    ).toEqual(['messages[3].image', 'messages[3].priority', 'messages[3].text.body', 'messages[3].to']);
  });

  it('becomes a JSON schema with the limits in it, for the OpenAPI document', () => {
    const schema = z.toJSONSchema(request, { io: 'input' }) as { oneOf: { properties: Record<string, Json> }[] };
    expect(schema.oneOf).toHaveLength(MESSAGE_TYPES.length);
    expect(schema.oneOf.map(({ properties }) => properties['type']?.['const'])).toEqual([...MESSAGE_TYPES]);
    expect(schema.oneOf[0]).toMatchObject({
      additionalProperties: false,
      required: ['to', 'type', 'text'],
      properties: { text: { properties: { body: { type: 'string', minLength: 1, maxLength: 4096 } } } },
    });
    expect(JSON.stringify(schema)).toContain('"format":"uri"');
  });
});
