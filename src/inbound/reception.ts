import type { SendQueue } from '../engine/contract.ts';
import { AppError } from '../errors/app-error.ts';
import type { QueueService } from '../jobs/index.ts';
import type { TagKey } from '../providers/tag.ts';
import type { ProviderEvent } from '../providers/events.ts';
import type { RawWebhooks, SenderProvider, WebhookBytes } from '../record/index.ts';
import { newId } from '../util/ids.ts';
import { authorityOf, type WebhookRequest } from './authority.ts';
import type { InboundStatistics } from './statistics.ts';
import { evidenceOf } from './status-evidence.ts';
import { createJobWriter } from './job-writer.ts';
import { jobOf, type KeptWebhookJob, parseBody, QUERY_HEADER, readWebhook } from './webhook-job.ts';
import type { WebhookSecrets } from './webhook-secrets.ts';

export interface ReceptionOptions {
  readonly queue: Pick<SendQueue, 'statuses'>;
  readonly queues: Pick<QueueService, 'addJobs'>;
  readonly rawWebhooks: Pick<RawWebhooks, 'add'>;
  readonly secrets: WebhookSecrets;
  readonly statistics: InboundStatistics;
  /** Key of the tags that came back with the statuses. */
  readonly tagKey: TagKey;
  /** PUBLIC_URL: the address that Twilio signs. */
  readonly publicUrl?: string | undefined;
  /**
   * WHATSAPP_ASYNC_PROCESSING=false: does the work before the answer. When it fails the job is queued after all, so
   * nothing hangs on it.
   */
  readonly processNow?: (id: string, job: KeptWebhookJob) => Promise<unknown>;
}

/** Where the webhooks of all providers arrive. */
export interface Reception {
  /**
   * Checks the proof and keeps everything durably: statuses in the queue's event log, all else in a job, byte by byte;
   * while the queue's Redis is away the whole webhook in PostgreSQL. Returns only then, so that a 200 means kept. Safe
   * to repeat: providers do.
   * @throws AppError `UNAUTHORIZED` without a valid proof, `NOT_FOUND` for an unknown sender, `REQUEST_NOT_JSON`, and
   *   `QUEUE_UNAVAILABLE` when neither Redis nor PostgreSQL took it, upon which the provider repeats it
   */
  receive(request: WebhookRequest): Promise<void>;
  /** Is this the word that the operator typed into Meta's form. @throws AppError `NOT_FOUND` for an unknown sender */
  isVerifyToken(token: string, sender: string | undefined): Promise<boolean>;
}

const REFUSALS: Readonly<Record<SenderProvider, string>> = {
  cloud:
    'X-Hub-Signature-256 is missing or does not match the body. Set WHATSAPP_APP_SECRET (or appSecret in the credentials of the sender) to the app secret.',
  evolution:
    'The secret is missing or wrong. Set EVOLUTION_WEBHOOK_TOKEN (or webhookToken in the credentials of the sender), and send it in the header X-Webhook-Token or in the path.',
  twilio:
    'X-Twilio-Signature is missing or does not match. It is made with the primary auth token over the address that Twilio calls: set PUBLIC_URL to that, and authToken in the credentials of the sender.',
};

/**
 * What a job's place in the queue is, 10 first: what stops or allows sending, then refusals, then what people wrote.
 */
const PRIORITIES: Readonly<Record<ProviderEvent['kind'], number>> = {
  sender: 10,
  status: 8,
  preference: 8,
  message: 5,
  'contact-changed': 5,
  template: 3,
  other: 3,
};
const LEAST_PRIORITY = 3;

export function createReception(options: ReceptionOptions): Reception {
  const { queue, rawWebhooks, secrets, statistics } = options;
  const write = createJobWriter(options.queues);

  /** @returns whether the event log has them */
  async function keepStatuses(events: readonly ProviderEvent[]): Promise<boolean> {
    const statuses = events.flatMap((event) => (event.kind === 'status' ? [event.status] : []));
    if (statuses.length === 0) return true;
    try {
      await queue.statuses(statuses.map((status) => evidenceOf(status, options.tagKey)));
      statistics.statuses(statuses);
      return true;
    } catch (error) {
      if (error instanceof AppError && error.retryable) return false;
      throw error;
    }
  }

  async function keepWebhook(webhook: WebhookBytes, hasStatuses: boolean, priority: number): Promise<void> {
    const job = jobOf(webhook, { hasStatuses, isReplay: false });
    if (options.processNow !== undefined) {
      try {
        await options.processNow(webhook.id, job);
        return;
      } catch {
        // The queue tries again, and says what was wrong.
      }
    }
    try {
      await write({ id: webhook.id, job, priority });
    } catch (error) {
      if (!(error instanceof AppError) || !error.retryable) throw error;
      await keepInRecord(webhook, error);
    }
  }

  async function keepInRecord(webhook: WebhookBytes, reason: AppError): Promise<void> {
    try {
      await rawWebhooks.add(webhook);
      statistics.add('fallbacks');
    } catch {
      throw reason;
    }
  }

  return {
    async receive(request) {
      const { provider, sender } = request;
      if (sender !== undefined) await secrets.assertKnown(provider, sender);
      const authority = await authorityOf(request, secrets, options.publicUrl);
      if (authority === null) throw new AppError('UNAUTHORIZED', { detail: REFUSALS[provider] });
      const { externalId } = authority;
      const receivedAtMs = Date.now();
      const headers = headersOf(request);
      const { events, broken } = readWebhook(provider, parsed(request, headers), receivedAtMs);
      statistics.add('webhooks');
      // A secret of one sender proves nothing about the others.
      const covered = events.filter((event) => externalId === null || senderOf(event) === externalId);
      const hasStatuses = await keepStatuses(covered);
      // Statuses alone are in the event log, each with what it told (see `restOf()`); all else is kept byte by byte.
      const isAllKept = hasStatuses && events.length > 0 && events.every(({ kind }) => kind === 'status');
      if (isAllKept && broken.length === 0) return;
      const webhook: WebhookBytes = {
        id: newId(receivedAtMs),
        provider,
        sender: sender ?? null,
        receivedAtMs,
        headers,
        body: request.body,
        covers: externalId,
      };
      if (!hasStatuses) {
        await keepInRecord(webhook, new AppError('QUEUE_UNAVAILABLE'));
        return;
      }
      await keepWebhook(webhook, hasStatuses, Math.max(LEAST_PRIORITY, ...covered.map(({ kind }) => PRIORITIES[kind])));
    },

    isVerifyToken: (token, sender) => secrets.isVerifyToken(token, sender),
  };
}

function senderOf(event: ProviderEvent): string | null {
  if (event.kind === 'message') return event.message.externalSenderId;
  if (event.kind === 'status') return event.status.externalSenderId;
  return 'externalSenderId' in event ? event.externalSenderId : null;
}

/** What is kept beside the bytes: nothing that proves or authorises. */
function headersOf({ provider, headers, path }: WebhookRequest): Record<string, string> {
  const agent = headers['user-agent'];
  const query = path.split('?')[1];
  return {
    ...(agent === undefined ? {} : { 'user-agent': agent }),
    ...(provider === 'twilio' && query !== undefined ? { [QUERY_HEADER]: query } : {}),
  };
}

function parsed({ provider, body }: WebhookRequest, headers: Readonly<Record<string, string>>): unknown {
  try {
    return parseBody(provider, body, headers);
  } catch (error) {
    throw new AppError('REQUEST_NOT_JSON', { cause: error });
  }
}
