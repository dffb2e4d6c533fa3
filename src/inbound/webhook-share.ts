import { hasServiceWindow } from '../model/service-window.ts';
import type { InboundMessage, ProviderEvent, ReadWebhook } from '../providers/events.ts';
import type {
  NewInboundMessage,
  NewProviderEvent,
  SenderProvider,
  SenderRecord,
  WebhookBytes,
} from '../record/index.ts';
import { detailOf, type SideEvent, type ToldEvent } from './event-detail.ts';
import { aliasesOf, conversationOf } from './people.ts';
import type { NamedWebhook } from './webhook-job.ts';

/** A message and the sender that it was written to. */
export interface SharedMessage {
  readonly sender: SenderRecord;
  readonly message: Omit<NewInboundMessage, 'tenant'>;
}

/** What a webhook has for the record, statuses apart. */
export interface WebhookShare {
  readonly messages: readonly SharedMessage[];
  /** Everything else, as rows of the provider's events. */
  readonly events: readonly NewProviderEvent[];
  /** What is neither message nor status, with its place in the webhook. */
  readonly side: readonly { readonly item: number; readonly event: SideEvent }[];
  /** Messages to a number that is nobody's here. */
  readonly foreign: number;
}

const HOUR_MS = 3_600_000;
const WINDOW_MS = 24 * HOUR_MS;
/** After a click on an advertisement. */
const AD_WINDOW_MS = 72 * HOUR_MS;

/** @param senderOf the sender of this program with that id at the provider, or null */
export async function shareOf(
  webhook: NamedWebhook,
  covered: readonly ProviderEvent[],
  broken: ReadWebhook['broken'],
  senderOf: (provider: SenderProvider, externalId: string) => Promise<SenderRecord | null>,
): Promise<WebhookShare> {
  const { provider } = webhook;
  const common = { webhookId: webhook.id, provider };
  const messages: SharedMessage[] = [];
  const events: NewProviderEvent[] = [];
  const side: WebhookShare['side'][number][] = [];
  let strangers = 0;
  for (const [item, event] of covered.entries()) {
    if (event.kind === 'status') continue;
    if (event.kind === 'message') {
      const sender = await senderOf(provider, event.message.externalSenderId);
      if (sender !== null) messages.push({ sender, message: newMessage(event.message, sender, webhook) });
      else {
        strangers += 1;
        events.push({ ...common, item, ...foreign(event.message) });
      }
      continue;
    }
    const externalId = 'externalSenderId' in event ? event.externalSenderId : null;
    const sender = externalId === null ? null : await senderOf(provider, externalId);
    events.push({ ...common, item, sender: sender?.id ?? null, ...detailOf(event) });
    side.push({ item, event });
  }
  for (const [index, { where, reason }] of broken.entries()) {
    const detail = { where, reason };
    events.push({ ...common, item: -1 - index, sender: null, accountId: null, kind: 'broken', event: reason, detail });
  }
  return { messages, events, side, foreign: strangers };
}

/** What a provider tells that has an effect here. */
export function isTold(one: WebhookShare['side'][number]): one is { readonly item: number; readonly event: ToldEvent } {
  return one.event.kind !== 'other';
}

/** What a signature of one sender speaks for; an account's event has no sender, and concerns this one at least. */
export function isCovered(event: ProviderEvent, covers: string): boolean {
  if (event.kind === 'message') return event.message.externalSenderId === covers;
  if (event.kind === 'status') return event.status.externalSenderId === covers;
  return !('externalSenderId' in event) || event.externalSenderId === null || event.externalSenderId === covers;
}

function newMessage(
  message: InboundMessage,
  sender: SenderRecord,
  webhook: WebhookBytes,
): Omit<NewInboundMessage, 'tenant'> {
  const aliases = aliasesOf(message.contact);
  const windowMs = message.referral === null ? WINDOW_MS : AD_WINDOW_MS;
  return {
    sender: sender.id,
    webhookId: webhook.id,
    providerMessageId: message.providerMessageId,
    isEcho: message.isEcho,
    type: message.type,
    content: message.content,
    replyTo: message.replyTo,
    referral: message.referral,
    providerAtMs: message.atMs,
    receivedAtMs: webhook.receivedAtMs,
    aliases,
    name: message.isEcho ? null : message.contact.name,
    conversation: conversationOf(aliases),
    windowUntilMs: message.isEcho || !hasServiceWindow(sender.provider) ? null : message.atMs + windowMs,
  };
}

function foreign(message: InboundMessage): Omit<NewProviderEvent, 'webhookId' | 'item' | 'provider'> {
  const detail = { externalSenderId: message.externalSenderId, type: message.type };
  return { sender: null, accountId: null, kind: 'foreign', event: 'message', detail };
}
