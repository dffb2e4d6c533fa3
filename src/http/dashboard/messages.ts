import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { hasCode } from '../../errors/app-error.ts';
import { recordedView, type MessageView } from '../../messages/index.ts';
import { HOLD_KINDS, MESSAGE_STATUSES } from '../../model/message.ts';
import type { ChatItem } from '../../record/index.ts';
import { inboundView } from '../conversations/schemas.ts';
import { idParams } from '../messages/schemas.ts';
import { pageQuery } from '../paging.ts';
import { periodOf } from '../period.ts';
import { maskMessage, maskNumbers, maskPerson, orNull } from '../mask.ts';
import { seesAll } from './reveal.ts';
import type { DashboardParts } from './parts.ts';

const PLATFORM = { kind: 'platform' } as const;
const config = { access: 'viewer' } as const;
const instant = z.iso.datetime({ offset: true });
const listQuery = pageQuery.extend({
  tenant: z.string().max(200).optional(),
  sender: z.string().max(200).optional(),
  status: z.enum(MESSAGE_STATUSES).optional(),
  hold: z.enum(HOLD_KINDS).optional().describe('Only what this holds right now.'),
  from: instant.optional(),
  to: instant.optional(),
  oldest: z.stringbool().default(false),
});
const chatQuery = pageQuery.pick({ cursor: true, limit: true });

/** Waiting messages that one request asks the engine about when a hold is wanted; the cursor goes on behind them. */
const HOLD_LOOKS_MAX = 400;
const HOLD_LOOKS_AT_ONCE = 50;

/** Messages, one message, and its conversation, masked unless an admin asked to see them. */
export function messageReads(app: FastifyInstance, { messages, record, secret }: DashboardParts): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();

  routes.get('/dashboard/api/messages', { config, schema: { hide: true, querystring: listQuery } }, async (request) => {
    const { hold, from, to, oldest, tenant = null, ...rest } = request.query;
    const isClear = seesAll(request, secret);
    const shown = (view: MessageView) => brief(isClear ? view : maskMessage(view));
    const filter = {
      ...rest,
      tenant,
      ...periodOf({ from, to }),
      isOldestFirst: oldest,
    };
    if (hold === undefined) {
      const page = await record.messages.list(filter);
      return { items: page.items.map((one) => shown(recordedView(one))), next: page.next, looked: null };
    }
    // The record knows no holds: the engine is asked about what waits, page by page, up to a bound.
    const found: MessageView[] = [];
    let { cursor } = filter;
    let looked = 0;
    let next: string | null = null;
    do {
      const page = await record.messages.list({ ...filter, status: statusOf(hold), cursor, limit: HOLD_LOOKS_AT_ONCE });
      const views = await Promise.all(page.items.map((one) => current(one.id)));
      looked += views.length;
      found.push(...views.filter((view) => view !== null).filter((view) => view.hold?.kind === hold));
      next = page.next;
      cursor = next ?? undefined;
    } while (next !== null && looked < HOLD_LOOKS_MAX && found.length < filter.limit);
    return { items: found.map(shown), next, looked };
  });

  routes.get('/dashboard/api/messages/:id', { config, schema: { hide: true, params: idParams } }, async (request) => {
    const { id } = request.params;
    const [view, explanation, timeline, attempts] = await Promise.all([
      messages.get(id, PLATFORM),
      // Says why it waits when the queue can be asked; the rest of the page does not need it.
      messages.explain(id, PLATFORM).catch(() => null),
      messages.timeline(id, PLATFORM),
      record.messages.attempts(null, id),
    ]);
    const isClear = seesAll(request, secret);
    const clean = isClear ? <T>(value: T) => value : maskNumbers;
    return {
      message: isClear ? view : maskMessage(view),
      explanation: explanation === null ? null : { ...explanation, sentence: clean(explanation.sentence) },
      timeline: timeline.items.map(({ detail, ...item }) => ({ ...item, detail: clean(detail) })),
      attempts: attempts.map((attempt) => ({ ...attempt, error: clean(attempt.error ?? null) })),
    };
  });

  // Named by one of its messages: the id of a conversation may be a phone number, which must not stand in an address.
  routes.get(
    '/dashboard/api/messages/:id/conversation',
    { config, schema: { hide: true, params: idParams, querystring: chatQuery } },
    async (request) => {
      const { tenant, sender, conversation: id } = await messages.get(request.params.id, PLATFORM);
      const [page, thread] = await Promise.all([
        record.chat.list({ tenant, sender, id }, request.query),
        record.conversations.get({ tenant, sender, id }),
      ]);
      const isClear = seesAll(request, secret);
      const name = thread?.contactName ?? null;
      const phone = thread?.aliases.find(({ kind }) => kind === 'e164')?.value ?? null;
      const person = (text: string | null) => (isClear ? text : orNull(text, maskPerson));
      return {
        tenant,
        sender,
        conversation: isClear ? id : maskNumbers(id),
        contact: { name: person(name), phone: person(phone) },
        hasWindow: thread?.hasWindow ?? true,
        windowExpiresAt: thread?.windowExpiresAtMs == null ? null : new Date(thread.windowExpiresAtMs).toISOString(),
        items: page.items.map((item) => (isClear ? chatView(item) : maskMessage(chatView(item)))),
        next: page.next,
      };
    },
  );

  async function current(id: string): Promise<MessageView | null> {
    try {
      return await messages.get(id, PLATFORM);
    } catch (error) {
      if (hasCode(error, 'NOT_FOUND')) return null;
      throw error;
    }
  }
}

/** The state in which the record has messages with this hold. */
function statusOf(hold: (typeof HOLD_KINDS)[number]) {
  return hold === 'scheduled' ? 'scheduled' : 'queued';
}

function chatView(item: ChatItem) {
  return item.direction === 'inbound'
    ? inboundView(item.message)
    : { direction: 'outbound' as const, ...recordedView(item.message) };
}

/** What a list shows of a message: no content but the first words of a text. */
function brief(view: MessageView) {
  const { id, tenant, sender, to, recipient, type, status, hold, attempts, error, createdAt, sentAt, sendAt } = view;
  const content = view[type];
  const body = typeof content === 'object' && content !== null ? (content as { body?: unknown }).body : undefined;
  return {
    ...{ id, tenant, sender, type, status, hold, attempts, createdAt, sentAt, sendAt },
    to: to ?? recipient ?? null,
    error: error === null ? null : { code: error.providerCode ?? error.code, title: error.title },
    text: typeof body === 'string' ? body.slice(0, 120) : null,
  };
}
