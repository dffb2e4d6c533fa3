import type { AcceptOptions, Messages } from './service.ts';
import type { Accepted } from './conclude.ts';
import type { BatchOptions, BatchResult } from './batch.ts';
import type { Forecast } from './forecast.ts';
import type { ListQuery } from './reading.ts';
import type { Principal } from './principal.ts';
import { messageRequestSchema, type MessageRequest, parseRequest } from './request.ts';
import type { Explanation } from './explain.ts';
import type { TimelineView } from './timeline.ts';
import type { MessageView } from './view.ts';
import type { Page } from '../record/types.ts';

/**
 * `Messages` for the product that has Waxwing inside it. It is the product's own backend, so whoever says nothing else
 * acts for every tenant, as the platform key does.
 */
export interface OwnMessages {
  /**
   * Stores one message, checked as `POST /v1/messages` checks it; when it returns, the message is on disk.
   * @throws AppError of the catalogue; nothing was stored, save for `QUEUE_UNAVAILABLE`, which may have been
   */
  accept(request: MessageRequest, principal?: Principal, options?: AcceptOptions): Promise<Accepted>;
  /** @returns one result per item, in order; the failure of one changes nothing for the others */
  acceptBatch(items: readonly unknown[], principal?: Principal, options?: BatchOptions): Promise<BatchResult[]>;
  /** @throws AppError `NOT_FOUND`, `RECORD_UNAVAILABLE`, `QUEUE_UNAVAILABLE` */
  get(id: string, principal?: Principal, tenant?: string): Promise<MessageView>;
  timeline(id: string, principal?: Principal, tenant?: string): Promise<TimelineView>;
  explain(id: string, principal?: Principal, tenant?: string): Promise<Explanation>;
  list(query: ListQuery, principal?: Principal): Promise<Page<MessageView>>;
  /** @throws AppError `CONFLICT` when it is being sent or has ended, and those of `get()` */
  cancel(id: string, principal?: Principal, tenant?: string): Promise<MessageView>;
  forecast(sender: string, messages: number, principal?: Principal, tenant?: string): Promise<Forecast>;
}

const PLATFORM: Principal = { kind: 'platform' };

export function ownMessages(messages: Messages): OwnMessages {
  return {
    async accept(request, principal = PLATFORM, options = {}) {
      return await messages.accept(parseRequest(messageRequestSchema, request), principal, options);
    },
    acceptBatch: (items, principal = PLATFORM, options) => messages.acceptBatch(items, principal, options),
    get: (id, principal = PLATFORM, tenant) => messages.get(id, principal, tenant),
    timeline: (id, principal = PLATFORM, tenant) => messages.timeline(id, principal, tenant),
    explain: (id, principal = PLATFORM, tenant) => messages.explain(id, principal, tenant),
    list: (query, principal = PLATFORM) => messages.list(query, principal),
    cancel: (id, principal = PLATFORM, tenant) => messages.cancel(id, principal, tenant),
    forecast: (sender, count, principal = PLATFORM, tenant) => messages.forecast(sender, count, principal, tenant),
  };
}
