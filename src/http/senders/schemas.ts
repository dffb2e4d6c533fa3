import { z } from 'zod';
import { SENDER_PROVIDERS } from '../../model/provider.ts';
import { senderIdSchema, tenantIdSchema } from '../../messages/request.ts';
import type { SenderRecord } from '../../record/types.ts';

const secret = (words: string) =>
  z
    .string()
    .regex(/^[\x21-\x7e]{1,4096}$/, { error: 'It must be 1 to 4,096 visible characters without spaces.' })
    .describe(words);

const cloudCredentials = z
  .strictObject({
    accessToken: secret('System user token with whatsapp_business_messaging.'),
    appSecret: secret('Checks the signature of webhooks; default WHATSAPP_APP_SECRET.').optional(),
    verifyToken: secret('Answers the verification call; default WHATSAPP_VERIFY_TOKEN.').optional(),
  })
  .describe('Cloud API.');
const evolutionCredentials = z
  .strictObject({
    apiKey: secret("The server's global key or the instance's token."),
    webhookToken: secret('Secret that its webhooks must bring; default EVOLUTION_WEBHOOK_TOKEN.').optional(),
  })
  .describe('Evolution.');
const twilioCredentials = z
  .strictObject({
    accountSid: z.string().regex(/^AC[0-9a-zA-Z]{32}$/, { error: 'It must be AC and 32 letters and digits.' }),
    authToken: secret('Primary auth token: sends, and checks the signature of webhooks.'),
    apiKeySid: z
      .string()
      .regex(/^SK[0-9a-zA-Z]{32}$/, { error: 'It must be SK and 32 letters and digits.' })
      .optional()
      .describe('Sends with this API key instead of the auth token.'),
    apiKeySecret: secret('Secret of the API key.').optional(),
  })
  .refine((given) => (given.apiKeySid === undefined) === (given.apiKeySecret === undefined), {
    path: ['apiKeySecret'],
    error: 'Give apiKeySid and apiKeySecret together.',
  })
  .describe('Twilio.');

/** Credentials by provider. */
export const CREDENTIALS = { cloud: cloudCredentials, evolution: evolutionCredentials, twilio: twilioCredentials };

/** What a provider calls the sender. */
const EXTERNAL_IDS = {
  cloud: z
    .string()
    .regex(/^[0-9A-Za-z_-]{1,64}$/, { error: 'It must be the phone number id (digits), not the phone number.' })
    .describe('phone_number_id.'),
  evolution: z
    .string()
    .regex(/^(?!\.{1,2}$)[^\p{Cc}/?#\\]{1,128}$/u, { error: "It must be the instance's name." })
    .describe('Name of the instance.'),
  twilio: z
    .string()
    .regex(/^((whatsapp:)?\+\d{7,15}|MG[0-9a-zA-Z]{32})$/, {
      error: 'It must be the number with + (such as +14155238886) or the SID of a messaging service (MG…).',
    })
    .describe('Number with +, or the SID of a messaging service.'),
};

const channel = z
  .enum(['baileys', 'cloud'])
  .describe('What the Evolution instance speaks to WhatsApp with; templates need cloud.');

const changeable = {
  apiUrl: z
    .url({ protocol: /^https?$/ })
    .max(2000)
    .optional()
    .describe('Cloud API: with the version in it. Default WHATSAPP_API_URL, EVOLUTION_SERVER_URL or TWILIO_API_URL.'),
  ratePerSecond: z.number().min(0).max(100_000).optional().describe('Messages per second; 0 = no limit.'),
  burst: z.int().min(1).max(100_000).optional().describe('Messages that may start at once after a quiet time.'),
  concurrency: z.int().min(1).max(10_000).optional().describe('Attempts in flight at once.'),
  pairGapMs: z
    .int()
    .min(0)
    .max(3_600_000)
    .optional()
    .describe('Least time between two attempts to one contact, ms; 0 = none.'),
  pairBucketCapacity: z.int().min(0).max(100_000).optional().describe('0 = no bucket.'),
  pairBucketRefillPerSecond: z.number().min(0).max(1000).optional(),
  portfolio: z
    .string()
    .min(1)
    .max(128)
    .nullable()
    .optional()
    .describe('Business portfolio that it shares limits with.'),
};

const isRefilled = (body: {
  pairBucketCapacity?: number | undefined;
  pairBucketRefillPerSecond?: number | undefined;
}) => !(body.pairBucketRefillPerSecond === 0 && body.pairBucketCapacity !== 0);
const refill = {
  path: ['pairBucketRefillPerSecond'],
  error: 'A bucket that never fills again would stop every conversation: give more than 0, or capacity 0.',
};

const common = {
  id: senderIdSchema,
  tenant: tenantIdSchema.nullable().optional().describe('Owner; none = shared by all tenants.'),
  ...changeable,
};

export const senderBody = z
  .discriminatedUnion(
    'provider',
    [
      z.strictObject({
        ...common,
        provider: z.literal('cloud'),
        externalId: EXTERNAL_IDS.cloud,
        credentials: CREDENTIALS.cloud,
      }),
      z.strictObject({
        ...common,
        provider: z.literal('evolution'),
        externalId: EXTERNAL_IDS.evolution,
        credentials: CREDENTIALS.evolution,
        channel: channel.optional(),
      }),
      z.strictObject({
        ...common,
        provider: z.literal('twilio'),
        externalId: EXTERNAL_IDS.twilio,
        credentials: CREDENTIALS.twilio,
      }),
    ],
    { error: 'It must be cloud, evolution or twilio.' },
  )
  .refine(isRefilled, refill)
  .describe('Credentials are write-only: no answer ever shows them.');

export const senderPatch = z
  .strictObject({
    credentials: z
      .union([CREDENTIALS.cloud, CREDENTIALS.evolution, CREDENTIALS.twilio], {
        error: "They must be those of the sender's provider.",
      })
      .optional()
      .describe('Write-only, and replaced as a whole.'),
    channel: channel.optional(),
    ...changeable,
  })
  .refine(isRefilled, refill);

export const senderSchema = z
  .object({
    id: z.string(),
    tenant: z.string().nullable(),
    provider: z.enum(SENDER_PROVIDERS),
    externalId: z.string(),
    apiUrl: z.string(),
    channel: channel.nullable(),
    ratePerSecond: z.number(),
    burst: z.int(),
    concurrency: z.int(),
    pairGapMs: z.int(),
    pairBucketCapacity: z.int(),
    pairBucketRefillPerSecond: z.number(),
    portfolio: z.string().nullable(),
    shard: z.int(),
    paused: z.boolean(),
    pausedReason: z.string().nullable(),
    createdAt: z.string(),
    updatedAt: z.string(),
  })
  .meta({ id: 'Sender' });

export function senderView({ createdAtMs, updatedAtMs, ...sender }: SenderRecord): z.infer<typeof senderSchema> {
  return {
    ...sender,
    paused: sender.pausedReason !== null,
    createdAt: new Date(createdAtMs).toISOString(),
    updatedAt: new Date(updatedAtMs).toISOString(),
  };
}
