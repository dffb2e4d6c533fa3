import { UnreadableItem } from '../collector.ts';
import type { ProviderStatus } from '../contract.ts';
import type { ProviderEvent } from '../events.ts';
import { asArray, asObject, asText, asWholeNumber } from '../json.ts';
import { restOf, type StatusFields } from '../status-rest.ts';
import { tableFailure } from '../table-error.ts';
import { keyOf } from './addresses.ts';
import { EVOLUTION_ERRORS } from './error-table.ts';
import { secondsOf, type Context } from './inbound.ts';

type Item = Readonly<Record<string, unknown>>;

/** Words and numbers of WhatsApp's acknowledgements, and those of the Cloud channel. */
const STATUSES: Readonly<Record<string, string>> = {
  0: 'failed',
  1: 'pending',
  2: 'sent',
  3: 'delivered',
  4: 'read',
  5: 'played',
  ERROR: 'failed',
  FAILED: 'failed',
  SERVER_ACK: 'sent',
  DELIVERY_ACK: 'delivered',
};

const FIELDS: StatusFields = {
  placed: new Set(['keyId', 'status', 'messageTimestamp']),
  known: new Set([
    'key',
    'remoteJid',
    'remoteJidAlt',
    'senderLid',
    'senderPn',
    'fromMe',
    'participant',
    'pushName',
    'message',
    'messageType',
    'contextInfo',
    'source',
    'instanceId',
    'messageId',
    'update',
    'pollUpdates',
    'error',
    'errorCode',
    'code',
    'reason',
    'statusReason',
    'messageStubType',
    'messageStubParameters',
  ]),
};

/** The time of a status, and what else was told of it. */
function besides(
  data: Item,
  receivedAtMs: number,
): Pick<ProviderStatus, 'atMs' | 'isTimeOurs' | 'more' | 'unknownFields'> {
  const atMs = secondsOf(data['messageTimestamp']);
  return { ...(atMs === null ? { atMs: receivedAtMs, isTimeOurs: true } : { atMs }), ...restOf(data, FIELDS) };
}

/** `messages.update`: an acknowledgement. Matched by `keyId`, the id that the send answered; `messageId` is a row's id. */
export function readUpdate(data: Item, context: Context): ProviderEvent | ProviderEvent[] {
  const key = keyOf(data);
  const { instance, receivedAtMs } = context;
  const providerMessageId = asText(data['keyId'], 512) ?? asText(key['id'], 512);
  const word = statusWord(data['status'] ?? asObject(data['update'])?.['status']);
  if (data['pollUpdates'] !== undefined && word === null) {
    return { kind: 'other', externalSenderId: instance, type: 'messages.update.poll' };
  }
  if (providerMessageId === null || word === null) throw new UnreadableItem('it has no id or no status');
  // Our own phone acknowledged a message of the customer: that is not the fate of one of ours.
  if (key['fromMe'] === false) return { kind: 'other', externalSenderId: instance, type: 'messages.update.inbound' };
  const status: ProviderStatus = {
    externalSenderId: instance,
    providerMessageId,
    status: word,
    tag: null,
    ...besides(data, receivedAtMs),
    ...(word === 'failed' ? failureOf(data) : { error: null }),
  };
  if (status.error?.providerCode !== '463') return { kind: 'status', status };
  return [
    { kind: 'status', status },
    {
      kind: 'sender',
      externalSenderId: instance,
      accountId: null,
      state: 'paused',
      event: 'messages.update 463',
      reason: 'WhatsApp lets the account open no new chats for now',
      atMs: receivedAtMs,
    },
  ];
}

/**
 * `send.message`: the server has put a message of ours (or of another user of its API) on its way. Its fate follows
 * in `messages.update`, so this is a status of the lowest rank.
 */
export function readOwnSend(data: Item, { instance, receivedAtMs }: Context): ProviderEvent {
  const providerMessageId = asText(keyOf(data)['id'], 512);
  if (providerMessageId === null) throw new UnreadableItem('it has no id');
  const common = { externalSenderId: instance, providerMessageId, tag: null, error: null };
  return { kind: 'status', status: { ...common, status: 'pending', ...besides(data, receivedAtMs) } };
}

function statusWord(value: unknown): string | null {
  const text = typeof value === 'number' ? String(value) : asText(value, 64);
  if (text === null) return null;
  const upper = text.toUpperCase();
  return (Object.hasOwn(STATUSES, upper) ? STATUSES[upper] : undefined) ?? text.toLowerCase();
}

function failureOf(data: Item): Pick<ProviderStatus, 'error' | 'laterRetry'> {
  const has463 = codesOf(data).includes('463');
  return tableFailure(has463 ? EVOLUTION_ERRORS[463] : EVOLUTION_ERRORS.SEND_FAILED, {
    code: has463 ? '463' : 'SEND_FAILED',
    text: '',
  });
}

/** WhatsApp's code of a failure; its place differs between versions of the server. */
function codesOf(data: Item): string[] {
  const update = asObject(data['update']) ?? {};
  const error = asObject(data['error']) ?? {};
  const places = [
    ...asArray(data['messageStubParameters']),
    ...asArray(update['messageStubParameters']),
    ...['error', 'errorCode', 'code', 'reason', 'statusReason'].flatMap((name) => [
      data[name],
      update[name],
      error[name],
    ]),
  ];
  return places.map((value) => {
    const number = asWholeNumber(value);
    return number === null ? (asText(value, 512) ?? '').replace(/^.*\b(463)\b.*$/s, '$1') : String(number);
  });
}
