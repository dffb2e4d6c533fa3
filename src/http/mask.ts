import { maskData, maskText } from './board/mask.ts';

/** Strings anywhere in a value, without numbers and addresses of people; the shape stays. */
export function maskNumbers(value: unknown): unknown {
  if (typeof value === 'string') return maskText(value);
  if (Array.isArray(value)) return value.map(maskNumbers);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, maskNumbers(inner)]));
}

/**
 * A message of any direction without what people wrote or are called by: numbers keep their last two digits, texts
 * tell their length.
 */
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

/** A number, a user id or a name. */
export function maskPerson(text: string): string {
  return /^\+?[\d ().-]+$/.test(text) ? `•••••${text.slice(-2)}` : '•••••';
}

/** A text that a person wrote: how long it is. */
export function maskWords(text: string): string {
  return text === '' ? text : `[${text.length} characters]`;
}
