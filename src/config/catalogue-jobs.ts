import { integer } from './setting.ts';

const concurrency = (defaultValue: number, what: string) =>
  integer({
    area: 'jobs',
    default: defaultValue,
    min: 1,
    max: 1000,
    doc: `${what} that one worker process works on at once.`,
  });

/** Job queues, board, bookings, mail. */
export const JOB_SETTINGS = {
  WEBHOOK_QUEUE_CONCURRENCY: concurrency(5, 'Jobs of `whatsapp:webhook`'),
  MESSAGE_QUEUE_CONCURRENCY: concurrency(10, 'Jobs of `whatsapp:message-status`'),
  BOOKING_QUEUE_CONCURRENCY: concurrency(3, 'Jobs of `booking:reminder`'),
  EMAIL_QUEUE_CONCURRENCY: concurrency(5, 'Jobs of `notification:email`'),
} as const;
