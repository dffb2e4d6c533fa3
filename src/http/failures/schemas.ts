import { z } from 'zod';
import type { DeadLetterDetail } from '../../failures/index.ts';
import { senderIdSchema, tenantIdSchema } from '../../messages/request.ts';
import { isoOrNull } from '../../messages/view.ts';
import { FAILURE_STATUSES, type DeadLetter, type DeadLetterFilter, type FailureRecord } from '../../record/index.ts';
import { pageQuery } from '../paging.ts';
import { periodOf } from '../period.ts';

const instant = z.iso.datetime({ offset: true, error: 'It must be an ISO 8601 time with a time zone.' });
const code = z.string().min(1).max(64);
const count = z.int().min(0);

const filterFields = {
  tenant: tenantIdSchema.optional(),
  sender: senderIdSchema.optional(),
  code: code.optional().describe("The provider's own code, such as 131026, else one of ours."),
  from: instant.optional().describe('At or after.'),
  to: instant.optional().describe('Before.'),
};

export const failureQuery = pageQuery.extend({
  ...filterFields,
  status: z.enum(FAILURE_STATUSES).optional().describe('FAILED = the permanent ones.'),
  phoneNumber: z.string().max(200).optional(),
});
export const letterQuery = pageQuery.extend(filterFields);
export const exportQuery = z.object(filterFields);

const filterBody = z.strictObject(filterFields);
export const actBody = z
  .strictObject({
    ids: z.array(z.string().max(64)).min(1).max(1000).optional(),
    filter: filterBody.optional().describe('An empty filter means every dead letter.'),
    after: z.string().max(64).optional().describe('With a filter: the `next` of the call before.'),
    dryRun: z.boolean().default(false).describe('True: nothing is done, the answer says what would be.'),
  })
  .refine(({ ids, filter }) => (ids === undefined) !== (filter === undefined), {
    error: 'Give either ids or filter.',
    path: ['ids'],
  });

export function filterOf(filter: z.infer<typeof filterBody>): DeadLetterFilter {
  const { tenant, sender, code: wanted, from, to } = filter;
  return { tenant, sender, code: wanted, ...periodOf({ from, to }) };
}

export const failureSchema = z
  .object({
    id: z.string().describe("The message's id."),
    phoneNumber: z.string(),
    message: z.string(),
    idempotencyKey: z.string().nullable(),
    errorMessage: z.string().nullable(),
    errorCode: z.string().nullable(),
    attemptCount: z.int().describe('1 when the row was made, one more for each slow retry.'),
    status: z.enum(FAILURE_STATUSES),
    metadata: z.record(z.string(), z.unknown()),
    nextRetryAt: z.string().nullable(),
    lastAttemptAt: z.string().nullable(),
    resolvedAt: z.string().nullable(),
    createdAt: z.string(),
    updatedAt: z.string(),
  })
  .meta({ id: 'Failure' });

export const summarySchema = z.object({
  pending: count,
  resolved: count,
  failed: count,
  overdueStatuses: count.describe('Sent for longer than STATUS_WATCHDOG_SECONDS, and no status since.'),
  codes: z
    .array(z.object({ code: z.string(), status: z.string(), count }))
    .describe('The most frequent first; a code that no table knows stands under its own name.'),
});

export const adviceSchema = z.object({
  class: z.string().nullable(),
  title: z.string(),
  meaning: z.string(),
  waxwingDoes: z.string(),
  personShould: z.string(),
});

const attemptSchema = z.object({
  attempt: z.int(),
  worker: z.string(),
  startedAt: z.string(),
  endedAt: z.string(),
  outcome: z.string(),
  httpStatus: z.int().nullable(),
  error: z.record(z.string(), z.unknown()).nullable(),
});

export const letterSchema = z
  .object({
    id: z.string().describe("The message's id."),
    tenant: z.string(),
    sender: z.string(),
    code: z.string(),
    held: z.boolean().describe('The outcome is not known: the queue holds it until a person resends or closes it.'),
    deadAt: z.string(),
  })
  .meta({ id: 'DeadLetter' });

export const letterDetailSchema = letterSchema.extend({
  conversation: z.string(),
  to: z.string().nullable(),
  type: z.string(),
  content: z.unknown(),
  createdAt: z.string(),
  expiresAt: z.string().nullable(),
  error: z.record(z.string(), z.unknown()).nullable(),
  attempts: z.array(attemptSchema),
  failure: failureSchema.nullable(),
  advice: adviceSchema,
});

export const actReport = z.object({
  dryRun: z.boolean(),
  matched: z.int(),
  affected: z.int().describe('Done, or in a dry run those that would be.'),
  skipped: z.int(),
  more: z.boolean().describe('The filter found more than the 1,000 of one call: call again with `after`.'),
  next: z.string().nullable().describe('For `after` of the next call; null when there is no more.'),
  sentence: z.string(),
  items: z.array(
    z.object({
      id: z.string(),
      result: z.enum(['would', 'done', 'skipped']),
      reason: z.string().nullable(),
      sentence: z.string().nullable(),
    }),
  ),
});

export function failureView(record: FailureRecord): z.infer<typeof failureSchema> {
  const { nextRetryAtMs, lastAttemptAtMs, resolvedAtMs, createdAtMs, updatedAtMs, ...rest } = record;
  return {
    ...rest,
    metadata: { ...rest.metadata },
    nextRetryAt: isoOrNull(nextRetryAtMs),
    lastAttemptAt: isoOrNull(lastAttemptAtMs),
    resolvedAt: isoOrNull(resolvedAtMs),
    createdAt: new Date(createdAtMs).toISOString(),
    updatedAt: new Date(updatedAtMs).toISOString(),
  };
}

export function letterView({ messageId, deadAtMs, ...rest }: DeadLetter): z.infer<typeof letterSchema> {
  return { id: messageId, ...rest, deadAt: new Date(deadAtMs).toISOString() };
}

export function letterDetailView(detail: DeadLetterDetail): z.infer<typeof letterDetailSchema> {
  const { letter, message, failure, attempts, advice } = detail;
  return {
    ...letterView(letter),
    conversation: message.conversation,
    to: message.to ?? message.recipient,
    type: message.type,
    content: message.content,
    createdAt: new Date(message.createdAtMs).toISOString(),
    expiresAt: isoOrNull(message.expiresAtMs),
    error: message.error === null ? null : { ...message.error },
    attempts: attempts.map(({ attempt, worker, startedAtMs, endedAtMs, outcome, httpStatus, error }) => ({
      attempt,
      worker,
      startedAt: new Date(startedAtMs).toISOString(),
      endedAt: new Date(endedAtMs).toISOString(),
      outcome,
      httpStatus: httpStatus ?? null,
      error: error === undefined ? null : { ...error },
    })),
    failure: failure === null ? null : failureView(failure),
    advice: { ...advice },
  };
}
