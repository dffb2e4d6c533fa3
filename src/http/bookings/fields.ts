import type { z } from 'zod';
import { AppError } from '../../errors/app-error.ts';
import { reminderRequest } from '../../jobs/index.ts';
import { parseRecipient } from '../../messages/content/index.ts';
import type { BookingFields } from '../../record/index.ts';
import type { bookingBody, bookingPatch } from './schemas.ts';

/** What a new booking's request says of it. */
export function fieldsOf(body: z.output<typeof bookingBody>): BookingFields {
  return {
    customerPhone: body.customerPhone,
    customerName: body.customerName ?? null,
    serviceName: body.serviceName,
    ...startOf(body.serviceDate),
    timeZone: body.timeZone ?? null,
    sender: body.sender ?? null,
    message: body.message ?? null,
    locale: body.locale ?? null,
    metadata: body.metadata ?? {},
  };
}

/** What a change's request gives; the rest stays as it is. */
export function changeOf(body: z.output<typeof bookingPatch>): Partial<BookingFields> {
  const { customerPhone, customerName, serviceName, timeZone, sender, message, locale, metadata, serviceDate } = body;
  const given = Object.entries({
    customerPhone,
    customerName,
    serviceName,
    timeZone,
    sender,
    message,
    locale,
    metadata,
    ...(serviceDate === undefined ? {} : startOf(serviceDate)),
  }).filter(([, value]) => value !== undefined);
  return Object.fromEntries(given);
}

/**
 * A reminder that could not be sent is refused now, not on the day before the booking.
 * @throws AppError `REQUEST_INVALID`, or what the message would be refused with
 */
export function assertUsable(tenant: string, fields: BookingFields): void {
  const recipient = parseRecipient(fields.customerPhone);
  if (!recipient.ok) throw new AppError('REQUEST_INVALID', { field: 'customerPhone', detail: recipient.sentence });
  try {
    reminderRequest({ ...fields, tenant, id: 'new', status: 'active' }, 'day_before');
  } catch (error) {
    if (error instanceof AppError) {
      const field = error.field === undefined ? 'message' : `message.${error.field}`;
      throw new AppError(error.code, { field, detail: error.detail, cause: error });
    }
    // Liquid's own words name the place in the text.
    const words = error instanceof Error ? error.message.split('\n')[0] : 'It cannot be read.';
    throw new AppError('REQUEST_INVALID', {
      field: 'message',
      detail: `The text has a fault: ${words ?? ''}`,
      cause: error,
    });
  }
}

function startOf(serviceDate: string) {
  return { startsAtMs: Date.parse(serviceDate), startsAtWritten: serviceDate };
}
