import type { Logger } from 'pino';
import { createBookings, parseQuietHours, type Bookings, type BookingsOptions } from '../bookings/index.ts';
import type { Config } from '../config/index.ts';
import { hasCode } from '../errors/app-error.ts';
import type { QueueService } from '../jobs/index.ts';
import { isSettled, type Reading } from '../messages/index.ts';
import type { WaxwingRecord } from '../record/index.ts';

/** Bookings over the record, their reminders in the job queue. */
export function openBookings(
  config: Config,
  record: WaxwingRecord,
  queues: QueueService,
  messages: Pick<Reading, 'cancel' | 'get'>,
): Bookings {
  return createBookings({
    store: record.bookings,
    quietHours: parseQuietHours(config.quietHours),
    withdraw: withdrawalBy(messages),
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

/** Takes messages back from the send engine. */
export function withdrawalBy(messages: Pick<Reading, 'cancel' | 'get'>): BookingsOptions['withdraw'] {
  return async (tenant, messageId) => {
    const principal = { kind: 'tenant', tenant } as const;
    try {
      await messages.cancel(messageId, principal);
      return true;
    } catch (error) {
      if (hasCode(error, 'NOT_FOUND')) return true;
      if (!hasCode(error, 'CONFLICT')) throw error;
    }
    // It has ended, or is being sent in this moment.
    return isSettled((await messages.get(messageId, principal)).status);
  };
}

/** A reminder whose job was lost is put up again this often; it is seen two minutes ahead, so none comes late. */
const SWEEP_EVERY_MS = 60_000;
/** A message that is owed to be withdrawn may go any moment once the send engine is back. */
const WITHDRAW_EVERY_MS = 1000;

/** @returns what ends it */
export function startBookingSweeps(bookings: Bookings, log: Logger): () => void {
  const every = (ms: number, work: () => Promise<unknown>, whenLater: string) => {
    let isAtIt = false;
    const turn = () => {
      if (isAtIt) return;
      isAtIt = true;
      work()
        .catch((error: unknown) => log.debug({ err: error }, whenLater))
        .finally(() => (isAtIt = false));
    };
    const timer = setInterval(turn, ms);
    timer.unref();
    turn();
    return () => clearInterval(timer);
  };
  const ends = [
    every(SWEEP_EVERY_MS, () => bookings.sweep(), 'reminders are looked through later'),
    every(WITHDRAW_EVERY_MS, () => bookings.withdrawOwed(), 'reminders are withdrawn later'),
  ];
  return () => ends.forEach((end) => end());
}
