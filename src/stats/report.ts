import type { MessageStatus } from '../model/message.ts';

/* What the statistics are, here and in the browser. */

/** How long customers waited for the first answer. Null when there was none. */
export interface ResponseTimes {
  readonly answers: number;
  readonly averageMs: number | null;
  /** From a histogram: off by a tenth at most. */
  readonly medianMs: number | null;
  readonly p95Ms: number | null;
}

export interface StatsReport {
  readonly tenant: string | null;
  readonly from: string;
  readonly to: string;
  readonly timeZone: string;
  /** When the figures were read; an answer from the cache keeps its time. */
  readonly generatedAt: string;
  readonly messages: {
    /** Messages of the range, by what they are now. */
    readonly total: number;
    readonly byStatus: Readonly<Record<MessageStatus, number>>;
    /** Days without any are left out. */
    readonly byDay: readonly {
      readonly day: string;
      readonly total: number;
      readonly received: number;
      readonly byStatus: Partial<Record<MessageStatus, number>>;
    }[];
    readonly received: number;
  };
  /** Delivered or read, of those that the provider took, 0 … 1; null when it took none. */
  readonly deliveryRate: number | null;
  /** Read, of those delivered, 0 … 1; null when none was delivered. */
  readonly readRate: number | null;
  /** From the accept (or `sendAt`) until the provider took them, on average; null when it took none. */
  readonly averageSendMs: number | null;
  readonly responseTime: ResponseTimes;
  /** At most 20, most frequent first. `share` of all failed ones, 0 … 1. */
  readonly failures: readonly {
    readonly code: string;
    readonly providerCode: string | null;
    readonly messages: number;
    readonly share: number;
  }[];
  readonly bookings: {
    /** That take place in the range. */
    readonly active: number;
    readonly cancelled: number;
    /** That were made in the range. */
    readonly made: number;
    readonly remindersSent: number;
  };
  /** Hours of the day in `timeZone`, busiest first; those without any are left out. */
  readonly busiestHours: readonly {
    readonly hour: number;
    readonly sent: number;
    readonly received: number;
    readonly total: number;
  }[];
}
