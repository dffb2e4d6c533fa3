import { createHmac } from 'node:crypto';
import { cloudBody, cloudMessage } from '../support/cloud.ts';
import type { Corpus, Sample } from './corpus.ts';

/* Every kind of webhook of the Cloud API that the provider facts name, in Meta's words. */

type Json = Record<string, unknown>;
const media = { id: 'm1', mime_type: 'x/y', sha256: 'abc', url: 'https://lookaside.example/1' };
const quoted = { from: '15550000001', id: 'wamid.quoted' };

const MESSAGES: readonly (readonly [type: string, item: Json])[] = [
  ['text', { type: 'text', text: { body: 'Grüße 👋 "quoted" \\ / <&>' } }],
  ['image', { type: 'image', image: { ...media, caption: 'c' } }],
  ['video', { type: 'video', video: media }],
  ['audio', { type: 'audio', audio: { ...media, voice: true } }],
  ['document', { type: 'document', document: { ...media, filename: 'a.pdf' } }],
  ['sticker', { type: 'sticker', sticker: { ...media, animated: true } }],
  ['location', { type: 'location', location: { latitude: 1.5, longitude: -2, name: 'n' } }],
  ['contacts', { type: 'contacts', contacts: [{ name: { formatted_name: 'Bo' }, phones: [{ phone: '+1' }] }] }],
  [
    'interactive',
    { type: 'interactive', interactive: { type: 'button_reply', button_reply: { id: 'b', title: 'B' } } },
  ],
  ['interactive', { type: 'interactive', interactive: { type: 'list_reply', list_reply: { id: 'l', title: 'L' } } }],
  [
    'interactive',
    { type: 'interactive', interactive: { type: 'nfm_reply', nfm_reply: { name: 'flow', response_json: '{}' } } },
  ],
  ['button', { type: 'button', button: { payload: 'p', text: 'Yes' }, context: quoted }],
  ['reaction', { type: 'reaction', reaction: { message_id: 'wamid.quoted', emoji: '👍' } }],
  ['order', { type: 'order', order: { catalog_id: 'c', product_items: [{ product_retailer_id: 'r', quantity: 1 }] } }],
  ['system', { type: 'system', system: { type: 'group_joined', body: 'x' } }],
  ['unsupported', { type: 'unsupported', errors: [{ code: 131051, title: 'Unsupported' }] }],
  ['edit', { type: 'edit', edit: { original_message_id: 'wamid.quoted', text: { body: 'x' } } }],
  ['revoke', { type: 'revoke', revoke: { original_message_id: 'wamid.quoted' } }],
  ['request_welcome', { type: 'request_welcome' }],
  [
    'text',
    { type: 'text', text: { body: 'from an ad' }, referral: { source_type: 'ad', source_id: '1', ctwa_clid: 'x' } },
  ],
  ['text', { type: 'text', text: { body: 'forwarded' }, context: { forwarded: true } }],
  ['hologram', { type: 'hologram', hologram: { depth: 3 } }],
];

const EVENTS: readonly (readonly [kind: string, field: string, value: Json])[] = [
  [
    'template',
    'message_template_status_update',
    { event: 'APPROVED', message_template_id: 1, message_template_name: 'hello', message_template_language: 'en' },
  ],
  ['other', 'message_template_quality_update', { new_quality_score: 'RED' }],
  ['other', 'template_category_update', { new_category: 'MARKETING' }],
  ['sender', 'phone_number_quality_update', { event: 'THROUGHPUT_UPGRADE' }],
  ['sender', 'business_capability_update', { max_daily_conversations_per_business: 'TIER_2K' }],
  ['sender', 'account_update', { event: 'PARTNER_ADDED' }],
  ['sender', 'account_alerts', { alert_type: 'LIMIT', alert_description: 'near' }],
  ['sender', 'security', { event: 'PIN_CHANGED' }],
  [
    'preference',
    'user_preferences',
    { user_preferences: [{ wa_id: '4915112345678', category: 'marketing_messages', value: 'stop', timestamp: 1 }] },
  ],
  ['other', 'history', { history: [{ threads: [] }] }],
  ['other', 'business_username_update', { username: 'x' }],
  ['other', 'field_of_tomorrow', { anything: true }],
];

export function cloudCorpus(secret: string, externalId: string): Corpus {
  const post = (body: string): Sample['post'] => ({
    path: '/webhooks/whatsapp/cloud',
    body,
    headers: {
      'content-type': 'application/json',
      'x-hub-signature-256': `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`,
    },
  });
  const message = (index: number, from: string): Json => {
    const [, item] = MESSAGES[index % MESSAGES.length] ?? ['', {}];
    const base = Object.fromEntries(Object.entries(cloudMessage({ from })).filter(([name]) => name !== 'text'));
    return { ...base, ...item };
  };
  return {
    samples: [
      ...MESSAGES.map(([type], index): Sample => {
        const one = message(index, '4915100000001');
        const contacts = [{ profile: { name: 'Ada' }, wa_id: '4915100000001' }];
        return {
          kind: 'message',
          type,
          id: String(one['id']),
          post: post(cloudBody({ contacts, messages: [one] }, externalId)),
        };
      }),
      ...EVENTS.map(([kind, field, value]): Sample => ({
        kind,
        type: field,
        id: '',
        post: post(cloudBody(value, externalId, field)),
      })),
    ],
    batch(count, phone) {
      const messages = Array.from({ length: count }, (_, index) => message(index, phone(index)));
      return [post(cloudBody({ messages }, externalId))];
    },
    status: (id, status, atMs) =>
      post(
        cloudBody(
          {
            statuses: [
              {
                id,
                status,
                timestamp: String(Math.floor(atMs / 1000)),
                recipient_id: '4915100000001',
                ...(status === 'failed' ? { errors: [{ code: 131026, title: 'Message undeliverable' }] } : {}),
              },
            ],
          },
          externalId,
        ),
      ),
    words: { sent: 'sent', delivered: 'delivered', read: 'read', failed: 'failed' },
  };
}
