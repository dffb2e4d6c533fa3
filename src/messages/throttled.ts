import type { Counters, SendQueue } from '../engine/contract.ts';
import { generateIdempotencyKey } from './fingerprint.ts';
import type { Principal } from './principal.ts';
import { messageRequestSchema, parseRequest } from './request.ts';
import type { ShortSend } from './short-send.ts';

export interface SendMessageOptions {
  /** Your own data, at most 16 KiB as JSON; never sent. The key is added to it as `idempotencyKey`. */
  readonly metadata?: Readonly<Record<string, unknown>>;
  /** What this kind of message is called (`reminder`, `receipt`): the same text of another kind is no repetition. */
  readonly type?: string;
  /** Whose message it is; default `default`. */
  readonly tenant?: string;
  /** Default: one conversation per recipient. */
  readonly conversation?: string;
  /** Default: the tenant's own sender, else `default`. */
  readonly sender?: string;
  /** 1 … 10, 10 first; default 5. */
  readonly priority?: number;
}

/** Exactly one of `immediate`, `queued` and `duplicate` is true. */
export interface SendMessageResult {
  /** Handed to a worker at once; in direct mode: the provider has taken it. */
  readonly immediate: boolean;
  /** Stored; it goes when its conversation, pair, tenant and sender allow. */
  readonly queued: boolean;
  /** The same text of the same kind went to this person within 24 h: nothing was sent. */
  readonly duplicate: boolean;
  /** The idempotency key: `whatsapp:<phone>:<16 hex>`. */
  readonly jobId: string;
  /** Id for `messages.get()` and `GET /v1/messages/:id`; of the first one when it is a duplicate. */
  readonly messageId: string;
  /** The queue was bypassed. */
  readonly direct: boolean;
}

export interface DeliveryFailureCounts {
  /** Waiting for a slow retry. */
  readonly pending: number;
  readonly resolved: number;
  /** Given up: dead letters. */
  readonly failed: number;
}

export interface ThrottledStats {
  readonly throttling: {
    /** Pairs whose gap or bucket would hold the next message back right now. */
    readonly activeRateLimits: number;
  };
  readonly deliveryFailures: DeliveryFailureCounts;
  readonly queue: {
    readonly waiting: number;
    readonly active: number;
    readonly delayed: number;
    readonly completed: number;
    readonly failed: number;
  };
}

/** Sends texts at the pace WhatsApp allows and skips repetitions. */
export interface ThrottledSender {
  /**
   * @param phone E.164 with `+`
   * @throws AppError `REQUEST_INVALID` (not retryable), `BACKLOG_FULL`, `QUEUE_UNAVAILABLE`, `QUEUE_FULL` (retryable),
   *   and the `DIRECT_…` codes when the queue is bypassed
   */
  sendMessage(phone: string, text: string, options?: SendMessageOptions): Promise<SendMessageResult>;
  generateIdempotencyKey(phone: string, text: string, options?: { readonly type?: string }): string;
  /** @throws AppError `QUEUE_UNAVAILABLE`, `RECORD_UNAVAILABLE` (retryable) */
  getStats(): Promise<ThrottledStats>;
}

export interface ThrottledOptions {
  readonly shortSend: ShortSend;
  readonly queue: Pick<SendQueue, 'counters' | 'limitedPairs'>;
  readonly countFailures: () => Promise<DeliveryFailureCounts>;
}

const PLATFORM: Principal = { kind: 'platform' };

export function createThrottled({ shortSend, queue, countFailures }: ThrottledOptions): ThrottledSender {
  return {
    generateIdempotencyKey,

    async sendMessage(phone, text, { metadata, type, ...where } = {}) {
      const request = parseRequest(messageRequestSchema, {
        ...where,
        to: phone,
        type: 'text',
        text: { body: text },
        dedupe: true,
        ...(metadata === undefined ? {} : { metadata }),
      });
      const { message, result, direct } = await shortSend.send(request, PLATFORM, { contentLabel: type });
      return {
        immediate: result === 'immediate',
        queued: result === 'queued',
        duplicate: result === 'duplicate',
        jobId: generateIdempotencyKey(message.to ?? phone, text, type === undefined ? {} : { type }),
        messageId: message.id,
        direct,
      };
    },

    async getStats() {
      const [counters, activeRateLimits, deliveryFailures] = await Promise.all([
        queue.counters(),
        queue.limitedPairs(),
        countFailures(),
      ]);
      return { throttling: { activeRateLimits }, deliveryFailures, queue: queueFigures(counters) };
    },
  };
}

function queueFigures({ queued, inFlight, scheduled, deferred, sent, failed }: Counters): ThrottledStats['queue'] {
  return { waiting: queued, active: inFlight, delayed: scheduled + deferred, completed: sent, failed };
}
