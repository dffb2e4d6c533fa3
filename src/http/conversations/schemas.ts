import { z } from 'zod';
import { senderIdSchema, tenantIdSchema } from '../../messages/request.ts';
import type { ContactRecord, ConversationRecord, InboundMessageRecord } from '../../record/index.ts';
import { pageOf, pageQuery } from '../paging.ts';

const time = z.string().describe('ISO 8601, UTC');

const names = {
  name: z.string().nullable(),
  phone: z.string().nullable().describe('E.164; null = WhatsApp does not tell it.'),
  waId: z.string().nullable(),
  userId: z.string().nullable().describe('Business-scoped user id.'),
};

export const contactSchema = z.object({
  id: z.string(),
  tenant: z.string(),
  ...names,
  aliases: z.array(z.object({ kind: z.enum(['e164', 'wa_id', 'user_id']), value: z.string() })),
  marketingOptOutAt: time.nullable().describe('Since when the person wants no marketing.'),
  createdAt: time,
});

export const conversationSchema = z.object({
  id: z.string(),
  tenant: z.string(),
  sender: z.string(),
  contact: z.object({ id: z.string(), ...names }).nullable(),
  messagesIn: z.int(),
  messagesOut: z.int(),
  unread: z.int(),
  window: z
    .object({ open: z.boolean(), expiresAt: time.nullable().describe('Null = the person never wrote.') })
    .nullable()
    .describe(
      "The customer service window: 24 h from the person's last message in any conversation with this sender, 72 h " +
        'after a click on an ad. Null = the sender has no such window (Evolution).',
    ),
  lastInboundAt: time.nullable(),
  lastMessageAt: time,
  updatedAt: time.describe('The last thing that happened, statuses included.'),
  createdAt: time,
});
export const conversationPage = pageOf(conversationSchema);

/** Of both directions: what is said of one direction only is absent in the other. */
export const chatItemSchema = z
  .object({
    id: z.string(),
    direction: z.enum(['inbound', 'outbound']),
    type: z.string(),
    status: z.string().describe("An outbound message's status; `received` or `read` inbound."),
    providerMessageId: z.string().nullable(),
    createdAt: time,
  })
  .catchall(z.unknown());
export const chatPage = pageOf(chatItemSchema);

const scope = {
  tenant: tenantIdSchema.optional().describe('For the platform key; a tenant key means its own tenant.'),
};
export const scopeQuery = z.object(scope);
export const conversationQuery = z.object({ ...scope, sender: senderIdSchema.optional() });
export const listQuery = pageQuery.extend({ ...scope, sender: senderIdSchema.optional() });
export const conversationParams = z.object({ id: z.string().min(1).max(512) });
export const readBody = z
  .strictObject({ typing: z.boolean().default(false).describe('Also show that somebody is typing, for up to 25 s.') })
  .nullish();
export const readAnswer = z.object({
  conversation: z.string(),
  unread: z.literal(0),
  receipt: z
    .enum(['sent', 'none', 'failed'])
    .describe('Was the receipt sent to the person: `none` = nothing to confirm, or the provider has no receipts.'),
});

export function contactView(contact: ContactRecord) {
  const { id, tenant, aliases, marketingOptOutAtMs, createdAtMs } = contact;
  return {
    id,
    tenant,
    ...namesOf(contact.name, aliases),
    aliases: aliases.map((alias) => ({ ...alias })),
    marketingOptOutAt: iso(marketingOptOutAtMs),
    createdAt: new Date(createdAtMs).toISOString(),
  };
}

export function conversationView(record: ConversationRecord, nowMs: number) {
  const { id, tenant, sender, contactId, messagesIn, messagesOut, unread, hasWindow, windowExpiresAtMs } = record;
  return {
    id,
    tenant,
    sender,
    contact: contactId === null ? null : { id: contactId, ...namesOf(record.contactName, record.aliases) },
    messagesIn,
    messagesOut,
    unread,
    window: hasWindow
      ? { open: windowExpiresAtMs !== null && windowExpiresAtMs > nowMs, expiresAt: iso(windowExpiresAtMs) }
      : null,
    lastInboundAt: iso(record.lastInboundAtMs),
    lastMessageAt: new Date(record.lastMessageAtMs).toISOString(),
    updatedAt: new Date(record.updatedAtMs).toISOString(),
    createdAt: new Date(record.createdAtMs).toISOString(),
  };
}

export function inboundView(message: InboundMessageRecord) {
  return {
    id: message.id,
    // A message from the sender's own phone is the business's word, whichever way it came.
    direction: message.isEcho ? ('outbound' as const) : ('inbound' as const),
    ...(message.isEcho ? { source: 'phone' } : {}),
    tenant: message.tenant,
    conversation: message.conversation,
    sender: message.sender,
    type: message.type,
    [message.type]: message.content,
    status: message.isEcho ? 'sent' : message.readAtMs === null ? 'received' : 'read',
    providerMessageId: message.providerMessageId,
    ...(message.replyTo === null ? {} : { context: { message_id: message.replyTo } }),
    ...(message.referral === null ? {} : { referral: message.referral }),
    providerAt: new Date(message.providerAtMs).toISOString(),
    createdAt: new Date(message.createdAtMs).toISOString(),
  };
}

function namesOf(name: string | null, aliases: ContactRecord['aliases']) {
  const of = (kind: string) => aliases.find((alias) => alias.kind === kind)?.value ?? null;
  return { name, phone: of('e164'), waId: of('wa_id'), userId: of('user_id') };
}

function iso(atMs: number | null): string | null {
  return atMs === null ? null : new Date(atMs).toISOString();
}
