import { z } from 'zod';
import { senderIdSchema, tenantIdSchema } from '../../messages/request.ts';
import type { SenderRecord } from '../../record/types.ts';

const secret = (words: string) =>
  z
    .string()
    .regex(/^[\x21-\x7e]{1,4096}$/, { error: 'It must be 1 to 4,096 visible characters without spaces.' })
    .describe(words);

const credentials = z
  .strictObject({
    accessToken: secret('System user token with whatsapp_business_messaging.'),
    appSecret: secret('Checks the signature of webhooks; default WHATSAPP_APP_SECRET.').optional(),
    verifyToken: secret('Answers the verification call; default WHATSAPP_VERIFY_TOKEN.').optional(),
  })
  .describe('Write-only: no answer ever shows them. Replaced as a whole.');

const changeable = {
  apiUrl: z
    .url({ protocol: /^https?$/ })
    .max(2000)
    .optional()
    .describe('With the version in it; default WHATSAPP_API_URL.'),
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

export const senderBody = z
  .strictObject({
    id: senderIdSchema,
    tenant: tenantIdSchema.nullable().optional().describe('Owner; none = shared by all tenants.'),
    // Evolution and Twilio come with their adapters; a sender that nothing can serve must not be created.
    provider: z.literal('cloud', { error: 'This version sends through "cloud" only.' }),
    externalId: z
      .string()
      .regex(/^[0-9A-Za-z_-]{1,64}$/, { error: 'It must be the phone number id (digits), not the phone number.' })
      .describe("The provider's id: phone_number_id."),
    credentials,
    ...changeable,
  })
  .refine(isRefilled, refill);

export const senderPatch = z
  .strictObject({ credentials: credentials.optional(), ...changeable })
  .refine(isRefilled, refill);

export const senderSchema = z
  .object({
    id: z.string(),
    tenant: z.string().nullable(),
    provider: z.enum(['cloud', 'evolution', 'twilio']),
    externalId: z.string(),
    apiUrl: z.string(),
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
