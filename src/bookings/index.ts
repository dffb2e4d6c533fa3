export type { ReminderVerdict } from './judge.ts';
export { isTimeZone, parseQuietHours, type QuietHours } from './local-time.ts';
export { reminderMessage } from './message.ts';
export { planReminder } from './plan.ts';
export { createBookings, type Bookings, type BookingsOptions, type ReminderQueue } from './service.ts';
