import type { PlannedReminder } from '../record/index.ts';
import { clockOf, daysBefore, quietAround, type QuietHours } from './local-time.ts';

const MINUTE_MS = 60_000;
/** A reminder that quiet hours move later still comes this long before the booking, or it moves earlier. */
const LEAD_MS_MIN = 15 * MINUTE_MS;

/** The time of a booking and the customer's clock. */
export interface BookingTime {
  readonly startsAtMs: number;
  readonly startsAtWritten: string;
  readonly timeZone: string | null;
}

/** Minutes before the booking of `90m`; null for another word. */
function minutesOf(kind: string): number | null {
  const match = /^(\d{1,6})m$/.exec(kind);
  return match === null ? null : Number(match[1]);
}

/**
 * When a reminder is due: `day_before` at the booking's own time of day on the customer's clock, `hour_before` and
 * `90m` by the minutes. In quiet hours it moves to their end; when that is too close to the booking, to the minute
 * before they begin. One whose time has passed is skipped: a reminder "a day before" makes no sense an hour before.
 */
export function planReminder(
  kind: string,
  time: BookingTime,
  quiet: QuietHours | null,
  nowMs: number,
): PlannedReminder {
  const clock = clockOf(time.timeZone, time.startsAtWritten);
  const wantedMs =
    kind === 'day_before'
      ? daysBefore(time.startsAtMs, 1, clock)
      : time.startsAtMs - (kind === 'hour_before' ? 60 : (minutesOf(kind) ?? 0)) * MINUTE_MS;
  const silence = quietAround(wantedMs, quiet, clock);
  const dueAtMs =
    silence === null
      ? wantedMs
      : silence.toMs <= time.startsAtMs - LEAD_MS_MIN
        ? silence.toMs
        : silence.fromMs - MINUTE_MS;
  return { kind, dueAtMs, skippedBecause: dueAtMs <= nowMs ? 'its time had passed' : null };
}
