import { setTimeout as delay } from 'node:timers/promises';
import { hasCode } from '../errors/app-error.ts';
import type {
  InboundRecord,
  NewInboundMessage,
  NewProviderEvent,
  RecordedInboundMessage,
  WebhookBytes,
} from '../record/index.ts';
import type { HandedMessage, InboundHooks } from './hooks.ts';
import { createMicroBatcher, type MicroBatcher } from './micro-batcher.ts';
import type { InboundStatistics } from './statistics.ts';
import type { UserLimit } from './user-limit.ts';
import type { WebhookShare } from './webhook-share.ts';

export interface WebhookBatchOptions {
  readonly record: { readonly inbound: InboundRecord };
  readonly limit: UserLimit;
  readonly hooks: Pick<InboundHooks, 'onInbound'>;
  readonly statistics: InboundStatistics;
  /** Tenant of what a stranger writes to a sender that tenants share. */
  readonly defaultTenant: string;
  /** WHATSAPP_QUEUE_BATCH_SIZE, WHATSAPP_QUEUE_INTERVAL and WEBHOOK_QUEUE_CONCURRENCY. */
  readonly batch: { readonly sizeMax: number; readonly intervalMs: number; readonly parallelMax: number };
  /** First pause while PostgreSQL is away, ms; default 1,000. */
  readonly pauseMs?: number;
}

/** A webhook's part of a batch. */
export interface BatchedWebhook extends Pick<WebhookShare, 'messages' | 'events'> {
  readonly webhook: WebhookBytes;
  readonly isReplay: boolean;
  /** The tenant that the job's creator named; decides on senders that are shared. */
  readonly tenant: string | null;
  /** The job that it belongs to, with others when that is a parcel. */
  readonly group: string;
}

/** How many of its messages are new, known already, and refused by the record. */
export interface BatchedResult {
  readonly messages: number;
  readonly duplicates: number;
  readonly broken: number;
}

/** Tries of one batch while PostgreSQL is away, before its jobs step aside. */
const TRIES = 4;

/** Writes webhooks of parallel jobs into the record together, and hands their new messages over. */
export function createWebhookBatches(options: WebhookBatchOptions): MicroBatcher<BatchedWebhook, BatchedResult> {
  const { pauseMs = 1000 } = options;
  return createMicroBatcher<BatchedWebhook, BatchedResult>({
    ...options.batch,
    groupOf: ({ group }) => group,
    async run(webhooks) {
      // A server that is away comes back: the jobs wait with it for a while instead of being moved about.
      for (let tried = 1; ; tried += 1) {
        try {
          return await recordAll(options, webhooks);
        } catch (error) {
          if (!isAway(error) || tried >= TRIES) throw error;
          await delay(pauseMs * (0.5 + Math.random()));
        }
      }
    },
  });
}

/** PostgreSQL or Redis; what failed may be done again. */
export function isAway(error: unknown): boolean {
  return hasCode(error, 'RECORD_UNAVAILABLE', 'QUEUE_UNAVAILABLE');
}

async function recordAll(
  options: WebhookBatchOptions,
  webhooks: readonly BatchedWebhook[],
): Promise<readonly BatchedResult[]> {
  const { record, statistics } = options;
  const messages = await withTenants(options, webhooks);
  const { recorded, refused } = await record.inbound.add({
    messages,
    webhooks: webhooks.map(({ webhook }) => webhook),
    events: webhooks.flatMap(({ events }) => events),
  });
  statistics.add('batches');
  if (refused.length > 0) {
    const events = refused.map(({ message, reason }, index) => brokenEvent(message, reason, index));
    await record.inbound.add({ messages: [], webhooks: [], events });
  }
  await handOver(options, webhooks, recorded);
  return webhooks.map(({ webhook, messages: own }) => {
    const mine = recorded.filter(({ message }) => message.webhookId === webhook.id);
    const broken = refused.filter(({ message }) => message.webhookId === webhook.id).length;
    return { messages: mine.length, duplicates: own.length - mine.length - broken, broken };
  });
}

/** The tenant of each message: its sender's, else the one that was named, else who knows the person, else the default. */
async function withTenants(
  { record, defaultTenant }: WebhookBatchOptions,
  webhooks: readonly BatchedWebhook[],
): Promise<NewInboundMessage[]> {
  const all = webhooks.flatMap(({ messages, tenant }) => messages.map((one) => ({ ...one, named: tenant })));
  const shared = all.filter(({ sender, named }) => sender.tenant === null && named === null);
  const owners = await record.inbound.ownersOf(
    shared.map(({ sender, message }) => ({
      sender: sender.id,
      aliases: message.aliases,
      replyTo: message.replyTo,
    })),
  );
  const ownerOf = new Map(shared.map((one, index) => [one, owners[index] ?? null]));
  return all.map((one) => ({
    ...one.message,
    tenant: one.sender.tenant ?? one.named ?? ownerOf.get(one) ?? defaultTenant,
  }));
}

async function handOver(
  { limit, hooks, statistics }: WebhookBatchOptions,
  webhooks: readonly BatchedWebhook[],
  recorded: readonly RecordedInboundMessage[],
): Promise<void> {
  const replays = new Set(webhooks.filter(({ isReplay }) => isReplay).map(({ webhook }) => webhook.id));
  const handed = recorded.filter(({ isNew, message }) => !message.isEcho && (isNew || !replays.has(message.webhookId)));
  if (handed.length === 0) return;
  const isIn = await limit.check(
    handed.map(({ id, sender, contactId, message }) => ({
      id,
      sender,
      contactId: contactId ?? '',
      receivedAtMs: message.receivedAtMs,
    })),
  );
  statistics.add('limited', isIn.filter((one) => !one).length);
  if (hooks.onInbound === undefined) return;
  await hooks.onInbound(handed.map((one, index) => handedMessage(one, isIn[index] !== true)));
}

function brokenEvent(message: NewInboundMessage, reason: string, index: number): NewProviderEvent {
  return {
    webhookId: message.webhookId,
    item: -1_000_000 - index,
    provider: '',
    sender: message.sender,
    accountId: null,
    kind: 'broken',
    event: reason,
    detail: { type: message.type },
  };
}

function handedMessage(recorded: RecordedInboundMessage, isLimited: boolean): HandedMessage {
  const { message } = recorded;
  return {
    id: recorded.id,
    tenant: recorded.tenant,
    sender: recorded.sender,
    conversation: recorded.conversation,
    contactId: recorded.contactId,
    seq: recorded.seq,
    providerMessageId: message.providerMessageId,
    type: message.type,
    content: message.content,
    replyTo: message.replyTo,
    referral: message.referral,
    contact: { name: message.name, aliases: message.aliases },
    providerAtMs: message.providerAtMs,
    receivedAtMs: message.receivedAtMs,
    isLimited,
  };
}
