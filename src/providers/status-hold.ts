import { asWholeNumber } from './json.ts';
import type { ProviderStatus } from './contract.ts';
import { entryFor, type ProviderErrorEntry } from './error-entry.ts';
import type { ProviderEvent } from './events.ts';

/**
 * A status, and what it tells of its sender: a failure that the error table answers by holding the sender holds it
 * also when a status reports it, after the provider had taken the message.
 */
export function withHold(status: ProviderStatus, lookUp: (code: number) => ProviderErrorEntry): ProviderEvent[] {
  const told: ProviderEvent[] = [{ kind: 'status', status }];
  const { error, externalSenderId, atMs } = status;
  const code = asWholeNumber(error?.providerCode);
  if (error === null || code === null) return told;
  const { class: errorClass, title } = entryFor(lookUp(code), error.detail);
  if (errorClass !== 'sender-pause' && errorClass !== 'credentials') return told;
  const event = `status ${code}`;
  return [...told, { kind: 'sender', externalSenderId, accountId: null, state: 'paused', event, reason: title, atMs }];
}
