import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { AppError } from '../../errors/app-error.ts';
import { tenantIdSchema } from '../../messages/request.ts';
import {
  DEFAULT_ENDPOINT,
  EVENT_STATES,
  type EndpointRecord,
  type EventFilter,
  type OutgoingEvent,
  type WaxwingRecord,
} from '../../record/index.ts';
import { isId } from '../../util/ids.ts';
import { audit, type AdminOptions } from '../admin-options.ts';
import { idParams } from '../messages/schemas.ts';
import { maskData, maskText, orNull } from '../mask.ts';
import { pageOf, pageQuery } from '../paging.ts';
import { isRevealed, revealField, revealQuery } from '../reveal.ts';

export interface EventRouteOptions {
  readonly eventsOut: WaxwingRecord['eventsOut'];
  /** What signs for a receiver, the newest first. */
  readonly secretsOf: (endpoint: string) => readonly string[];
  /** There is something to send again. */
  readonly wake: () => void;
}

const tags = ['events'];
const time = z.string().describe('ISO 8601, UTC');
const instant = z.iso.datetime({ offset: true });

const filter = {
  state: z.enum(EVENT_STATES).optional(),
  tenant: tenantIdSchema.optional(),
  endpoint: z.string().max(128).optional().describe('`*` = EVENTS_URL; else the tenant whose own address it is.'),
  type: z.string().max(64).optional().describe('`message.received`, `message.sent`, …'),
  conversation: z.string().max(512).optional(),
  from: instant.optional().describe('Written at or after.'),
  to: instant.optional().describe('Written before.'),
};

