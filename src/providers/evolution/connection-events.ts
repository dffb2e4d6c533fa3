import type { ProviderEvent } from '../events.ts';
import { asText, asWholeNumber } from '../json.ts';
import type { Context } from './inbound.ts';

type Item = Readonly<Record<string, unknown>>;

/** Baileys' reasons for a closed connection, in words. */
const REASONS: Readonly<Record<number, string>> = {
  401: 'logged out: scan the QR code again',
  402: 'WhatsApp refuses the account',
  403: 'WhatsApp has banned or restricted the account',
  406: 'WhatsApp refuses the client',
  408: 'connection lost or timed out',
  411: 'multi-device mismatch',
  428: 'connection closed',
  440: 'replaced by another session',
  500: 'bad session',
  503: 'WhatsApp unavailable',
  515: 'restart needed',
};

/** `connection.update`: the instance can send only while it is open. The server reconnects by itself where it can. */
export function connectionEvent(data: Item, { instance, orderMs }: Context): ProviderEvent {
  const state = asText(data['state'], 32)?.toLowerCase() ?? 'unknown';
  const status = asWholeNumber(data['statusReason']);
  const known = status === null ? undefined : REASONS[status];
  return {
    kind: 'sender',
    externalSenderId: instance,
    accountId: null,
    state: stateOf(state),
    event: `connection.update ${state}`,
    // 200 is what servers write when nothing is wrong.
    reason: status === null || status === 200 ? null : `${status}${known === undefined ? '' : `: ${known}`}`,
    atMs: orderMs,
  };
}

/** `status.instance`, `logout.instance`, `remove.instance`: the instance was closed by somebody. */
export function instanceEvent(data: Item, { instance, orderMs }: Context): ProviderEvent {
  const status = asText(data['status'], 32)?.toLowerCase() ?? 'removed';
  const state = status === 'open' ? 'usable' : 'paused';
  return {
    kind: 'sender',
    externalSenderId: instance,
    accountId: null,
    state,
    event: `instance ${status}`,
    reason: state === 'paused' ? 'the instance was logged out or removed' : null,
    atMs: orderMs,
  };
}

function stateOf(state: string): 'usable' | 'paused' | 'unchanged' {
  if (state === 'open') return 'usable';
  return state === 'close' || state === 'refused' ? 'paused' : 'unchanged';
}
