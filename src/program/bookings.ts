import type { Logger } from 'pino';
import { createBookings, parseQuietHours, type Bookings } from '../bookings/index.ts';
import type { Config } from '../config/index.ts';
import { hasCode } from '../errors/app-error.ts';
import type { QueueService } from '../jobs/index.ts';
import type { Reading } from '../messages/index.ts';
import type { WaxwingRecord } from '../record/index.ts';

/** Bookings over the record, their reminders in the job queue. */
export function openBookings(
  config: Config,
  record: WaxwingRecord,
  queues: QueueService,
  messages: Pick<Reading, 'cancel'>,
): Bookings {
  return createBookings({
    store: record.bookings,
    quietHours: parseQuietHours(config.quietHours),
    async withdraw(tenant, messageId) {
      try {
        await messages.cancel(messageId, { kind: 'tenant', tenant });
      } catch (error) {
        // It has gone already, or is being sent in this moment.
        if (!hasCode(error, 'CONFLICT', 'NOT_FOUND')) throw error;
      }
    },
    reminders: {
      async schedule(booking, kind, dueAtMs) {
        const { id: bookingId, tenant: salonId, customerPhone, serviceName, startsAtMs } = booking;
        const job = { bookingId, salonId, customerPhone, serviceName, serviceDate: startsAtMs, reminderType: kind };
        await queues.scheduleBookingReminder(job, dueAtMs);
      },
      async cancel(booking, kind) {
        await queues.cancelBookingReminder(booking.tenant, booking.id, kind);
      },
    },
  });
}

/** A reminder whose job was lost is put up again this often; it is seen two minutes ahead, so none comes late. */
const SWEEP_EVERY_MS = 60_000;

/** @returns what ends it */
export function startReminderSweep(bookings: Bookings, log: Logger): () => void {
  const sweep = () => {
    bookings.sweep().catch((error: unknown) => log.debug({ err: error }, 'reminders are looked through later'));
  };
  const timer = setInterval(sweep, SWEEP_EVERY_MS);
  timer.unref();
  sweep();
  return () => clearInterval(timer);
}
