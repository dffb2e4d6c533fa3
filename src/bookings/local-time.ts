/** A customer's clock: minutes that local time is ahead of UTC at a moment. */
export type Clock = (atMs: number) => number;

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;

export function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name });
    return true;
  } catch {
    return false;
  }
}

/** @param written a time with its offset, which is the clock when no zone is named */
export function clockOf(timeZone: string | null, written: string): Clock {
  if (timeZone !== null) return zoneClock(timeZone);
  const offset = /([+-])(\d{2}):?(\d{2})$/.exec(written);
  const minutes = offset === null ? 0 : Number(offset[2]) * 60 + Number(offset[3]);
  return () => (offset?.[1] === '-' ? -minutes : minutes);
}

function zoneClock(timeZone: string): Clock {
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone,
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  });
  return (atMs) => {
    const parts = Object.fromEntries(format.formatToParts(atMs).map(({ type, value }) => [type, Number(value)]));
    const of = (name: string) => parts[name] ?? 0;
    const localMs = Date.UTC(of('year'), of('month') - 1, of('day'), of('hour'), of('minute'), of('second'));
    return Math.round((localMs - Math.floor(atMs / 1000) * 1000) / MINUTE_MS);
  };
}

/** The moment at which the clock shows what it shows at `atMs`, some days earlier; a change of the clock is allowed for. */
export function daysBefore(atMs: number, days: number, clock: Clock): number {
  const wantedLocalMs = atMs + clock(atMs) * MINUTE_MS - days * DAY_MS;
  return fromLocal(wantedLocalMs, clock);
}

/**
 * The moment at which the clock shows `localMs` (local time read as if it were UTC): of one that comes twice the second,
 * for one that is skipped an hour later. So it lies behind every moment at which the clock shows less.
 */
export function fromLocal(localMs: number, clock: Clock): number {
  // No zone is a day from UTC, so these are the offsets before and after a change of the clocks near that time.
  const before = clock(localMs - DAY_MS);
  const after = clock(localMs + DAY_MS);
  const late = localMs - Math.min(before, after) * MINUTE_MS;
  const early = localMs - Math.max(before, after) * MINUTE_MS;
  const isShown = (atMs: number) => atMs + clock(atMs) * MINUTE_MS === localMs;
  return isShown(late) || !isShown(early) ? late : early;
}

/** Hours of a day, minutes after midnight; they may cross midnight. */
export interface QuietHours {
  readonly fromMinute: number;
  readonly toMinute: number;
}

/** `21:00-08:00`; undefined or equal ends = none. */
export function parseQuietHours(text: string | undefined): QuietHours | null {
  const match = /^(\d{2}):(\d{2})-(\d{2}):(\d{2})$/.exec(text ?? '');
  if (match === null) return null;
  const [fromHour, fromMinute, toHour, toMinute] = match.slice(1).map(Number) as [number, number, number, number];
  const quiet = { fromMinute: fromHour * 60 + fromMinute, toMinute: toHour * 60 + toMinute };
  return quiet.fromMinute === quiet.toMinute ? null : quiet;
}

/** The quiet time around a moment: when it began and when it ends; null when the moment is not in one. */
export function quietAround(atMs: number, quiet: QuietHours | null, clock: Clock) {
  if (quiet === null) return null;
  const localMs = atMs + clock(atMs) * MINUTE_MS;
  const midnightMs = Math.floor(localMs / DAY_MS) * DAY_MS;
  const minute = (localMs - midnightMs) / MINUTE_MS;
  const { fromMinute, toMinute } = quiet;
  const crosses = fromMinute > toMinute;
  const isIn = crosses ? minute >= fromMinute || minute < toMinute : minute >= fromMinute && minute < toMinute;
  if (!isIn) return null;
  const beganYesterday = crosses && minute < toMinute;
  const endsTomorrow = crosses && minute >= fromMinute;
  return {
    fromMs: fromLocal(midnightMs + fromMinute * MINUTE_MS - (beganYesterday ? DAY_MS : 0), clock),
    toMs: fromLocal(midnightMs + toMinute * MINUTE_MS + (endsTomorrow ? DAY_MS : 0), clock),
  };
}
