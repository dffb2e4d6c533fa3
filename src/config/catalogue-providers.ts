import { choice, decimal, integer, optionalText, optionalUrl, url } from './setting.ts';

const secret = { test: /^[\x21-\x7e]{1,4096}$/, words: 'a text without spaces' };

/** Evolution and Twilio. PUBLIC_URL, which Twilio's status callbacks need, stands with the process's own. */
export const PROVIDER_SETTINGS = {
  EVOLUTION_SERVER_URL: optionalUrl({
    area: 'providers',
    protocols: ['https:', 'http:'],
    doc: 'Address of the Evolution API server, such as http://evolution:8080.',
  }),
  EVOLUTION_API_KEY: optionalText({
    area: 'providers',
    secret: true,
    pattern: secret,
    doc: "The server's global key or the instance's token.",
  }),
  EVOLUTION_INSTANCE: optionalText({
    area: 'providers',
    pattern: { test: /^[^\p{Cc}/?#\\]{1,128}$/u, words: "the instance's name" },
    doc: 'Instance of the sender `evolution`.',
  }),
  EVOLUTION_WEBHOOK_TOKEN: optionalText({
    area: 'providers',
    secret: true,
    pattern: secret,
    doc: "Secret that Evolution's webhooks must bring, in a header or in their address. Without one, on the sender or here, webhooks are refused.",
  }),
  EVOLUTION_CHANNEL: choice({
    area: 'providers',
    default: 'baileys',
    choices: ['baileys', 'cloud'],
    doc: 'What the instance speaks to WhatsApp with; templates need `cloud`.',
  }),
  WA_TOKENS_PER_SECOND: decimal({
    area: 'providers',
    default: 1,
    min: 0,
    max: 100_000,
    unit: 'per second',
    doc: 'Messages that an Evolution sender starts, when it has no rate of its own. 0 = no limit.',
  }),
  WA_BUCKET_CAPACITY: integer({
    area: 'providers',
    default: 5,
    min: 1,
    max: 100_000,
    doc: 'Messages that an Evolution sender may start at once after a quiet time, when it has no burst of its own.',
  }),
  WA_MAX_DELIVERIES: integer({
    area: 'providers',
    default: 5,
    min: 1,
    max: 100,
    doc: 'Fast attempts of a message on an Evolution sender, in all; other senders have QUEUE_RETRY_ATTEMPTS.',
  }),
  TWILIO_ACCOUNT_SID: optionalText({
    area: 'providers',
    pattern: { test: /^AC[0-9a-zA-Z]{32}$/, words: 'AC and 32 letters and digits' },
    doc: 'Account of the sender `twilio`.',
  }),
  TWILIO_AUTH_TOKEN: optionalText({
    area: 'providers',
    secret: true,
    pattern: secret,
    doc: 'Primary auth token of the account: sends, and checks the signature of webhooks.',
  }),
  TWILIO_FROM: optionalText({
    area: 'providers',
    pattern: {
      test: /^((whatsapp:)?\+\d{7,15}|MG[0-9a-zA-Z]{32})$/,
      words: 'a number with +, such as +14155238886, or a messaging service MG…',
    },
    doc: 'WhatsApp sender at Twilio: its number with +, or the SID of a messaging service.',
  }),
  TWILIO_API_URL: url({
    area: 'providers',
    default: 'https://api.twilio.com',
    protocols: ['https:', 'http:'],
    doc: 'Base address of the Twilio API. Point it at `waxwing emulate` to try things out.',
  }),
  TWILIO_CONTENT_URL: url({
    area: 'providers',
    default: 'https://content.twilio.com',
    protocols: ['https:', 'http:'],
    doc: "Base address of Twilio's Content API, where its templates are.",
  }),
} as const;
