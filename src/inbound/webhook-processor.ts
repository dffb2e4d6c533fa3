import { setTimeout as delay } from 'node:timers/promises';
import type { SendQueue } from '../engine/contract.ts';
import { hasCode } from '../errors/app-error.ts';
import { JobImpossible, JobLater, type JobContext, type WebhookJobData } from '../jobs/index.ts';
import { createMemory } from '../messages/index.ts';
import { hasServiceWindow } from '../model/service-window.ts';
import type { TagKey } from '../providers/tag.ts';
import type { InboundMessage, ProviderEvent } from '../providers/events.ts';
import type {
  InboundRecord,
  NewInboundMessage,
  NewProviderEvent,
  RawWebhooks,
  RecordedInboundMessage,
  SenderProvider,
  SenderRecord,
  WebhookBytes,
} from '../record/index.ts';
import { isId, newId } from '../util/ids.ts';
import { detailOf, wordOf, type ToldEvent } from './event-detail.ts';
import type { HandedMessage, InboundHooks } from './hooks.ts';
import { createMicroBatcher } from './micro-batcher.ts';
import { aliasesOf, conversationOf } from './people.ts';
import type { ProviderEventActions } from './provider-events.ts';
import type { InboundStatistics } from './statistics.ts';
import { evidenceOf } from './status-evidence.ts';
import type { UserLimit } from './user-limit.ts';
import { guessProvider, isProvider, type KeptWebhookJob, parseBody, readWebhook } from './webhook-job.ts';

export interface WebhookProcessorOptions {
  readonly queue: Pick<SendQueue, 'statuses'>;
  readonly record: {
    readonly inbound: InboundRecord;
    readonly rawWebhooks: Pick<RawWebhooks, 'add'>;
    readonly senders: { findByExternalId(provider: SenderProvider, externalId: string): Promise<SenderRecord | null> };
  };
  readonly actions: ProviderEventActions;
  readonly limit: UserLimit;
  readonly hooks: InboundHooks;
  readonly statistics: InboundStatistics;
  readonly tagKey: TagKey;
  /** Tenant of what a stranger writes to a sender that tenants share. */
  readonly defaultTenant: string;
  /** WHATSAPP_QUEUE_BATCH_SIZE, WHATSAPP_QUEUE_INTERVAL and WEBHOOK_QUEUE_CONCURRENCY. */
  readonly batch: { readonly sizeMax: number; readonly intervalMs: number; readonly parallelMax: number };
  /** First pause while PostgreSQL is away, ms; default 1,000. */
  readonly pauseMs?: number;
}

/** What a job says it did; shown on the board, so without texts and numbers of people. */
export interface WebhookResult {
  readonly messages: number;
  readonly duplicates: number;
  readonly statuses: number;
  readonly events: number;
  readonly broken: number;
  /** Of a parcel: how many webhooks, and how many of them got a job of their own because they failed. */
  readonly webhooks?: number;
  readonly again?: number;
}

const HOUR_MS = 3_600_000;
const WINDOW_MS = 24 * HOUR_MS;
/** After a click on an advertisement. */
const AD_WINDOW_MS = 72 * HOUR_MS;
/** Tries of one batch while PostgreSQL is away, before its jobs step aside. */
const TRIES = 4;
const LATER_MS = 3_000;

/** A job's share of a batch. */
interface Unit {
  readonly webhook: WebhookBytes;
  readonly isReplay: boolean;
  readonly messages: readonly { readonly sender: SenderRecord; readonly message: Omit<NewInboundMessage, 'tenant'> }[];
  /** The tenant that the job's creator named; decides on senders that are shared. */
  readonly tenant: string | null;
  readonly events: readonly NewProviderEvent[];
  /** The job that it belongs to, with others when that is a parcel. */
  readonly group: string;
}

type UnitResult = Pick<WebhookResult, 'messages' | 'duplicates' | 'broken'>;

export type WebhookProcessor = (
  job: Pick<JobContext<WebhookJobData>, 'id' | 'data' | 'attempt' | 'attemptsMax'> & {
    /** The parcel that it came in; absent = a job of its own. */
    readonly group?: string;
  },
) => Promise<WebhookResult>;

