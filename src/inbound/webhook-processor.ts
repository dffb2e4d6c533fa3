import type { SendQueue } from '../engine/contract.ts';
import { JobLater, type JobContext, type WebhookJobData } from '../jobs/index.ts';
import { createMemory, type Evictions, followSenders } from '../messages/index.ts';
import type { TagKey } from '../providers/tag.ts';
import type { ProviderStatus } from '../providers/contract.ts';
import { isSenderProvider } from '../model/provider.ts';
import type { InboundRecord, RawWebhooks, SenderProvider, SenderRecord } from '../record/index.ts';
import { wordOf } from './event-detail.ts';
import type { InboundHooks } from './hooks.ts';
import type { ProviderEventActions } from './provider-events.ts';
import { evidenceOf } from './status-evidence.ts';
import { createWebhookBatches, isAway, type WebhookBatchOptions } from './webhook-batch.ts';
import { type KeptWebhookJob, type NamedWebhook, readBytes, webhookOf } from './webhook-job.ts';
import { isCovered, isTold, shareOf, type WebhookShare } from './webhook-share.ts';

export interface WebhookProcessorOptions extends WebhookBatchOptions {
  readonly queue: Pick<SendQueue, 'statuses'>;
  readonly record: {
    readonly inbound: InboundRecord;
    readonly rawWebhooks: Pick<RawWebhooks, 'add'>;
    readonly senders: { findByExternalId(provider: SenderProvider, externalId: string): Promise<SenderRecord | null> };
  };
  readonly actions: ProviderEventActions;
  readonly hooks: InboundHooks;
  readonly tagKey: TagKey;
  /** Senders that are new or have another number count at once; without, within seconds. */
  readonly evictions?: Evictions | undefined;
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

const LATER_MS = 3_000;

export type WebhookProcessor = (
  job: Pick<JobContext<WebhookJobData>, 'id' | 'data' | 'attempt' | 'attemptsMax'> & {
    /** The parcel that it came in; absent = a job of its own. */
    readonly group?: string;
  },
) => Promise<WebhookResult>;

type WebhookJob = WebhookJobData & Partial<KeptWebhookJob>;

/** Turns webhooks into contacts, conversations, messages and statuses (Q3). Safe to run twice for one job. */
export function createWebhookProcessor(options: WebhookProcessorOptions): WebhookProcessor {
  const { queue, record, statistics, hooks, actions, tagKey } = options;
  const senders = createMemory<SenderRecord>();
  followSenders([senders], options.evictions);
  const batches = createWebhookBatches(options);

  const senderOf = (provider: SenderProvider, externalId: string) =>
    senders.get(`${provider}\n${externalId}`, () => record.senders.findByExternalId(provider, externalId));

  return async ({ id, data, attempt, attemptsMax, group = id }) => {
    const job: WebhookJob = data;
    const webhook = webhookOf(id, job);
    try {
      return await work(job, webhook as NamedWebhook, group);
    } catch (error) {
      statistics.add('failures');
      // Waiting for PostgreSQL costs no attempt: however long it is away, nothing is given up.
      if (isAway(error)) throw new JobLater(Date.now() + LATER_MS * (0.5 + Math.random()));
      const isLast = attempt >= attemptsMax && isSenderProvider(webhook.provider);
      if (isLast) await record.rawWebhooks.add(webhook).catch(() => undefined);
      throw error;
    }
  };

  async function work(job: WebhookJob, webhook: NamedWebhook, group: string): Promise<WebhookResult> {
    const { events, broken } = readBytes(webhook);
    const { covers } = webhook;
    const covered = events.filter((event) => covers === null || isCovered(event, covers));
    const statuses = covered.flatMap((event) => (event.kind === 'status' ? [event.status] : []));
    if (job.hasStatuses !== true) await tellStatuses(statuses);
    const share = await shareOf(webhook, covered, broken, senderOf);
    const isReplay = job.isReplay === true;
    const result = await batches.add({ ...share, webhook, isReplay, tenant: job.salonId || null, group });
    if (!isReplay) await act(webhook, share);
    count(share, result);
    statistics.add('broken', broken.length + result.broken);
    const told = share.side.filter(isTold).length;
    return { ...result, statuses: statuses.length, events: told, broken: broken.length + result.broken };
  }

  async function tellStatuses(statuses: readonly ProviderStatus[]): Promise<void> {
    if (statuses.length === 0) return;
    await queue.statuses(statuses.map((status) => evidenceOf(status, tagKey)));
    statistics.statuses(statuses);
  }

  async function act({ id: webhookId, provider, covers }: NamedWebhook, { side }: WebhookShare): Promise<void> {
    for (const { item, event } of side.filter(isTold)) {
      const ids = await actions.apply(provider, event, covers, item);
      await hooks.onProviderEvent?.({ webhookId, item, provider, senders: ids, event });
    }
  }

  function count({ messages, side, foreign }: WebhookShare, result: { messages: number; duplicates: number }): void {
    for (const { event } of side) statistics.event(wordOf(event));
    statistics.add('foreign', foreign);
    statistics.add('messages', result.messages);
    statistics.add('duplicates', result.duplicates);
    statistics.add('echoes', messages.filter(({ message }) => message.isEcho).length);
  }
}
