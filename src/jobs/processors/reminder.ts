import { reminderMessage, type Bookings } from '../../bookings/index.ts';
import { AppError } from '../../errors/app-error.ts';
import type { Messages } from '../../messages/index.ts';
import { messageRequestSchema, parseRequest } from '../../messages/request.ts';
import type { BookingRecord, ReminderRecord } from '../../record/index.ts';
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
 * Of the booking, the kind, the booking's time and the reminder's generation: a booking that is moved away and back
 * gets a message of its own, because the first one was withdrawn. The first generation goes without its number: so
 * wrote the versions that knew of none.
 */
function idempotencyKeyOf({ id, startsAtMs }: BookingRecord, { kind, generation }: ReminderRecord): string {
  const parts = ['reminder', id, kind, startsAtMs, ...(generation === 0 ? [] : [generation])];
  return parts.map(encodeURIComponent).join('/');
}

/**
 * Sends the reminder of a booking that still exists and is active, through the send engine. A job that runs again after
 * a crash finds the first message by its idempotency key, whatever the booking says by now, and then writes the stamp
 * that was missing.
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
    const { booking, reminder } = verdict;
    const { generation } = reminder;
    try {
      const idempotencyKey = idempotencyKeyOf(booking, reminder);
      const request = reminderRequest(booking, reminderType);
      const principal = { kind: 'tenant', tenant: booking.tenant } as const;
      const { message } = await messages.accept(request, principal, { idempotencyKey, isSameByKey: true });
      const judged = { generation, startsAtMs: booking.startsAtMs };
      if (!(await bookings.reminded(salonId, bookingId, reminderType, message.id, judged))) {
        await job.log(`withdrew message ${message.id}: the booking changed meanwhile`);
        return { sent: false, why: 'the booking changed meanwhile' };
      }
      await job.log(`sent as message ${message.id}`);
      return { sent: true, messageId: message.id };
    } catch (error) {
      if (error instanceof AppError && !error.retryable) {
        await bookings.endReminder(salonId, bookingId, reminderType, 'failed', error.code, generation);
      }
      throw error;
    }
  };
}
