import type { MessageStatus } from '../model/message.ts';
import type { Page, RecordedMessage, SenderRecord, TenantRecord, TimelineItem } from '../record/types.ts';

/** What this room asks of the record; the repositories of `record/` fit. Times are epoch ms. */

export interface MessageQuery {
  /** Null = every tenant. */
  readonly tenant: string | null;
  readonly conversation?: string | undefined;
  readonly sender?: string | undefined;
  readonly status?: MessageStatus | undefined;
  /** Only messages that were sent before this and of which no status has told anything since, epoch ms. */
  readonly silentSinceMs?: number | undefined;
  /** Accepted at or after. */
  readonly fromMs?: number | undefined;
  /** Accepted before. */
  readonly toMs?: number | undefined;
  /** 1 … 200. */
  readonly limit?: number | undefined;
  readonly cursor?: string | undefined;
}

export interface MessageStore {
  /** Null when there is none, or none of this tenant. */
  find(tenant: string | null, id: string): Promise<RecordedMessage | null>;
  /** Newest first. */
  list(query: MessageQuery): Promise<Page<RecordedMessage>>;
  /** Oldest first; null when there is no such message. */
  timeline(tenant: string | null, id: string): Promise<readonly TimelineItem[] | null>;
}

export interface TenantStore {
  get(id: string): Promise<TenantRecord | null>;
  /** The tenant under this id, created with the defaults when there is none. Safe to call at the same time. */
  ensure(id: string): Promise<TenantRecord>;
}

export interface SenderStore {
  get(id: string): Promise<SenderRecord | null>;
  /** Senders that a tenant may use: its own and the shared ones, oldest first. */
  list(filter: {
    readonly usableBy: string;
    readonly cursor?: string | undefined;
    readonly limit?: number | undefined;
  }): Promise<Page<SenderRecord>>;
}
