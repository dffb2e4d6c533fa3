import { AppError } from '../errors/app-error.ts';

/**
 * A point in time as callers have it at hand: a Date, ISO 8601, or a number of milliseconds or seconds since 1970, also
 * as text, as WhatsApp writes it in its webhooks. Below 100,000,000,000 it counts seconds.
 */
export type Instant = Date | string | number;

/** As milliseconds that would be March 1973, before anybody sent anything. */
const SECONDS_BELOW = 100_000_000_000;

/** ISO 8601. @throws AppError `REQUEST_INVALID` that names the field */
export function isoOf(value: Instant, field: string): string {
  const count = typeof value === 'number' || /^\d+$/.test(String(value)) ? Number(value) : null;
  const date = count === null ? new Date(value) : new Date(count < SECONDS_BELOW ? count * 1000 : count);
  if (Number.isNaN(date.getTime())) {
    throw new AppError('REQUEST_INVALID', { field, detail: 'It must be a time, such as 2027-01-31T09:30:00Z.' });
  }
  return date.toISOString();
}
