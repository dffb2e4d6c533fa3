import type { MailLocale, MailTemplate } from './texts.ts';

const names: Readonly<
  Record<MailLocale, { customer: string; salon: string; service: string; staff: string; address: string }>
> = {
  en: {
    customer: 'Ada Lovelace',
    salon: 'Salon Aurora',
    service: 'Haircut & colour',
    staff: 'Grace',
    address: '12 Market Street',
  },
  de: {
    customer: 'Ada Müller',
    salon: 'Salon Aurora',
    service: 'Schneiden & Färben',
    staff: 'Greta',
    address: 'Marktstraße 12',
  },
  ar: { customer: 'سارة', salon: 'صالون أورورا', service: 'قص وصبغ', staff: 'ليلى', address: 'شارع السوق 12' },
};

/** Data to look at a template with. */
export function sampleData(template: MailTemplate, locale: MailLocale): Record<string, unknown> {
  const { customer, salon, service, staff, address } = names[locale];
  const common = { customerName: customer, salonName: salon };
  const booking = {
    ...common,
    serviceName: service,
    serviceDate: '2027-02-02T10:30:00',
    staffName: staff,
    salonAddress: address,
  };
  switch (template) {
    case 'booking_confirmation':
      return { ...booking, manageUrl: 'https://example.com/bookings/1' };
    case 'booking_cancelled':
      return { ...booking, bookingUrl: 'https://example.com/book' };
    case 'salon_welcome':
      return { ...common, email: 'owner@example.com', dashboardUrl: 'https://example.com/dashboard' };
    case 'password_reset':
      return { ...common, resetUrl: 'https://example.com/reset/abc', expiresInMinutes: 30 };
  }
}
