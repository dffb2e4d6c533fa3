import { z } from 'zod';
import { AppError } from '../errors/app-error.ts';
import { describeViolations, recipientSchema, withContent } from './content/index.ts';
import { findJsonFault } from './plain-json.ts';

/** Ids that become parts of keys, routes and logs. */
const ID = /^[A-Za-z0-9_][A-Za-z0-9_.:@+-]{0,127}$/;
const ID_SENTENCE =
  'It must have 1 to 128 characters: letters, digits and _ . : @ + - (the first one a letter, digit or _).';

export const tenantIdSchema = z.string().regex(ID, { error: ID_SENTENCE }).describe('Id of a tenant, as you call it.');
export const senderIdSchema = z.string().regex(ID, { error: ID_SENTENCE }).describe('Id of a sender.');

/** Control characters break logs and pages; everything else that people call a conversation is fine. */
export const conversationIdSchema = z
  .string()
  .min(1)
  .max(200)
  .refine((value) => !/[\p{Cc}\p{Cs}\u2028\u2029]/u.test(value), { error: 'It must not have control characters.' })
  .describe('Messages of one conversation are sent in the order of acceptance. Default: one per recipient.');

export const idempotencyKeySchema = z
  .string()
  .regex(/^[\x21-\x7e]{1,255}$/, { error: 'It must have 1 to 255 visible ASCII characters, without spaces.' })
  .describe(
    'The same key and body within 24 h give the first message, `duplicate: true`. Scoped by tenant and sender.',
  );

const instant = (words: string) =>
  z.iso
    .datetime({ offset: true, error: 'It must be an ISO 8601 time with a time zone, such as 2027-01-31T09:30:00Z.' })
    .describe(words);

export const phoneSchema = z.string().min(1).max(64).describe('Phone number in E.164 with `+`: +4915112345678.');
export const prioritySchema = z
  .int()
  .min(1)
  .max(10)
  .describe('1 to 10, 10 first. Never across the order of one conversation.');

/** The request's fields beside the message itself. Defaults are applied later, so that the digest knows what was said. */
export const envelopeFields = {
  tenant: tenantIdSchema.optional(),
  to: phoneSchema.optional(),
  recipient: recipientSchema.optional(),
  conversation: conversationIdSchema.optional(),
  sender: senderIdSchema.optional(),
  priority: prioritySchema.optional(),
  sendAt: instant('Takes its place in the conversation at this time; up to one year ahead.').optional(),
  expiresAt: instant('Never sent later than this.').optional(),
  dedupe: z.boolean().describe('Skip it when the same content went to the same recipient within 24 h.').optional(),
  metadata: z
    .record(z.string().max(200), z.unknown())
    .describe('Your own data, at most 16 KiB as JSON; never sent.')
    .optional(),
};

/** Body of `POST /v1/messages`. */
export const messageRequestSchema = withContent(envelopeFields).meta({ id: 'MessageRequest' });
export type MessageRequest = z.infer<typeof messageRequestSchema>;

/** An item of a batch may carry its own idempotency key. */
export const batchItemSchema = withContent({
  ...envelopeFields,
  idempotencyKey: idempotencyKeySchema.optional(),
}).meta({ id: 'BatchItem' });

/**
 * Checks a value against a schema of this room.
 * @throws AppError `REQUEST_INVALID` that names the first field at fault and never repeats its value
 */
export function parseRequest<S extends z.ZodType>(schema: S, value: unknown): z.output<S> {
  const fault = findJsonFault(value);
  if (fault !== null) throw invalid(fault.field, fault.detail);
  // With the input at hand, a wrong type and a missing field get different sentences.
  const parsed = schema.safeParse(value, { reportInput: true });
  if (parsed.success) return parsed.data;
  const [violation] = describeViolations(parsed.error);
  throw invalid(violation?.field ?? '', violation?.sentence ?? 'Correct the request.');
}

export function invalid(field: string, sentence: string): AppError {
  return new AppError('REQUEST_INVALID', { detail: sentence, ...(field === '' ? {} : { field }) });
}
