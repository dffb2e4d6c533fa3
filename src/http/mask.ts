/*
 * What those read who may not see what people wrote or are called by: numbers keep their last two digits, texts tell
 * their length. It is done on the way out; what is kept is whole. (What a provider said was made fit for logs before it
 * was kept, by `redact()` of the providers, and keeps no digit.)
 */

/** Plus and at least eight digits, also with what people put between them. */
const PHONE = /\+?\d(?:[ ().-]?\d){7,14}(?![\w-])/g;
const EMAIL = /[^\s@<>"']+@[^\s@<>"']+\.[^\s@<>"']+/g;

/**
 * Fields whose values are shown: ids, words of ours and times. Everything else that is text is hidden, whatever field
 * it stands in; a new field is hidden until it is named here.
 */
const SHOWN = new Set(
  (
    'id type kind status state template locale provider sender tenant salonId conversation bookingId reminderType ' +
    'reminderId receivedAt timestamp serviceDate event outcome object field entry code providerCode messageId ' +
    'providerMessageId createdAt sentAt deliveredAt readAt sendAt expiresAt why sent hold title reminder'
  ).split(' '),
);

/** A text of ours (an error, a log line, an id) without numbers and addresses of people. */
export function maskText(text: string): string {
  return text.replace(EMAIL, '•••@•••').replace(PHONE, maskNumber);
}

/** A text that a person wrote: how long it is. */
export function maskWords(text: string): string {
  return text === '' ? text : `[${text.length} characters]`;
}

/** A field that names a person, by a number of any length, a user id or a name. */
export function maskPerson(text: string): string {
  return /^\+?[\d ().-]+$/.test(text) ? maskNumber(text) : '•••••';
}

function maskNumber(number: string): string {
  return `•••••${number.slice(-2)}`;
}

/** Data that may hold what a person wrote: of a job, an event or a message. The shape stays. */
export function maskData(value: unknown, key = ''): unknown {
  if (Array.isArray(value)) return value.map((one) => maskData(one, key));
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, maskData(inner, name)]));
  }
  if (typeof value !== 'string') return value;
  if (SHOWN.has(key) && isPlainWord(value)) return value;
  return /^\+?[\d ().-]{8,20}$/.test(value) ? maskNumber(value) : maskWords(value);
}

/** No bare phone number: some providers use them as ids. Our ids and times hold letters. */
function isPlainWord(value: string): boolean {
  return value.length <= 200 && !/^\+?[\d ().]{8,20}$/.test(value) && !value.includes('@');
}

/** Data in words of ours, such as an error: its strings without numbers and addresses of people. The shape stays. */
export function maskNumbers(value: unknown): unknown {
  if (typeof value === 'string') return maskText(value);
  if (Array.isArray(value)) return value.map(maskNumbers);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, maskNumbers(inner)]));
}

/** A message of any direction. */
export function maskMessage<M extends { readonly type: string; readonly conversation: string }>(message: M): M {
  const hidden: Record<string, unknown> = { ...message, conversation: maskText(message.conversation) };
  for (const name of ['to', 'recipient', 'name', 'phone']) {
    if (typeof hidden[name] === 'string') hidden[name] = maskPerson(hidden[name]);
  }
  for (const name of [message.type, 'metadata', 'context', 'referral']) {
    if (name in hidden) hidden[name] = maskData(hidden[name]);
  }
  if (hidden['error'] !== undefined) hidden['error'] = maskNumbers(hidden['error']);
  return hidden as M;
}

/** What may be missing stays missing. */
export function orNull(text: string | null, mask: (text: string) => string): string | null {
  return text === null ? null : mask(text);
}
