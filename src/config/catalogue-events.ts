import { integer, optionalText, optionalUrl, texts, toggle } from './setting.ts';

const SECRET = {
  test: /^[^,\s]{16,512}$/,
  words: '16 … 512 characters without commas and blanks, or whsec_ with base64',
};
const SENTENCE = { test: /^[\s\S]{1,4096}$/, words: '1 … 4,096 characters' };

/** Replies to people, and events to the product. */
export const EVENT_SETTINGS = {
  RESPONDER_URL: optionalUrl({
    area: 'inbound',
    protocols: ['https:', 'http:'],
    secret: true,
    doc: 'Is asked to answer incoming messages: POST with the message and the recent history; what it returns is sent. Unset: nobody answers.',
  }),
  RESPONDER_SECRET: texts({
    area: 'inbound',
    secret: true,
    countMax: 5,
    pattern: SECRET,
    doc: 'Signs the calls to RESPONDER_URL as Standard Webhooks says. Several with commas between them all sign, to change one at leisure. Needed with RESPONDER_URL.',
  }),
  RESPONDER_TIMEOUT_MS: integer({
    area: 'inbound',
    default: 10_000,
    min: 10,
    max: 300_000,
    unit: 'ms',
    doc: 'Longest wait for the responder.',
  }),
  RESPONDER_FALLBACK_TEXT: optionalText({
    area: 'inbound',
    pattern: SENTENCE,
    doc: 'What a person gets when the responder fails, whatever the reason. Unset: it is asked again as QUEUE_RETRY_ATTEMPTS says, and then nobody answers.',
  }),
  RESPONDER_ACK_TEXT: optionalText({
    area: 'inbound',
    pattern: SENTENCE,
    doc: 'Sent at once when a message came in, before the responder is asked. Unset: nothing.',
  }),
  RESPONDER_MAX_AGE_SECONDS: integer({
    area: 'inbound',
    default: 900,
    min: 1,
    max: 604_800,
    unit: 's',
    doc: 'A message older than this is not answered: providers repeat for up to seven days, and an answer to last week helps nobody.',
  }),
  RESPONDER_CONCURRENCY: integer({
    area: 'inbound',
    default: 20,
    min: 1,
    max: 1000,
    doc: 'Questions to the responder at once in a worker process; one at a time per conversation in all of them.',
  }),
  EVENTS_URL: optionalUrl({
    area: 'inbound',
    protocols: ['https:', 'http:'],
    secret: true,
    doc: 'Hears of incoming messages and of what became of sent ones. A tenant with `eventsUrl` has its own address instead.',
  }),
  EVENTS_SECRET: texts({
    area: 'inbound',
    secret: true,
    countMax: 5,
    pattern: SECRET,
    doc: "Signs events as Standard Webhooks says; several with commas between them all sign. Tenants' own addresses get secrets made of it: `GET /admin/events/endpoints/:id/secret`. Needed with EVENTS_URL.",
  }),
  EVENTS_CONCURRENCY: integer({
    area: 'inbound',
    default: 10,
    min: 1,
    max: 1000,
    doc: 'Calls to one receiver of events at once, in each worker process.',
  }),
  DANGEROUSLY_ALLOW_PRIVATE_EVENTS_URL: toggle({
    area: 'dangerous',
    default: false,
    doc: "Receivers of events and the responder may be inside of the own network, by plain http and on any port. For development: with it, whoever may set a tenant's `eventsUrl` can make this server call your inner services.",
  }),
} as const;
