import type { MessageBody } from '../model/message.ts';

/** Fields of a message whose values people wrote or that name a person. */
const PERSONAL_FIELDS = new Set([
  'address',
  'body',
  'caption',
  'description',
  'display_text',
  'email',
  'fallback_value',
  'filename',
  'first_name',
  'formatted_name',
  'last_name',
  'link',
  'name',
  'phone',
  'text',
  'title',
  'url',
]);
/** Shorter values ("Yes", "1") would hide half of the provider's sentence and give nobody away. */
const HIDDEN_CHARACTERS_MIN = 6;
const DETAIL_CHARACTERS_MAX = 500;

/**
 * Makes a sentence of the provider fit for logs, errors and pages. Meta's texts may repeat a phone number, a
 * parameter's value or (error 190) the whole access token.
 * @param hidden values of this request that must not show, such as its texts
 * @returns at most 500 characters, on one line
 */
export function redact(text: string, hidden: readonly string[] = []): string {
  // The patterns below may take quadratic time, and the text is the provider's.
  let shown = text.slice(0, 2_000);
  for (const value of hidden) shown = shown.replaceAll(value, '[hidden]');
  // Tokens and wamids are long words with digits; names of templates and parameters are shorter or have none.
  return shown
    .replace(/[A-Za-z0-9_+/=.-]{32,}/g, (word) => (/\d/.test(word) ? '[hidden]' : word))
    .replace(/\+?\d[\d\s().-]{5,}\d/g, '[number]')
    .replace(/\s+/g, ' ')
    .trim()
    .slice(0, DETAIL_CHARACTERS_MAX);
}

/** The texts of a message that must not show in errors about it. */
export function personalValues(body: MessageBody): string[] {
  const found = new Set<string>();
  // A template's own name is no secret, and the error about it is useless without it.
  collect(body.type === 'template' ? withoutName(body.content) : body.content, '', found);
  if (body.to !== undefined) found.add(body.to).add(body.to.replace(/^\+/, ''));
  if (body.recipient !== undefined) found.add(body.recipient);
  return [...found].sort((a, b) => b.length - a.length);
}

function withoutName(content: unknown): unknown {
  return isObject(content) ? { ...content, name: undefined } : content;
}

function collect(value: unknown, field: string, found: Set<string>): void {
  if (typeof value === 'string') {
    if (PERSONAL_FIELDS.has(field) && value.length >= HIDDEN_CHARACTERS_MIN) found.add(value);
  } else if (Array.isArray(value)) {
    for (const item of value as unknown[]) collect(item, field, found);
  } else if (isObject(value)) {
    for (const [key, item] of Object.entries(value)) collect(item, key, found);
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