const eventSchema = z.object({
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
const eventDetailSchema = eventSchema.extend({ data: z.record(z.string(), z.unknown()) });

const endpointSchema = z.object({
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
const endpointParams = z.object({ id: z.string().min(1).max(128) });

const replayBody = z
  .strictObject({
    ids: z
      .array(z.string().refine(isId, { error: 'It must be the id of an event.' }))
      .min(1)
      .max(1000)
      .optional(),
    ...filter,
    dryRun: z.boolean().default(false).describe('Only count.'),
  })
  .describe('Names at least one of ids, state, tenant, endpoint, type, conversation, from.');
const replayAnswer = z.object({ found: z.int(), replayed: z.int(), dryRun: z.boolean() });

/** `/admin/events`: the outbox of events to products, and their receivers. */
export function eventRoutes(
  app: FastifyInstance,
  { admin, events }: { readonly admin: AdminOptions; readonly events: EventRouteOptions },
): void {
  const { eventsOut, secretsOf, wake } = events;
  const routes = app.withTypeProvider<ZodTypeProvider>();

  routes.get(
    '/admin/events',
    {
      config: { access: 'viewer' },
      schema: {
        tags,
        summary: 'List events to products, newest first',
        querystring: pageQuery.extend(filter).extend(revealField),
        response: { 200: pageOf(eventSchema) },
      },
    },
    async (request) => {
      const { cursor, limit, reveal, ...given } = request.query;
      const isClear = await isRevealed(admin.record, request, reveal, 'events');
      const page = await eventsOut.list({ ...filterOf(given), cursor, limit });
      return { items: page.items.map(eventView).map((one) => (isClear ? one : maskEvent(one))), next: page.next };
    },
  );

  routes.get(
    '/admin/events/:id',
    {
      config: { access: 'operator' },
      schema: {
        tags,
        summary: 'Read an event with what it tells',
        params: idParams,
        querystring: revealQuery,
        response: { 200: eventDetailSchema },
      },
    },
    async (request) => {
      const event = await eventsOut.get(request.params.id);
      if (event === null) throw new AppError('NOT_FOUND', { detail: 'There is no event with this id.' });
      const isClear = await isRevealed(admin.record, request, request.query.reveal, `event ${event.id}`);
      const view = { ...eventView(event), data: { ...event.data } };
      return isClear ? view : { ...maskEvent(view), data: maskData(view.data) as typeof view.data };
    },
  );

  routes.post(
    '/admin/events/replay',
    {
      config: { access: 'operator' },
      schema: {
        tags,
        summary: 'Send events again',
        description:
          'With the same ids, so that a receiver can tell that it knows them. Ended events are kept for 7 days, dead ones for 30.',
        body: replayBody,
        response: { 200: replayAnswer },
      },
    },
    async (request) => {
      const { dryRun, ids, ...given } = request.body;
      const wanted: EventFilter = { ...filterOf(given), ids };
      if (Object.values(wanted).every((value) => value === undefined)) {
        throw new AppError('REQUEST_INVALID', {
          detail: 'Say which events: by ids, state, tenant, type, conversation or time.',
        });
      }
      const found = dryRun ? await eventsOut.count(wanted) : await eventsOut.replay(wanted);
      if (!dryRun) wake();
      const result = { found, replayed: dryRun ? 0 : found, dryRun };
      await audit(admin, request, {
        action: 'events.replay',
        target: given.endpoint ?? given.tenant ?? 'events',
        // The id of a conversation is often a phone number.
        detail: {
          ...given,
          ...(given.conversation === undefined ? {} : { conversation: maskText(given.conversation) }),
          ids: ids?.length ?? null,
          ...result,
        },
      });
      return result;
    },
  );

  routes.get(
    '/admin/events/endpoints',
    {
      config: { access: 'viewer' },
      schema: {
        tags,
        summary: 'List receivers of events',
        response: { 200: z.object({ items: z.array(endpointSchema) }) },
      },
    },
    async () => ({ items: (await eventsOut.endpoints()).map(endpointView) }),
  );

  routes.get(
    '/admin/events/endpoints/:id/secret',
    {
      config: { access: 'admin' },
      schema: {
        tags,
        summary: "Read the secrets that sign a receiver's events",
        description: 'The first one is the newest. Each tenant with an address of its own has its own.',
        params: endpointParams,
        response: { 200: z.object({ secrets: z.array(z.string()) }) },
      },
    },
    async (request) => {
      const { id } = request.params;
      if (id === DEFAULT_ENDPOINT) {
        throw new AppError('FORBIDDEN', {
          detail: 'Events to EVENTS_URL are signed with EVENTS_SECRET, which is not shown.',
        });
      }
      if ((await admin.record.tenants.get(id)) === null)
        throw new AppError('NOT_FOUND', { detail: 'There is no tenant with this id.' });
      await audit(admin, request, { action: 'events.secret.read', target: id, tenant: id, detail: {} });
      return { secrets: [...secretsOf(id)] };
    },
  );

  routes.post(
    '/admin/events/endpoints/:id/enable',
    {
      config: { access: 'operator' },
      schema: {
        tags,
        summary: 'Send events to a receiver again that was disabled',
        description: 'What became a dead letter meanwhile is sent again by a replay.',
        params: endpointParams,
        response: { 200: z.object({ id: z.string(), enabled: z.boolean() }) },
      },
    },
    async (request) => {
      const { id } = request.params;
      const enabled = await eventsOut.enable(id);
      if (!enabled) throw new AppError('CONFLICT', { detail: 'This receiver is not disabled.' });
      await audit(admin, request, { action: 'events.enable', target: id, detail: {} });
      return { id, enabled };
    },
  );
}

type Given = { readonly from?: string | undefined; readonly to?: string | undefined } & Omit<
  EventFilter,
  'fromMs' | 'toMs' | 'ids'
>;

function filterOf({ from, to, ...rest }: Given): EventFilter {
  return {
    ...rest,
    fromMs: from === undefined ? undefined : Date.parse(from),
    toMs: to === undefined ? undefined : Date.parse(to),
  };
}

function eventView(event: OutgoingEvent): z.infer<typeof eventSchema> {
  const { id, endpoint, tenant, sender, conversation, seq, type, messageId, state, attempts } = event;
  const { lastStatus, lastError, dueAtMs, occurredAtMs, createdAtMs, endedAtMs } = event;
  return {
    ...{ id, endpoint, tenant, sender, conversation, sequence: seq, type, messageId, state, attempts },
    dueAt: new Date(dueAtMs).toISOString(),
    lastStatus,
    lastError,
    occurredAt: new Date(occurredAtMs).toISOString(),
    createdAt: new Date(createdAtMs).toISOString(),
    endedAt: iso(endedAtMs),
  };
}

function maskEvent<E extends z.infer<typeof eventSchema>>(event: E): E {
  const { conversation, lastError } = event;
  return {
    ...event,
    conversation: orNull(conversation, maskText),
    lastError: orNull(lastError, maskText),
  };
}

function endpointView(one: EndpointRecord): z.infer<typeof endpointSchema> {
  return {
    id: one.id,
    host: one.url === null || !URL.canParse(one.url) ? null : new URL(one.url).host,
    disabled: one.disabledAtMs !== null,
    disabledAt: iso(one.disabledAtMs),
    disabledReason: one.disabledReason,
    deliveredAt: iso(one.deliveredAtMs),
    failingSince: iso(one.failingSinceMs),
    pending: one.pending,
    dead: one.dead,
  };
}

function iso(ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString();
}
