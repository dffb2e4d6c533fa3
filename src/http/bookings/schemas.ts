import { z } from 'zod';
import { isTimeZone } from '../../bookings/index.ts';
import { senderIdSchema, tenantIdSchema } from '../../messages/request.ts';
import type { BookingRecord } from '../../record/index.ts';
import { pageQuery } from '../paging.ts';

const YEAR_MINUTES = 366 * 24 * 60;

export const bookingIdSchema = z
  .string()
  .regex(/^[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,99}$/, {
    error: 'It must have 1 to 100 characters: letters, digits and _ . @ + - (the first one a letter, digit or _).',
  })
  .describe('Your own id of the booking; made when it is left out.');

const reminderKind = z
  .union(
    [
      z.enum(['day_before', 'hour_before']),
      z
        .strictObject({ minutesBefore: z.int().min(1).max(YEAR_MINUTES) })
        .transform(({ minutesBefore }) => `${minutesBefore}m`),
    ],
    { error: `It must be day_before, hour_before, or {"minutesBefore": 1 … ${YEAR_MINUTES}}.` },
  )
  .describe('`day_before` (at the same time of day), `hour_before`, or `{minutesBefore}`.');

/** What a reminder says; checked like every message, once its texts are filled in. */
const reminderMessage = z
  .looseObject({ type: z.enum(['text', 'template']) })
  .describe(
    'A text or template as in POST /v1/messages. `{{ customerName }}`, `{{ serviceName }}`, `{{ date }}` and `{{ time }}` are filled in. Outside the 24-hour window WhatsApp takes templates only. Left out: a plain text.',
  );

const fields = {
  customerPhone: z.string().min(1).max(64).describe('E.164 with `+`.'),
  customerName: z.string().min(1).max(200).nullable(),
  serviceName: z.string().min(1).max(300),
  serviceDate: z.iso
    .datetime({
      offset: true,
      error: 'It must be an ISO 8601 time with a time zone, such as 2027-01-31T09:30:00+03:00.',
    })
    .describe('When the booking begins.'),
  timeZone: z
    .string()
    .max(64)
    .refine(isTimeZone, { error: 'It must be a time zone such as Asia/Riyadh or Europe/Berlin.' })
    .nullable()
    .describe("The customer's, IANA. Left out: the offset of serviceDate is the customer's clock."),
  sender: senderIdSchema.nullable(),
  reminders: z.array(reminderKind).max(10).describe('Default: one, `day_before`.'),
  message: reminderMessage.nullable(),
  locale: z
    .string()
    .regex(/^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$/, { error: 'It must be a language such as en, de or ar.' })
    .nullable(),
  metadata: z.record(z.string().max(200), z.unknown()).describe('Your own data.'),
};

export const bookingBody = z
  .strictObject({
    tenant: tenantIdSchema.optional(),
    id: bookingIdSchema.optional(),
    ...fields,
    customerName: fields.customerName.optional(),
    timeZone: fields.timeZone.optional(),
    sender: fields.sender.optional(),
    reminders: fields.reminders.default(['day_before']),
    message: fields.message.optional(),
    locale: fields.locale.optional(),
    metadata: fields.metadata.optional(),
  })
  .meta({ id: 'BookingRequest' });

export const bookingPatch = z.strictObject(fields).partial().extend({ tenant: tenantIdSchema.optional() });
export const bookingParams = z.object({ id: z.string().min(1).max(200) });
export const bookingScope = z.object({ tenant: tenantIdSchema.optional() });
export const bookingList = pageQuery.extend({
  tenant: tenantIdSchema.optional(),
  status: z.enum(['active', 'cancelled']).optional(),
  from: z.iso.datetime({ offset: true }).optional().describe('Bookings that begin at this time or later.'),
  to: z.iso.datetime({ offset: true }).optional().describe('Bookings that begin before this time.'),
});

const time = z.string().describe('ISO 8601, UTC');
export const bookingSchema = z
  .object({
    id: z.string(),
    tenant: z.string(),
    status: z.enum(['active', 'cancelled']),
    customerPhone: z.string(),
    customerName: z.string().nullable(),
    serviceName: z.string(),
    serviceDate: time,
    timeZone: z.string().nullable(),
    sender: z.string().nullable(),
    message: z.record(z.string(), z.unknown()).nullable(),
    locale: z.string().nullable(),
    metadata: z.record(z.string(), z.unknown()),
    reminders: z.array(
      z.object({
        kind: z.string().describe('`day_before`, `hour_before`, or minutes before: `90m`.'),
        dueAt: time.describe('Outside QUIET_HOURS.'),
        status: z.enum(['scheduled', 'sent', 'cancelled', 'skipped', 'failed']),
        reason: z.string().nullable().describe('Why it was skipped or failed.'),
        messageId: z.string().nullable(),
        sentAt: time.nullable(),
      }),
    ),
    lastRemindedAt: time.nullable(),
    cancelledAt: time.nullable(),
    createdAt: time,
    updatedAt: time,
  })
  .meta({ id: 'Booking' });

export function bookingView(booking: BookingRecord): z.output<typeof bookingSchema> {
  const { id, tenant, status, customerPhone, customerName, serviceName, timeZone, sender, locale } = booking;
  return {
    id,
    tenant,
    status,
    customerPhone,
    customerName,
    serviceName,
    serviceDate: iso(booking.startsAtMs),
    timeZone,
    sender,
    message: booking.message === null ? null : { ...booking.message },
    locale,
    metadata: { ...booking.metadata },
    reminders: booking.reminders.map(({ kind, dueAtMs, status, reason, messageId, sentAtMs }) => {
      return { kind, dueAt: iso(dueAtMs), status, reason, messageId, sentAt: sentAtMs === null ? null : iso(sentAtMs) };
    }),
    lastRemindedAt: booking.lastRemindedAtMs === null ? null : iso(booking.lastRemindedAtMs),
    cancelledAt: booking.cancelledAtMs === null ? null : iso(booking.cancelledAtMs),
    createdAt: iso(booking.createdAtMs),
    updatedAt: iso(booking.updatedAtMs),
  };
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
