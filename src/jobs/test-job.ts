import { z } from 'zod';
import { AppError } from '../errors/app-error.ts';
import { describeViolations } from '../messages/content/index.ts';
import type { AddedJob } from './adding.ts';
import type { JobQueueId } from './queues.ts';
import type { QueueService } from './service.ts';

/**
 * Adds a job by hand, so that somebody can try a queue: what `data` leaves out is filled in, but for `to` of an e-mail
 * and `bookingId` of a reminder.
 * @throws AppError `REQUEST_INVALID` for data that does not fit, and for a queue that cannot be tried
 */
export async function addTestJob(
  queues: QueueService,
  queue: JobQueueId,
  data: Readonly<Record<string, unknown>>,
): Promise<AddedJob> {
  switch (queue) {
    case 'webhook':
      return await queues.addWebhookJob(parse(webhookTest, 'payload' in data ? data : { payload: data }));
    case 'message-status':
      return await queues.addMessageStatusJob(parse(statusTest, data));
    case 'reminder':
      return await queues.scheduleBookingReminder(parse(reminderTest, data), new Date());
    case 'respond':
      throw new AppError('REQUEST_INVALID', {
        field: 'queueName',
        detail: 'Only a message that came in can be answered: write to a sender, or let the emulator do it.',
      });
    case 'email':
      return await queues.addEmailJob(parse(emailTest, data));
  }
}

const now = () => new Date().toISOString();
const instant = z.iso.datetime({ offset: true }).default(now);
const webhookTest = z.object({
  salonId: z.string().min(1).default('default'),
  payload: z.unknown(),
  receivedAt: instant,
});
const statusTest = z.object({
  messageId: z.string().min(1).default('test'),
  status: z.string().min(1).default('delivered'),
  timestamp: instant,
});
const reminderTest = z.object({
  bookingId: z.string().min(1),
  salonId: z.string().min(1).default('default'),
  customerPhone: z.string().default(''),
  serviceDate: instant,
  serviceName: z.string().default(''),
  reminderType: z.string().min(1).default('day_before'),
});
const emailTest = z.object({
  to: z.email(),
  subject: z.string().min(1).optional(),
  template: z.string().default('booking_confirmation'),
  data: z.record(z.string(), z.unknown()).default({
    customerName: 'Test',
    serviceName: 'Test',
    serviceDate: '2027-01-31T09:30:00Z',
  }),
});

function parse<S extends z.ZodType>(schema: S, data: unknown): z.output<S> {
  const parsed = schema.safeParse(data, { reportInput: true });
  if (parsed.success) return parsed.data;
  const [violation] = describeViolations(parsed.error, 'data');
  throw new AppError('REQUEST_INVALID', {
    field: violation?.field ?? 'data',
    detail: violation?.sentence ?? 'Correct the data.',
  });
}
