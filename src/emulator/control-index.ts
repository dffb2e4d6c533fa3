/** What `GET /_emulator` answers: every control route, so that a person with only curl finds the way. */
export interface ControlRoute {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  readonly path: string;
  readonly what: string;
  readonly body?: unknown;
}

export const CONTROL_ROUTES: readonly ControlRoute[] = [
  { method: 'GET', path: '/_emulator', what: 'This list.' },
  { method: 'GET', path: '/_emulator/settings', what: 'All settings; secrets are shown as ***.' },
  {
    method: 'PATCH',
    path: '/_emulator/settings',
    what: 'Changes settings: objects are merged, everything else is replaced.',
    body: { latencyMsMin: 50, latencyMsMax: 200, webhook: { url: 'http://127.0.0.1:3000/webhooks/whatsapp/cloud' } },
  },
  {
    method: 'PATCH',
    path: '/_emulator/numbers/{phone_number_id}',
    what: 'Settings of one number: throughputPerSecond, pairCapacity, pairRefillMs, webhookUrl, displayPhoneNumber, …',
    body: { throughputPerSecond: 5 },
  },
  {
    method: 'POST',
    path: '/_emulator/templates/status',
    what: 'Gives a template a status, as a review or Meta’s pacing does, and sends the webhook of it. webhook: false loses it.',
    body: { name: 'booking_confirmed', language: 'en', status: 'PAUSED' },
  },
  { method: 'GET', path: '/_emulator/rules', what: 'Failure rules with how often they matched and applied.' },
  {
    method: 'POST',
    path: '/_emulator/rules',
    what: 'Adds a failure rule; the first rule that applies decides. action.kind: error, http, reset, hang, slow, no-id, fail-later, no-status.',
    body: { match: { recipient: '+491701234567', type: 'text' }, nth: 2, action: { kind: 'error', code: 131026 } },
  },
  { method: 'DELETE', path: '/_emulator/rules', what: 'Removes all rules.' },
  { method: 'DELETE', path: '/_emulator/rules/{id}', what: 'Removes one rule.' },
  {
    method: 'POST',
    path: '/_emulator/inbound',
    what: 'A customer writes: a signed webhook goes out. Any type of Meta’s webhooks; wait: true answers after the delivery.',
    body: { phoneNumberId: '1000', from: '+491701234567', name: 'Anna', type: 'text', text: 'Hello', wait: true },
  },
  {
    method: 'GET',
    path: '/_emulator/ledger',
    what: 'Requests received, oldest first: ?after=&limit= (1,000, up to 10,000) &phoneNumberId=&recipient=&outcome=&tag=; waitMs= waits for the next one.',
  },
  { method: 'GET', path: '/_emulator/ledger.ndjson', what: 'The whole ledger in memory, one JSON object per line.' },
  {
    method: 'POST',
    path: '/_emulator/evolution/{instance}/connection',
    what: 'Closes or opens the connection of an Evolution instance: state = open, connecting or close.',
    body: { state: 'close' },
  },
  {
    method: 'GET',
    path: '/_emulator/stats',
    what: 'Totals; per number the most in any rolling second and in flight; the smallest gap per pair (?pairs=10); webhooks.',
  },
  {
    method: 'POST',
    path: '/_emulator/reset',
    what: 'Forgets: what = any of ledger, conversations, rules, limits, stats, webhooks, media, settings; default all but settings.',
    body: { what: ['rules', 'stats'] },
  },
  {
    method: 'POST',
    path: '/_emulator/webhook/verify',
    what: 'Makes Meta’s verification handshake with the webhook address (url and verifyToken default to the settings).',
    body: {},
  },
  { method: 'GET', path: '/_emulator/conversations', what: 'Chats, newest first: ?limit=&search=&phoneNumberId=' },
  {
    method: 'GET',
    path: '/_emulator/conversations/{key}/messages',
    what: 'The last messages of a chat; key is {phone_number_id}:{wa_id}.',
  },
  { method: 'GET', path: '/_emulator/events', what: 'Server-sent events for the page: ?open={key}' },
  { method: 'GET', path: '/_emulator/media/{media_id}', what: 'An uploaded file, for the page.' },
];
