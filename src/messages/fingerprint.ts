import { hash } from 'node:crypto';
import { parseRecipient } from './content/index.ts';

/** JSON with its keys in order, so that equal values give equal texts. Input: plain JSON of bounded depth. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map((item) => canonicalJson(item)).join(',')}]`;
  if (typeof value === 'object' && value !== null) {
    const parts = Object.entries(value)
      .filter(([, item]) => item !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
      .map(([key, item]) => `${JSON.stringify(key)}:${canonicalJson(item)}`);
    return `{${parts.join(',')}}`;
  }
  return JSON.stringify(value ?? null);
}

/** SHA-256 over what a request means: the same under the same idempotency key, or the key is refused. */
export function digestOf(value: unknown): Buffer {
  return hash('sha256', canonicalJson(value), 'buffer');
}

/**
 * Key of content de-duplication: `whatsapp:<phone>:<16 hex>`, the same for the same recipient, text and type.
 * @param phone the recipient as it is addressed: a phone number however it is written, or a business-scoped user id
 */
export function generateIdempotencyKey(phone: string, text: string, options: { readonly type?: string } = {}): string {
  const parsed = parseRecipient(phone);
  const to = parsed.ok ? parsed.e164 : phone;
  const digest = hash('sha256', JSON.stringify([to, text, options.type ?? 'text']), 'hex');
  return `whatsapp:${to}:${digest.slice(0, 16)}`;
}
