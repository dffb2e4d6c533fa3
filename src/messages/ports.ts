import type { MessageStatus } from '../model/message.ts';
import type { Page, RecordedMessage, SenderRecord, TenantRecord, TimelineItem } from '../record/types.ts';

/** What this room asks of the record; the repositories of `record/` fit. Times are epoch ms. */

export interface MessageQuery {
  /** Null = every tenant. */
  readonly tenant: string | null;
  readonly conversation?: string;
  readonly sender?: string;
  readonly status?: MessageStatus;
  /** Accepted at or after. */
  readonly fromMs?: number;
  /** Accepted before. */
  readonly toMs?: number;
  /** 1 … 200. */
  readonly limit: number;
  readonly cursor?: string;
}

export interface MessageStore {
  /** Null when there is none, or none of this tenant. */
  find(tenant: string | null, id: string): Promise<RecordedMessage | null>;
  /** Newest first. */
  list(query: MessageQuery): Promise<Page<RecordedMessage>>;
  timeline(id: string): Promise<readonly TimelineItem[]>;
}

export interface TenantStore {
  get(id: string): Promise<TenantRecord | null>;
  /** The tenant under this id, created with the defaults when there is none. Safe to call at the same time. */
  ensure(id: string): Promise<TenantRecord>;
}

export interface SenderStore {
  get(id: string): Promise<SenderRecord | null>;
  /** A tenant's own senders, oldest first; shared ones are not among them. */
  ownedBy(tenant: string): Promise<readonly SenderRecord[]>;
}
