/** What the jobs of a queue carry. Everything is plain JSON: it is stored in Redis. */
export interface WebhookJobData {
  /** The tenant; the salon product's own word for it. */
  readonly salonId: string;
  /** The webhook as it came, or the part of it that this job is about. */
  readonly payload: unknown;
  /** ISO 8601. */
  readonly receivedAt: string;
  readonly provider?: string;
  /** Our id of the sender, when the webhook's address or body named one. */
  readonly sender?: string | null;
}

export interface MessageStatusJobData {
  /** The provider's id of the message, or ours. */
  readonly messageId: string;
  /** `sent`, `delivered`, `read` or `failed`; another word of the provider is kept and logged. */
  readonly status: string;
  /** ISO 8601. */
  readonly timestamp: string;
  readonly provider?: string;
  readonly sender?: string | null;
  /** Why it failed, as the provider says it. */
  readonly error?: unknown;
}

export interface ReminderJobData {
  readonly bookingId: string;
  readonly salonId: string;
  readonly customerPhone: string;
  /** ISO 8601. */
  readonly serviceDate: string;
  readonly serviceName: string;
  /** `day_before`, `hour_before`, or an offset in minutes before the booking: `90m`. */
  readonly reminderType: string;
  /** Row of the reminder; absent in jobs that were added by hand. */
  readonly reminderId?: string;
}

export interface EmailJobData {
  readonly to: string;
  /** Null = the template's own subject. */
  readonly subject: string | null;
  readonly template: string;
  readonly data: Readonly<Record<string, unknown>>;
  /** BCP 47, such as `de` or `ar`; absent = `en`. */
  readonly locale?: string;
}

/** A message to be answered by the responder. */
export interface RespondJobData {
  readonly message: {
    readonly id: string;
    readonly tenant: string;
    readonly sender: string;
    readonly conversation: string;
    /** Its number in the conversation: the order in which messages are answered. */
    readonly seq: number;
    readonly providerAtMs: number;
  };
  /** What the responder is asked, but for what is looked up then. */
  readonly request: Readonly<Record<string, unknown>>;
}

export interface JobDataOf {
  readonly webhook: WebhookJobData;
  readonly 'message-status': MessageStatusJobData;
  readonly reminder: ReminderJobData;
  readonly email: EmailJobData;
  readonly respond: RespondJobData;
}
