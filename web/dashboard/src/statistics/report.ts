/** Messages by their status. */
export type ByStatus = Readonly<Partial<Record<string, number>>>;

/** What `/dashboard/api/stats` answers. */
export interface Report {
  readonly from: string;
  readonly to: string;
  readonly timeZone: string;
  readonly generatedAt: string;
  readonly messages: {
    readonly total: number;
    readonly byStatus: ByStatus;
    readonly byDay: readonly {
      readonly day: string;
      readonly total: number;
      readonly received: number;
      readonly byStatus: ByStatus;
    }[];
    readonly received: number;
  };
  readonly deliveryRate: number | null;
  readonly readRate: number | null;
  readonly averageSendMs: number | null;
  readonly responseTime: {
    readonly answers: number;
    readonly averageMs: number | null;
    readonly medianMs: number | null;
    readonly p95Ms: number | null;
  };
  readonly failures: readonly {
    readonly code: string;
    readonly providerCode: string | null;
    readonly messages: number;
    readonly share: number;
  }[];
  readonly bookings: {
    readonly active: number;
    readonly cancelled: number;
    readonly made: number;
    readonly remindersSent: number;
  };
  readonly busiestHours: readonly { readonly hour: number; readonly sent: number; readonly received: number }[];
}
