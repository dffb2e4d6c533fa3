import { AppError } from '../errors/app-error.ts';

/** The job queues. Beside them stands the send engine, which is no job queue but is shown and paused like one. */
export type JobQueueId = 'webhook' | 'message-status' | 'reminder' | 'email' | 'respond';

/** What a queue is called and how its jobs are treated, unless a job says otherwise. */
export interface QueueEntry {
  /** What callers and pages call it. */
  readonly apiName: string;
  /** Other names that are understood wherever a queue is named. */
  readonly shortNames: readonly string[];
  /** What BullMQ calls it: it forbids a colon in names. Part of the keys in Redis, so it never changes. */
  readonly bullName: string;
  /** Name of its jobs. */
  readonly jobName: string;
  readonly title: string;
  readonly description: string;
  /** 1 … 10 as callers see it, 10 first. */
  readonly priority: number;
  /** Attempts in all; null = QUEUE_RETRY_ATTEMPTS. */
  readonly attempts: number | null;
  /** First wait between attempts, doubling, ms; null = QUEUE_BACKOFF_DELAY. */
  readonly backoffMs: number | null;
}

/** Priorities as callers see them: 10 goes first. BullMQ counts the other way; only `bullPriority` knows that. */
export const PRIORITY = {
  systemAlert: 10,
  respond: 9,
  messageStatus: 8,
  reminder: 7,
  email: 7,
  webhook: 5,
  analytics: 3,
  cleaning: 3,
  maintenance: 1,
} as const;

export const JOB_QUEUES: Readonly<Record<JobQueueId, QueueEntry>> = {
  webhook: {
    apiName: 'whatsapp:webhook',
    shortNames: ['webhook', 'webhooks', 'whatsapp-webhook'],
    bullName: 'whatsapp-webhook',
    jobName: 'webhook',
    title: 'whatsapp:webhook',
    description: 'Webhooks of the providers, to be split into messages and statuses.',
    priority: PRIORITY.webhook,
    attempts: null,
    backoffMs: null,
  },
  'message-status': {
    apiName: 'whatsapp:message-status',
    shortNames: ['message-status', 'status', 'whatsapp-message-status'],
    bullName: 'whatsapp-message-status',
    jobName: 'message-status',
    title: 'whatsapp:message-status',
    description: 'Statuses of sent messages: sent, delivered, read, failed.',
    priority: PRIORITY.messageStatus,
    attempts: 5,
    backoffMs: null,
  },
  reminder: {
    apiName: 'booking:reminder',
    shortNames: ['reminder', 'booking', 'booking-reminder'],
    bullName: 'booking-reminder',
    jobName: 'reminder',
    title: 'booking:reminder',
    description: 'Reminders of bookings, each waiting for its time.',
    priority: PRIORITY.reminder,
    attempts: null,
    backoffMs: null,
  },
  email: {
    apiName: 'notification:email',
    shortNames: ['email', 'notification', 'notification-email'],
    bullName: 'notification-email',
    jobName: 'email',
    title: 'notification:email',
    description: 'E-mail by SMTP.',
    priority: PRIORITY.email,
    attempts: 3,
    backoffMs: 5000,
  },
  respond: {
    apiName: 'inbound:respond',
    shortNames: ['respond', 'responder', 'inbound-respond'],
    bullName: 'inbound-respond',
    jobName: 'respond',
    title: 'inbound:respond',
    description: 'Incoming messages that the responder is asked to answer, one after the other per conversation.',
    priority: PRIORITY.respond,
    attempts: null,
    backoffMs: null,
  },
};

export const JOB_QUEUE_IDS = Object.keys(JOB_QUEUES) as JobQueueId[];

const BY_NAME = new Map<string, JobQueueId>(
  JOB_QUEUE_IDS.flatMap((id) => [
    [JOB_QUEUES[id].apiName, id] as const,
    ...JOB_QUEUES[id].shortNames.map((name) => [name, id] as const),
  ]),
);

/** The queue of an API name or a short name. @throws AppError `NOT_FOUND` that lists the names */
export function queueNamed(name: string): JobQueueId {
  const found = BY_NAME.get(name);
  if (found !== undefined) return found;
  const names = JOB_QUEUE_IDS.map((id) => JOB_QUEUES[id].apiName).join(', ');
  throw new AppError('NOT_FOUND', { field: 'queue', detail: `There is no such queue. The job queues are ${names}.` });
}

/**
 * A caller's priority (1 … 10, 10 first) as BullMQ's (1 first; 0 would overtake all).
 * @throws AppError `REQUEST_INVALID` for anything else than a whole number from 1 to 10
 */
export function bullPriority(priority: number): number {
  if (Number.isInteger(priority) && priority >= 1 && priority <= 10) return 11 - priority;
  throw new AppError('REQUEST_INVALID', { field: 'priority', detail: 'It must be a whole number from 1 to 10.' });
}
