import { createHmac } from 'node:crypto';
import { displayPhoneNumber } from './numbers.ts';
import type { Settings } from './settings.ts';

/** One update on its way to the client: a status or a customer's message. */
export interface Update {
  readonly phoneNumberId: string;
  readonly kind: 'statuses' | 'messages';
  readonly value: Record<string, unknown>;
  /** Entry of `contacts` that belongs to it, or null. */
  readonly contact: Record<string, unknown> | null;
}

/** The envelope of one POST: updates of one number and kind share a change, in their order. */
export function webhookPayload(updates: readonly Update[], settings: Settings): unknown {
  const changes = new Map<string, { phoneNumberId: string; kind: Update['kind']; updates: Update[] }>();
  for (const update of updates) {
    const key = `${update.phoneNumberId}|${update.kind}`;
    const change = changes.get(key);
    if (change) change.updates.push(update);
    else changes.set(key, { phoneNumberId: update.phoneNumberId, kind: update.kind, updates: [update] });
  }
  return {
    object: 'whatsapp_business_account',
    entry: [
      {
        id: settings.businessAccountId,
        changes: [...changes.values()].map((change) => ({
          value: {
            messaging_product: 'whatsapp',
            metadata: {
              display_phone_number: displayPhoneNumber(settings, change.phoneNumberId).replace(/\D/g, ''),
              phone_number_id: change.phoneNumberId,
            },
            ...contactsOf(change.updates),
            [change.kind]: change.updates.map((update) => update.value),
          },
          field: 'messages',
        })),
      },
    ],
  };
}

function contactsOf(updates: readonly Update[]): { contacts?: unknown[] } {
  const contacts = new Map<string, unknown>();
  for (const { contact } of updates) if (contact) contacts.set(String(contact['wa_id'] ?? contact['user_id']), contact);
  return contacts.size > 0 ? { contacts: [...contacts.values()] } : {};
}

/**
 * JSON as Meta writes it: everything beyond ASCII as lower-case `\u00e4`, and `/` as `\/`. The signature is over
 * these bytes, so a receiver that parses and serialises before it checks will fail, as it would in production.
 */
export function escapedJson(payload: unknown): string {
  return JSON.stringify(payload).replace(/[/\u007f-\uffff]/g, (char) =>
    char === '/' ? '\\/' : `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** Value of `X-Hub-Signature-256` for exactly these bytes. */
export function signature(body: string, appSecret: string): string {
  return `sha256=${createHmac('sha256', appSecret).update(body).digest('hex')}`;
}
