import { Liquid } from 'liquidjs';
import { AppError } from '../errors/app-error.ts';
import { HTML_LAYOUT, TEXT_LAYOUT } from './layout.ts';
import {
  MAIL_LOCALES,
  MAIL_TEMPLATES,
  MAIL_TEXTS,
  REQUIRED_DATA,
  type MailLocale,
  type MailTemplate,
  type MailTexts,
} from './texts.ts';

export interface RenderedMail {
  readonly subject: string;
  readonly html: string;
  readonly text: string;
  readonly locale: MailLocale;
}

export interface MailRequest {
  readonly template: string;
  readonly data: Readonly<Record<string, unknown>>;
  /** BCP 47; its language decides, and what is not there becomes English. */
  readonly locale?: string | undefined;
  /** Instead of the template's own. */
  readonly subject?: string | null | undefined;
}

/** Longest value that goes into an e-mail; bounds what one job can cost. */
const VALUE_CHARACTERS_MAX = 2000;
const SUBJECT_CHARACTERS_MAX = 250;
/** Digits as in the rest of the page, also where a language has its own. */
const DATE_LOCALES: Readonly<Record<MailLocale, string>> = { en: 'en-GB', de: 'de-DE', ar: 'ar-u-nu-latn' };

// No file is read and nothing but the given data is seen; limits stop a value that tries to be a program.
const limits = { ownPropertyOnly: true, strictFilters: true, memoryLimit: 1e6, renderLimit: 1000, parseLimit: 1e5 };
const plain = new Liquid(limits);
const escaping = new Liquid({ ...limits, outputEscape: 'escape' });
plain.registerFilter('moment', function (value: unknown) {
  const { locale, timeZone } = this.context.getAll() as { locale: MailLocale; timeZone?: unknown };
  return momentOf(value, locale, timeZone);
});
const htmlLayout = escaping.parse(HTML_LAYOUT);
const textLayout = plain.parse(TEXT_LAYOUT);

function isMailTemplate(name: string): name is MailTemplate {
  return (MAIL_TEMPLATES as readonly string[]).includes(name);
}

/** The language of a tag that there are texts in: `de-AT` → `de`, `fr` → `en`. */
function mailLocale(tag: string | undefined): MailLocale {
  const language = tag?.split(/[-_]/)[0]?.toLowerCase();
  return MAIL_LOCALES.find((one) => one === language) ?? 'en';
}

/** @throws AppError `REQUEST_INVALID` that lists the templates */
export function mailTemplateNamed(name: string): MailTemplate {
  if (isMailTemplate(name)) return name;
  const detail = `There is no such e-mail template. Those that exist: ${MAIL_TEMPLATES.join(', ')}.`;
  throw new AppError('REQUEST_INVALID', { field: 'template', detail });
}

/**
 * Makes subject, HTML and text of an e-mail. Values of `data` are escaped; `serviceDate` is shown in `data.timeZone`
 * (IANA), else as it was written.
 * @throws AppError `REQUEST_INVALID` for an unknown template or data that the template cannot do without
 */
export function renderMail(request: MailRequest): RenderedMail {
  const template = mailTemplateNamed(request.template);
  for (const name of REQUIRED_DATA[template]) {
    const value = request.data[name];
    if (value !== undefined && value !== null && value !== '') continue;
    throw new AppError('REQUEST_INVALID', { field: `data.${name}`, detail: `The template ${template} needs it.` });
  }
  const locale = mailLocale(request.locale);
  const data: Record<string, unknown> = { ...shortened(request.data), locale };
  const texts = textsOf(MAIL_TEXTS[locale][template], data);
  if (template === 'password_reset' && texts.action === null) {
    throw new AppError('REQUEST_INVALID', { field: 'data.resetUrl', detail: 'It must be an http or https address.' });
  }
  const subject = oneLine(request.subject ?? texts.subject);
  const isRtl = locale === 'ar';
  const scope = {
    ...texts,
    subject,
    locale,
    dir: isRtl ? 'rtl' : 'ltr',
    start: isRtl ? 'right' : 'left',
    salonName: template === 'salon_welcome' ? '' : data['salonName'],
  };
  const html = escaping.renderSync(htmlLayout, scope) as string;
  const text = plain.renderSync(textLayout, scope) as string;
  return { subject, html, text: text.replace(/\n{3,}/g, '\n\n').trim() + '\n', locale };
}

/** All texts of an e-mail with the values put in: plain text, to be escaped where it goes into HTML. */
function textsOf(texts: MailTexts, data: Readonly<Record<string, unknown>>) {
  const fill = (source: string) => (plain.parseAndRenderSync(source, data) as string).trim();
  const facts = texts.facts.map(([label, value]) => [label, fill(value)] as const).filter(([, value]) => value !== '');
  const url = texts.action === null ? '' : fill(texts.action.url);
  return {
    subject: fill(texts.subject),
    heading: fill(texts.heading),
    opening: texts.opening.map(fill),
    facts,
    action: texts.action !== null && isWebAddress(url) ? { label: texts.action.label, url } : null,
    closing: texts.closing.map(fill),
  };
}

function shortened(data: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const kept: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(data)) {
    if (typeof value === 'string') kept[name] = value.slice(0, VALUE_CHARACTERS_MAX);
    else if (typeof value === 'number' || typeof value === 'boolean') kept[name] = value;
  }
  return kept;
}

/** A line break in a subject would begin another header. */
function oneLine(text: string): string {
  return text.replace(/[\p{Cc}\u2028\u2029]+/gu, ' ').slice(0, SUBJECT_CHARACTERS_MAX);
}

function isWebAddress(text: string): boolean {
  return URL.canParse(text) && ['http:', 'https:'].includes(new URL(text).protocol);
}

/** `2027-01-31T09:30:00+03:00` in words. Without a time zone, or an offset, the clock is the one that the time was written with. */
function momentOf(value: unknown, locale: MailLocale, timeZone: unknown): string {
  const text = typeof value === 'string' ? value : '';
  const written = /^(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?)(Z|[+-]\d{2}:?\d{2})?$/.exec(text);
  if (written === null) return text;
  // Without an offset it is what the clock on the wall shows, and no zone moves it.
  const isMoment = written[2] !== undefined;
  const zone = isMoment && typeof timeZone === 'string' && isTimeZone(timeZone) ? timeZone : null;
  const date = new Date(zone === null ? `${written[1] ?? ''}Z` : text);
  if (Number.isNaN(date.getTime())) return text;
  const format = new Intl.DateTimeFormat(DATE_LOCALES[locale], {
    weekday: 'long',
    day: 'numeric',
    month: 'long',
    year: 'numeric',
    hour: '2-digit',
    minute: '2-digit',
    timeZone: zone ?? 'UTC',
  });
  return format.format(date);
}

function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name });
    return true;
  } catch {
    return false;
  }
}
