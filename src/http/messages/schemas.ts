import { z } from 'zod';
import { HOLD_KINDS, MESSAGE_STATUSES, MESSAGE_TYPES } from '../../model/message.ts';
import {
  batchItemSchema,
  conversationIdSchema,
  idempotencyKeySchema,
  senderIdSchema,
  tenantIdSchema,
} from '../../messages/request.ts';

const time = z.string().describe('ISO 8601, UTC');

/** The object named after `type`; its shape is that of the request. */
const contents = Object.fromEntries(MESSAGE_TYPES.map((type) => [type, z.unknown().optional()])) as Record<
  (typeof MESSAGE_TYPES)[number],
  z.ZodOptional<z.ZodUnknown>
>;

export const messageSchema = z
  .object({
    id: z.string(),
    tenant: z.string(),
    conversation: z.string(),
    sender: z.string(),
    to: z.string().nullable(),
    recipient: z.string().optional(),
    type: z.string(),
    ...contents,
    context: z.object({ message_id: z.string() }).optional(),
    status: z.enum(MESSAGE_STATUSES),
    duplicate: z.boolean().describe('The key or the content was accepted before; this is that message.'),
    priority: z.int(),
    attempts: z.int().describe('Calls to the provider so far.'),
    providerMessageId: z.string().nullable(),
    error: z
      .object({
        code: z.string(),
        providerCode: z.string().nullable(),
        title: z.string(),
        detail: z.string(),
        retryable: z.boolean(),
      })
      .nullable(),
    hold: z
      .object({ kind: z.enum(HOLD_KINDS), until: time.nullable() })
      .nullable()
      .describe('Why it does not go yet; until null = something must happen first.'),
    createdAt: time,
    sendAt: time.nullable(),
    expiresAt: time.nullable(),
    sentAt: time.nullable(),
    deliveredAt: time.nullable(),
    readAt: time.nullable(),
    statusOverdue: z
      .boolean()
      .describe('Sent for longer than STATUS_WATCHDOG_SECONDS, and no status has told anything since.'),
    metadata: z.record(z.string(), z.unknown()),
  })
  .meta({ id: 'Message' });

export const idParams = z.object({ id: z.string() });

/** `?tenant=` narrows what a platform key sees; a tenant key may name its own only. */
export const scopeQuery = z.object({ tenant: tenantIdSchema.optional() });

export const acceptHeaders = z.looseObject({
  'idempotency-key': idempotencyKeySchema.optional(),
  prefer: z
    .string()
    .max(200)
    .optional()
    .describe('`wait=N`, N up to 30: the answer comes when the message was sent (200), or after N seconds (202).'),
});

export const batchHeaders = z.looseObject({
  'idempotency-key': idempotencyKeySchema
    .optional()
    .describe(
      'Makes the repetition of the whole batch safe: it counts for each item without an `idempotencyKey`, together with its place in the list.',
    ),
});

/** Items are checked one by one, so that a wrong one does not fail the others; documented with their full schema. */
export const batchBody = z.strictObject({
  messages: z
    .array(z.unknown().meta({ $ref: componentOf(batchItemSchema) }))
    .min(1)
    .max(1000),
});

/** Where the OpenAPI document keeps the schema of an input. */
function componentOf(schema: z.ZodType): string {
  return `#/components/schemas/${schema.meta()?.id ?? ''}Input`;
}

export const batchAnswer = z.object({
  results: z
    .array(z.union([messageSchema, z.object({ code: z.string(), detail: z.string(), field: z.string().optional() })]))
    .describe('One per item, in order: a message, or why it was refused.'),
});

export const timelineSchema = z.object({
  items: z.array(z.object({ at: time, event: z.string(), detail: z.record(z.string(), z.unknown()) })),
});

export const explanationSchema = z.object({
  id: z.string(),
  status: z.enum(MESSAGE_STATUSES),
  hold: z
    .object({ kind: z.enum(HOLD_KINDS), until: time.nullable() })
    .nullable()
    .describe('Why it does not go yet; until null = something must happen first.'),
  endsWhen: z.string().nullable().describe('What ends the hold.'),
  sentence: z.string().describe('The whole explanation in a sentence or two.'),
  position: z.int().nullable().describe('Its place in its conversation, from 1; null when it does not stand in one.'),
  ahead: z
    .object({ conversation: z.int().min(0), tenant: z.int().min(0), sender: z.int().min(0) })
    .describe(
      'Messages that will probably go before it: of its conversation, of other conversations of its tenant, of other tenants on its sender.',
    ),
  expectedAt: time
    .nullable()
    .describe('When it will probably be sent; null when that hangs on something that nobody can foresee.'),
});

export const forecastQuery = scopeQuery.extend({
  messages: z.coerce.number().int().min(1).max(10_000_000).describe('How many, each to another person.'),
});

export const forecastSchema = z.object({
  sender: z.string(),
  tenant: z.string(),
  messages: z.int(),
  doneAt: time.nullable().describe('When the provider will have taken the last one; null while sending is stopped.'),
  seconds: z.number().nullable().describe('From now until then.'),
  limitedBy: z.enum(['rate', 'sender-places', 'tenant-places', 'nothing']).describe('What bounds the pace.'),
  perSecond: z.number().describe("The tenant's pace at the end."),
  backlog: z.object({ tenant: z.int(), others: z.int() }).describe('Messages that wait already.'),
  attempt: z.object({
    meanMs: z.number(),
    measured: z.boolean().describe('False: nothing was sent yet, so this is a guess.'),
  }),
  sentence: z.string(),
});

const instant = z.iso.datetime({ offset: true, error: 'It must be an ISO 8601 time with a time zone.' });

export const listQuery = z.object({
  tenant: tenantIdSchema.optional(),
  conversation: conversationIdSchema.optional(),
  sender: senderIdSchema.optional(),
  status: z.enum(MESSAGE_STATUSES).optional(),
  statusOverdue: z
    .enum(['true'])
    .transform(() => true)
    .optional()
    .describe('`true`: only messages that were sent and of which no status has told anything for too long.'),
  from: instant.optional().describe('Accepted at or after.'),
  to: instant.optional().describe('Accepted before.'),
  limit: z.coerce.number().int().min(1).max(200).default(50),
  cursor: z.string().max(500).optional().describe('`next` of the page before.'),
});

export const messagePage = z.object({
  items: z.array(messageSchema),
  next: z.string().nullable().describe('Cursor of the next page; null on the last one.'),
});
