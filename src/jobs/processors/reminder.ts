import { reminderMessage, type Bookings } from '../../bookings/index.ts';
import { AppError } from '../../errors/app-error.ts';
import type { Messages } from '../../messages/index.ts';
import { messageRequestSchema, parseRequest } from '../../messages/request.ts';
import type { BookingRecord } from '../../record/index.ts';
import type { ReminderJobData } from '../data.ts';
import { JobLater } from '../outcome.ts';
import { PRIORITY } from '../queues.ts';
import type { JobProcessor } from '../workers.ts';

/** The message of a reminder, as the one door of all messages takes it. @throws AppError `REQUEST_INVALID` */
export function reminderRequest(
  booking: Omit<BookingRecord, 'reminders' | 'createdAtMs' | 'updatedAtMs' | 'lastRemindedAtMs' | 'cancelledAtMs'>,
  kind: string,
) {
  return parseRequest(messageRequestSchema, {
    ...reminderMessage(booking),
    tenant: booking.tenant,
    to: booking.customerPhone,
    ...(booking.sender === null ? {} : { sender: booking.sender }),
    priority: PRIORITY.reminder,
    // Never sent when the booking has begun, however long a limit holds it.
    expiresAt: new Date(booking.startsAtMs).toISOString(),
    metadata: { bookingId: booking.id, reminder: kind },
  });
}

/**
 * Sends the reminder of a booking that still exists and is active, through the send engine. Its idempotency key is made
 * of the booking, the kind and the booking's time: a job that runs again after a crash finds the first message, and
 * then writes the stamp that was missing.
 */
export function reminderProcessor(parts: {
  readonly bookings: Bookings;
  readonly messages: Pick<Messages, 'accept'>;
}): JobProcessor<ReminderJobData> {
  const { bookings, messages } = parts;
  return async (job) => {
    const { salonId, bookingId, reminderType } = job.data;
    const verdict = await bookings.judge(salonId, bookingId, reminderType);
    if (verdict.kind === 'later') throw new JobLater(verdict.atMs);
    if (verdict.kind === 'drop') {
      await job.log(`not sent: ${verdict.why}`);
      return { sent: false, why: verdict.why };
    }
    const { booking, dueAtMs } = verdict;
    try {
      const idempotencyKey = ['reminder', booking.id, reminderType, booking.startsAtMs]
        .map(encodeURIComponent)
        .join('/');
      const request = reminderRequest(booking, reminderType);
      const principal = { kind: 'tenant', tenant: booking.tenant } as const;
      const { message } = await messages.accept(request, principal, { idempotencyKey });
      if (!(await bookings.reminded(salonId, bookingId, reminderType, message.id, dueAtMs))) {
        await job.log(`withdrew message ${message.id}: the booking changed meanwhile`);
        return { sent: false, why: 'the booking changed meanwhile' };
      }
      await job.log(`sent as message ${message.id}`);
      return { sent: true, messageId: message.id };
    } catch (error) {
      if (error instanceof AppError && !error.retryable) {
        await bookings.endReminder(salonId, bookingId, reminderType, 'failed', error.code);
      }
      throw error;
    }
  };
}
