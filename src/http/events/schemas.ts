import { z } from 'zod';
import { isoOrNull } from '../../messages/view.ts';
import { tenantIdSchema } from '../../messages/request.ts';
import { EVENT_STATES, type EndpointRecord, type EventFilter, type OutgoingEvent } from '../../record/index.ts';
import { isId } from '../../util/ids.ts';
import { pageQuery } from '../paging.ts';
import { periodOf } from '../period.ts';

const time = z.string().describe('ISO 8601, UTC');
const instant = z.iso.datetime({ offset: true });

const filterFields = {
  state: z.enum(EVENT_STATES).optional(),
  tenant: tenantIdSchema.optional(),
  endpoint: z.string().max(128).optional().describe('`*` = EVENTS_URL; else the tenant whose own address it is.'),
  type: z.string().max(64).optional().describe('`message.received`, `message.sent`, …'),
  conversation: z.string().max(512).optional(),
  from: instant.optional().describe('Written at or after.'),
  to: instant.optional().describe('Written before.'),
};

export const eventQuery = pageQuery.extend(filterFields);

export const eventSchema = z.object({
  id: z.string().describe('The `webhook-id` that the receiver sees.'),
  endpoint: z.string(),
  tenant: z.string().nullable(),
  sender: z.string().nullable(),
  conversation: z.string().nullable(),
  sequence: z.int().nullable().describe('Number in its conversation.'),
  type: z.string(),
  messageId: z.string().nullable(),
  state: z.enum(EVENT_STATES).describe('`dead` = given up: it is sent again when a person replays it.'),
  attempts: z.int(),
  dueAt: time,
  lastStatus: z.int().nullable(),
  lastError: z.string().nullable(),
  occurredAt: time,
  createdAt: time,
  endedAt: time.nullable(),
});
export const eventDetailSchema = eventSchema.extend({ data: z.record(z.string(), z.unknown()) });

export const endpointSchema = z.object({
  id: z.string().describe('`*` = EVENTS_URL; else the tenant whose own address it is.'),
  host: z.string().nullable().describe('Of its address; the rest of which may hold a secret.'),
  disabled: z.boolean(),
  disabledAt: time.nullable(),
  disabledReason: z.string().nullable(),
  deliveredAt: time.nullable(),
  failingSince: time.nullable(),
  pending: z.int(),
  dead: z.int(),
});
export const endpointParams = z.object({ id: z.string().min(1).max(128) });

export const replayBody = z
  .strictObject({
    ids: z
      .array(z.string().refine(isId, { error: 'It must be the id of an event.' }))
      .min(1)
      .max(1000)
      .optional(),
    ...filterFields,
    dryRun: z.boolean().default(false).describe('Only count.'),
  })
  .describe('Names at least one of ids, state, tenant, endpoint, type, conversation, from, to.');
export const replayAnswer = z.object({ found: z.int(), replayed: z.int(), dryRun: z.boolean() });

type Given = { readonly from?: string | undefined; readonly to?: string | undefined } & Omit<
  EventFilter,
  'fromMs' | 'toMs' | 'ids'
>;

export function filterOf({ from, to, ...rest }: Given): EventFilter {
  return { ...rest, ...periodOf({ from, to }) };
}

export function eventView(event: OutgoingEvent): z.infer<typeof eventSchema> {
  const { id, endpoint, tenant, sender, conversation, seq, type, messageId, state, attempts } = event;
  const { lastStatus, lastError, dueAtMs, occurredAtMs, createdAtMs, endedAtMs } = event;
  return {
    ...{ id, endpoint, tenant, sender, conversation, sequence: seq, type, messageId, state, attempts },
    dueAt: new Date(dueAtMs).toISOString(),
    lastStatus,
    lastError,
    occurredAt: new Date(occurredAtMs).toISOString(),
    createdAt: new Date(createdAtMs).toISOString(),
    endedAt: isoOrNull(endedAtMs),
  };
}

export function eventDetailView(event: OutgoingEvent): z.infer<typeof eventDetailSchema> {
  return { ...eventView(event), data: { ...event.data } };
}

export function endpointView(one: EndpointRecord): z.infer<typeof endpointSchema> {
  return {
    id: one.id,
    host: one.url === null || !URL.canParse(one.url) ? null : new URL(one.url).host,
    disabled: one.disabledAtMs !== null,
    disabledAt: isoOrNull(one.disabledAtMs),
    disabledReason: one.disabledReason,
    deliveredAt: isoOrNull(one.deliveredAtMs),
    failingSince: isoOrNull(one.failingSinceMs),
    pending: one.pending,
    dead: one.dead,
  };
}
