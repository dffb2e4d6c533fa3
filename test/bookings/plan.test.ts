import { describe, expect, test } from 'vitest';
import { clockOf, quietAround } from '../../src/bookings/local-time.ts';
import { parseQuietHours, planReminder, reminderMessage } from '../../src/bookings/index.ts';

const at = (text: string) => Date.parse(text);
const time = (written: string, timeZone: string | null = null) => ({
  startsAtMs: at(written),
  startsAtWritten: written,
  timeZone,
});
const LONG_AGO = at('2026-01-01T00:00:00Z');
const due = (kind: string, written: string, options: { zone?: string; quiet?: string; now?: number } = {}) => {
  const quiet = parseQuietHours(options.quiet);
  const plan = planReminder(kind, time(written, options.zone ?? null), quiet, options.now ?? LONG_AGO);
  return plan.skippedBecause ?? new Date(plan.dueAtMs).toISOString();
};

describe('when a reminder is due', () => {
  test.each([
    ['day_before', '2027-02-02T10:30:00+03:00', {}, '2027-02-01T07:30:00.000Z'],
    ['hour_before', '2027-02-02T10:30:00+03:00', {}, '2027-02-02T06:30:00.000Z'],
    ['90m', '2027-02-02T10:30:00Z', {}, '2027-02-02T09:00:00.000Z'],
    // The clocks go forward in the night between: the same time of day is 23 hours earlier.
    ['day_before', '2027-03-28T10:00:00+02:00', { zone: 'Europe/Berlin' }, '2027-03-27T09:00:00.000Z'],
    // And back: 25 hours.
    ['day_before', '2027-10-31T10:00:00+01:00', { zone: 'Europe/Berlin' }, '2027-10-30T08:00:00.000Z'],
    // 02:30 does not exist the day before: half past three.
    ['day_before', '2027-03-29T02:30:00+02:00', { zone: 'Europe/Berlin' }, '2027-03-28T01:30:00.000Z'],
    // 02:30 comes twice the day before: the second one, 24 hours ahead.
    ['day_before', '2027-11-01T02:30:00+01:00', { zone: 'Europe/Berlin' }, '2027-10-31T01:30:00.000Z'],
    // The same west of Greenwich: neither an hour early, nor the first of the two.
    ['day_before', '2027-03-15T02:30:00-04:00', { zone: 'America/New_York' }, '2027-03-14T07:30:00.000Z'],
    ['day_before', '2027-11-08T01:30:00-05:00', { zone: 'America/New_York' }, '2027-11-07T06:30:00.000Z'],
    // Minutes are minutes, also over a change.
    ['120m', '2027-03-28T04:00:00+02:00', { zone: 'Europe/Berlin' }, '2027-03-28T00:00:00.000Z'],
    // Half an hour of change, on the other side of the world.
    ['day_before', '2027-04-04T10:00:00+10:30', { zone: 'Australia/Lord_Howe' }, '2027-04-02T23:00:00.000Z'],
  ])('%s of %s', (kind, written, options, expected) => {
    expect(due(kind, written, options)).toBe(expected);
  });

  test.each([
    // 22:00 the day before is in the quiet hours; 08:00 is still long before the booking.
    ['day_before', '2027-02-02T22:00:00+03:00', '2027-02-02T05:00:00.000Z'],
    // 07:30 moves to 08:00, half an hour before.
    ['hour_before', '2027-02-02T08:30:00+03:00', '2027-02-02T05:00:00.000Z'],
    // 08:00 would be the booking itself: the minute before the quiet hours of the evening before.
    ['hour_before', '2027-02-02T08:00:00+03:00', '2027-02-01T17:59:00.000Z'],
    // The end of the quiet hours is not in them.
    ['hour_before', '2027-02-02T09:00:00+03:00', '2027-02-02T05:00:00.000Z'],
    ['hour_before', '2027-02-02T21:59:00+03:00', '2027-02-02T17:59:00.000Z'],
  ])('%s of %s stays out of the quiet hours 21:00-08:00 of the customer', (kind, written, expected) => {
    expect(due(kind, written, { quiet: '21:00-08:00' })).toBe(expected);
  });

  test.each([
    // The night is an hour shorter, and the morning comes when the clock says so.
    ['hour_before', '2027-03-28T08:30:00+02:00', '2027-03-28T06:00:00.000Z'],
    // And an hour longer: 07:00 is in it.
    ['hour_before', '2027-10-31T08:30:00+01:00', '2027-10-31T07:00:00.000Z'],
    // Too close to the booking: the evening before, which has another offset.
    ['hour_before', '2027-03-28T08:10:00+02:00', '2027-03-27T19:59:00.000Z'],
  ])('%s of %s in a night in which the clocks change', (kind, written, expected) => {
    expect(due(kind, written, { zone: 'Europe/Berlin', quiet: '21:00-08:00' })).toBe(expected);
  });

  test("quiet hours are those of the customer's clock, not of the server", () => {
    const plan = (zone: string) => due('hour_before', '2027-02-02T06:00:00Z', { zone, quiet: '21:00-08:00' });
    expect(plan('Asia/Tokyo')).toBe('2027-02-02T05:00:00.000Z');
    expect(plan('Europe/London')).toBe('2027-02-01T20:59:00.000Z');
  });

  test.each([
    ['Europe/Berlin', '2027-03-27T12:00Z'],
    ['Europe/Berlin', '2027-10-30T12:00Z'],
    ['America/New_York', '2027-03-13T12:00Z'],
    ['America/New_York', '2027-11-06T12:00Z'],
    ['Australia/Lord_Howe', '2027-04-03T00:00Z'],
    ['Asia/Riyadh', '2027-04-03T00:00Z'],
  ])('quiet hours end after every moment that is in them, in %s from %s on', (zone, from) => {
    const clock = clockOf(zone, '');
    for (const ends of ['01:30', '02:00', '02:15', '02:30', '03:00', '08:00']) {
      const quiet = parseQuietHours(`21:00-${ends}`);
      for (let minute = 0; minute < 2 * 24 * 60; minute += 10) {
        const atMs = at(from) + minute * 60_000;
        const silence = quietAround(atMs, quiet, clock);
        if (silence !== null) expect(silence.toMs, `${ends} ${new Date(atMs).toISOString()}`).toBeGreaterThan(atMs);
      }
    }
  });

  test('a reminder whose time has passed is skipped, not sent at once', () => {
    expect(due('day_before', '2027-02-02T10:30:00Z', { now: at('2027-02-02T09:00:00Z') })).toBe('its time had passed');
  });
});

describe('what a reminder says', () => {
  const booking = {
    ...time('2027-02-02T10:30:00+03:00'),
    customerPhone: '+966500000001',
    customerName: 'Sara',
    serviceName: 'Haircut',
    sender: null,
    message: null,
    locale: null,
    metadata: {},
  };

  test.each([
    [null, null, 'Reminder: Haircut, Tuesday 2 February at 10:30.'],
    ['de', 'Europe/Berlin', 'Erinnerung: Haircut, Dienstag, 2. Februar um 08:30 Uhr.'],
  ])('in the language %s on the clock of %s', (locale, timeZone, expected) => {
    expect(reminderMessage({ ...booking, locale, timeZone })).toEqual({ type: 'text', text: { body: expected } });
  });

  test("the tenant's own template gets the booking's words", () => {
    const components = [{ type: 'body', parameters: [{ type: 'text', text: '{{ customerName }} {{ time }}' }] }];
    const message = { type: 'template', template: { name: 'reminder', language: { code: 'en' }, components } };
    expect(reminderMessage({ ...booking, message })).toMatchObject({
      template: { components: [{ parameters: [{ text: 'Sara 10:30' }] }] },
    });
  });
});
