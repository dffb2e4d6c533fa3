import { createHmac } from 'node:crypto';

export const APP_SECRET = 'app secret of the inbound tests';

let count = 0;

/** A wamid that no other message has. */
export function wamid(): string {
  count += 1;
  return `wamid.${process.pid}.${count}`;
}

/** One entry of `messages[]`. */
export function cloudMessage(more: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    id: wamid(),
    from: '4915112345678',
    timestamp: String(Math.floor(Date.now() / 1000)),
    type: 'text',
    text: { body: 'Is the table free?' },
    ...more,
  };
}

/** A webhook of one change. */
export function cloudBody(value: Record<string, unknown>, externalId = '100200300', field = 'messages'): string {
  const metadata = externalId === '' ? {} : { metadata: { phone_number_id: externalId } };
  return JSON.stringify({
    object: 'whatsapp_business_account',
    entry: [{ id: 'waba', changes: [{ field, value: { messaging_product: 'whatsapp', ...metadata, ...value } }] }],
  });
}

export function signatureOf(body: string | Buffer, secret = APP_SECRET): string {
  return `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`;
}
