import { Liquid } from 'liquidjs';
import type { BookingFields } from '../record/index.ts';
import { isTimeZone } from './local-time.ts';

const liquid = new Liquid({
  ownPropertyOnly: true,
  strictFilters: true,
  memoryLimit: 1e5,
  renderLimit: 200,
  parseLimit: 1e4,
});

const DEFAULT_TEXT: Readonly<Record<string, string>> = {
  en: 'Reminder: {{ serviceName }}, {{ date }} at {{ time }}.',
  de: 'Erinnerung: {{ serviceName }}, {{ date }} um {{ time }} Uhr.',
  ar: 'تذكير: {{ serviceName }}، {{ date }} الساعة {{ time }}.',
};

/**
 * What a reminder says: the booking's own message (text or template), or a text in its language. In every text of it
 * `{{ customerName }}`, `{{ serviceName }}`, `{{ date }}` and `{{ time }}` (the customer's clock) are filled in.
 * @throws Error of Liquid when a text has a fault
 */
export function reminderMessage(booking: BookingFields): Record<string, unknown> {
  const language = booking.locale?.split('-')[0]?.toLowerCase() ?? 'en';
  const message = booking.message ?? { type: 'text', text: { body: DEFAULT_TEXT[language] ?? DEFAULT_TEXT['en'] } };
  const data = {
    customerName: booking.customerName ?? '',
    serviceName: booking.serviceName,
    ...localTime(booking, language),
  };
  return filled(message, data) as Record<string, unknown>;
}

function localTime({ startsAtMs, startsAtWritten, timeZone }: BookingFields, language: string) {
  const isNamed = timeZone !== null && isTimeZone(timeZone);
  // Without a zone the clock on the wall is the one that the time was written with.
  const at = isNamed ? new Date(startsAtMs) : new Date(`${startsAtWritten.replace(/(Z|[+-]\d{2}:?\d{2})$/, '')}Z`);
  const zone = isNamed ? timeZone : 'UTC';
  const locale = language === 'ar' ? 'ar-u-nu-latn' : language === 'en' ? 'en-GB' : knownLocale(language);
  return {
    date: new Intl.DateTimeFormat(locale, { weekday: 'long', day: 'numeric', month: 'long', timeZone: zone }).format(
      at,
    ),
    time: new Intl.DateTimeFormat(locale, { hour: '2-digit', minute: '2-digit', timeZone: zone }).format(at),
  };
}

function knownLocale(language: string): string {
  try {
    return Intl.getCanonicalLocales(language)[0] ?? 'en-GB';
  } catch {
    return 'en-GB';
  }
}

function filled(value: unknown, data: Readonly<Record<string, unknown>>): unknown {
  if (typeof value === 'string')
    return value.includes('{') ? (liquid.parseAndRenderSync(value, data) as string) : value;
  if (Array.isArray(value)) return value.map((one) => filled(one, data));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, filled(inner, data)]));
}