/** Turns webhooks into contacts, conversations, messages and statuses (Q3). Safe to run twice for one job. */
export function createWebhookProcessor(options: WebhookProcessorOptions): WebhookProcessor {
  const { queue, record, statistics, hooks } = options;
  const senders = createMemory<SenderRecord>();
  const batcher = createMicroBatcher<Unit, UnitResult>({
    ...options.batch,
    groupOf: ({ group }) => group,
    run: runWhenPossible,
  });

  async function senderOf(provider: SenderProvider, externalId: string): Promise<SenderRecord | null> {
    return senders.get(`${provider}\n${externalId}`, () => record.senders.findByExternalId(provider, externalId));
  }

  /** A server that is away comes back: the jobs wait with it for a while instead of being moved about. */
  async function runWhenPossible(units: readonly Unit[]): Promise<UnitResult[]> {
    for (let tried = 1; ; tried += 1) {
      try {
        return await runUnits(units);
      } catch (error) {
        if (!isAway(error) || tried >= TRIES) throw error;
        await delay((options.pauseMs ?? 1000) * (0.5 + Math.random()));
      }
    }
  }

  async function runUnits(units: readonly Unit[]): Promise<UnitResult[]> {
    const messages = await withTenants(units);
    const { recorded, refused } = await record.inbound.add({
      messages,
      webhooks: units.map(({ webhook }) => webhook),
      events: units.flatMap(({ events }) => events),
    });
    statistics.add('batches');
    if (refused.length > 0) {
      const events = refused.map(({ message, reason }, index) => brokenEvent(message, reason, index));
      await record.inbound.add({ messages: [], webhooks: [], events });
    }
    await handOver(units, recorded);
    return units.map(({ webhook, messages: own }) => {
      const mine = recorded.filter(({ message }) => message.webhookId === webhook.id);
      const broken = refused.filter(({ message }) => message.webhookId === webhook.id).length;
      return { messages: mine.length, duplicates: own.length - mine.length - broken, broken };
    });
  }

  async function withTenants(units: readonly Unit[]): Promise<NewInboundMessage[]> {
    const all = units.flatMap(({ messages, tenant }) => messages.map((one) => ({ ...one, named: tenant })));
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
      tenant: one.sender.tenant ?? one.named ?? ownerOf.get(one) ?? options.defaultTenant,
    }));
  }

  async function handOver(units: readonly Unit[], recorded: readonly RecordedInboundMessage[]): Promise<void> {
    const replays = new Set(units.filter(({ isReplay }) => isReplay).map(({ webhook }) => webhook.id));
    const handed = recorded.filter(
      ({ isNew, message }) => !message.isEcho && (isNew || !replays.has(message.webhookId)),
    );
    if (handed.length === 0) return;
    const isIn = await options.limit.check(
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

  return async ({ id, data, attempt, attemptsMax, group = id }) => {
    const job = data as WebhookJobData & Partial<KeptWebhookJob>;
    const webhook = bytesOf(id, job);
    const { provider } = webhook;
    try {
      return await work(job, webhook as WebhookBytes & { readonly provider: SenderProvider }, group);
    } catch (error) {
      statistics.add('failures');
      // Waiting for PostgreSQL costs no attempt: however long it is away, nothing is given up.
      if (isAway(error)) throw new JobLater(Date.now() + LATER_MS * (0.5 + Math.random()));
      if (attempt >= attemptsMax && isProvider(provider)) await record.rawWebhooks.add(webhook).catch(() => undefined);
      throw error;
    }
  };

  async function work(
    job: WebhookJobData & Partial<KeptWebhookJob>,
    webhook: WebhookBytes & { readonly provider: SenderProvider },
    group: string,
  ): Promise<WebhookResult> {
    const { provider, receivedAtMs, covers } = webhook;
    const { events, broken } = readWebhook(provider, parsedOf(webhook), receivedAtMs);
    const covered = events.filter((event) => covers === null || isCovered(event, covers));
    const statuses = covered.flatMap((event) => (event.kind === 'status' ? [event.status] : []));
    if (statuses.length > 0 && job.hasStatuses !== true) {
      await queue.statuses(statuses.map((status) => evidenceOf(status, options.tagKey)));
      statistics.statuses(statuses);
    }
    const messages: Unit['messages'][number][] = [];
    const rows: NewProviderEvent[] = [];
    const told: { readonly item: number; readonly event: ToldEvent }[] = [];
    const common = { webhookId: webhook.id, provider };
    for (const [item, event] of covered.entries()) {
      if (event.kind === 'status') continue;
      if (event.kind === 'message') {
        const sender = await senderOf(provider, event.message.externalSenderId);
        if (sender !== null) messages.push({ sender, message: newMessage(event.message, sender, webhook) });
        else {
          statistics.add('foreign');
          rows.push({ ...common, item, ...foreign(event.message) });
        }
        continue;
      }
      const externalId = 'externalSenderId' in event ? event.externalSenderId : null;
      const sender = externalId === null ? null : await senderOf(provider, externalId);
      statistics.event(wordOf(event));
      rows.push({ ...common, item, sender: sender?.id ?? null, ...detailOf(event) });
      if (event.kind !== 'other') told.push({ item, event });
    }
    for (const [index, { where, reason }] of broken.entries()) {
      const detail = { where, reason };
      rows.push({ ...common, item: -1 - index, sender: null, accountId: null, kind: 'broken', event: reason, detail });
    }
    const isReplay = job.isReplay === true;
    const result = await batcher.add({ webhook, isReplay, tenant: job.salonId || null, messages, events: rows, group });
    if (!isReplay) {
      for (const { item, event } of told) {
        const ids = await options.actions.apply(provider, event, covers, item);
        await hooks.onProviderEvent?.({ webhookId: webhook.id, item, provider, senders: ids, event });
      }
    }
    statistics.add('messages', result.messages);
    statistics.add('duplicates', result.duplicates);
    statistics.add('echoes', messages.filter(({ message }) => message.isEcho).length);
    statistics.add('broken', broken.length + result.broken);
    return { ...result, statuses: statuses.length, events: told.length, broken: broken.length + result.broken };
  }
}

/** A job that was added by a program has a payload, not bytes; then its bytes are what the payload means. */
function bytesOf(jobId: string, job: WebhookJobData & Partial<KeptWebhookJob>): WebhookBytes {
  const text = typeof job.payload === 'string' ? job.payload : JSON.stringify(job.payload ?? null);
  return {
    // The id of the job is that of the webhook. One that BullMQ made gets an id that is the same at every attempt.
    id: job.webhookId ?? (isId(jobId) ? jobId : stableId(jobId, job.receivedAt)),
    provider: isProvider(job.provider) ? job.provider : guessProvider(job.payload),
    sender: job.sender ?? null,
    receivedAtMs: Date.parse(job.receivedAt),
    headers: job.headers ?? {},
    body: Buffer.from(text, job.encoding ?? 'utf8'),
    covers: job.covers ?? null,
  };
}

function stableId(jobId: string, receivedAt: string): string {
  const head = newId(Date.parse(receivedAt)).slice(0, 13);
  const tail = Buffer.from(jobId).toString('hex').padStart(15, '0').slice(-15);
  return `${head}-7${tail.slice(0, 3)}-8${tail.slice(3, 6)}-${tail.slice(3, 15)}`;
}

function parsedOf({ provider, body, headers }: WebhookBytes & { readonly provider: SenderProvider }): unknown {
  try {
    return parseBody(provider, body, headers);
  } catch (error) {
    throw new JobImpossible(`The body of this webhook is not what ${provider} sends.`, { cause: error });
  }
}

/** What a signature of one sender speaks for; an account's event has no sender, and concerns this one at least. */
function isCovered(event: ProviderEvent, covers: string): boolean {
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

function isAway(error: unknown): boolean {
  return hasCode(error, 'RECORD_UNAVAILABLE', 'QUEUE_UNAVAILABLE');
}
