import type { BookingRecord, ReminderRecord } from '../record/index.ts';
import { clockOf, quietAround, type QuietHours } from './local-time.ts';

/** What to do with a reminder whose job runs. */
export type ReminderVerdict =
  | { readonly kind: 'send'; readonly booking: BookingRecord; readonly reminder: ReminderRecord }
  /** The quiet hours began, or the booking was moved: not before then. */
  | { readonly kind: 'later'; readonly atMs: number }
  | { readonly kind: 'drop'; readonly why: string };

export interface Judgement {
  readonly verdict: ReminderVerdict;
  /** It is never sent any more: what the record is to say of it, in this generation. */
  readonly skipped?: { readonly reason: string; readonly generation: number };
}

/** A reminder may run this much before its time: clocks differ. */
const EARLY_MS = 1000;

/** @param booking as the record has it when the reminder's job runs; null = there is none */
export function judgeReminder(
  booking: BookingRecord | null,
  kind: string,
  nowMs: number,
  quietHours: QuietHours | null,
): Judgement {
  if (booking === null) return drop('the booking does not exist');
  if (booking.status !== 'active') return drop('the booking is cancelled');
  const reminder = booking.reminders.find((one) => one.kind === kind);
  if (reminder === undefined) return drop('the booking has no such reminder');
  if (reminder.status !== 'scheduled') return drop(`the reminder is ${reminder.status}`);
  const { generation } = reminder;
  if (reminder.dueAtMs > nowMs + EARLY_MS) return { verdict: { kind: 'later', atMs: reminder.dueAtMs } };
  if (booking.startsAtMs <= nowMs) {
    return { ...drop('the booking has begun'), skipped: { reason: 'the booking had begun', generation } };
  }
  const silence = quietAround(nowMs, quietHours, clockOf(booking.timeZone, booking.startsAtWritten));
  if (silence === null) return { verdict: { kind: 'send', booking, reminder } };
  if (silence.toMs < booking.startsAtMs) return { verdict: { kind: 'later', atMs: silence.toMs } };
  const reason = 'quiet hours lasted until the booking';
  return { ...drop('quiet hours last until the booking'), skipped: { reason, generation } };
}

function drop(why: string): Judgement {
  return { verdict: { kind: 'drop', why } };
}
