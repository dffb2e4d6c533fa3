import { EventCollector, UnreadableItem } from '../collector.ts';
import type { ProviderStatus } from '../contract.ts';
import type { ProviderEvent, ReadWebhook, WebhookReader } from '../events.ts';
import { asObject, asText, asWholeNumber } from '../json.ts';
import { withHold } from '../status-hold.ts';
import { restOf, type StatusFields } from '../status-rest.ts';
import { tableFailure } from '../table-error.ts';
import { withoutPrefix } from './addresses.ts';
import { TAG_FIELD } from './callback.ts';
import { lookupTwilioError } from './error-table.ts';
import { fieldOf, readInbound, type Fields } from './inbound.ts';

/**
 * Reads a webhook of Twilio: the fields of one form, which is one status or one message. `withCallbackTag()` puts the
 * tag of the address beside them. Bodies of other kinds (events as JSON) are `other`.
 */
export const twilioReader: WebhookReader = {
  provider: 'twilio',
  read(body: unknown, receivedAtMs: number): ReadWebhook {
    const collector = new EventCollector();
    const fields = asObject(body);
    if (fields === null) {
      // Event Streams post lists of events.
      if (Array.isArray(body))
        collector.item('body', () => ({ kind: 'other', externalSenderId: null, type: 'events' }));
      else collector.broken('body', 'it has no fields');
      return collector.result();
    }
    collector.item('body', () => readForm(fields, receivedAtMs));
    return collector.result();
  },
};

const FIELDS: StatusFields = {
  // The error's sentence is in the error, in a form fit to be shown.
  placed: new Set([
    'MessageSid',
    'SmsSid',
    'SmsMessageSid',
    'MessageStatus',
    'SmsStatus',
    'ErrorCode',
    'ErrorMessage',
    'ChannelStatusMessage',
    'AccountSid',
    'ApiVersion',
    'From',
    TAG_FIELD,
  ]),
  known: new Set([
    'To',
    'MessagingServiceSid',
    'EventType',
    'ChannelPrefix',
    'ChannelToAddress',
    'ChannelInstallSid',
    'StructuredMessage',
    'RawDlrDoneDate',
    'Price',
    'PriceUnit',
  ]),
};

/** States of a message that somebody sent to us. */
const INCOMING = new Set(['received', 'receiving']);

function readForm(fields: Fields, receivedAtMs: number): ProviderEvent | ProviderEvent[] {
  const status = (fieldOf(fields, 'MessageStatus') ?? fieldOf(fields, 'SmsStatus'))?.toLowerCase() ?? null;
  const id = fieldOf(fields, 'MessageSid') ?? fieldOf(fields, 'SmsSid') ?? fieldOf(fields, 'SmsMessageSid');
  if (id !== null && status !== null && !INCOMING.has(status)) {
    return withHold(statusOf(fields, id, status, receivedAtMs), lookupTwilioError);
  }
  const isMessage = status !== null || fields['Body'] !== undefined || fields['NumMedia'] !== undefined;
  if (isMessage && id === null) throw new UnreadableItem('it has no MessageSid');
  if (isMessage && id !== null) return readInbound(fields, id, receivedAtMs);
  const type =
    fieldOf(fields, 'EventType') ?? fieldOf(fields, 'PayloadType') ?? asText(fields['type'], 64) ?? 'unnamed';
  return { kind: 'other', externalSenderId: null, type: type.slice(0, 64) };
}

function statusOf(fields: Fields, id: string, status: string, receivedAtMs: number): ProviderStatus {
  const code = asWholeNumber(fieldOf(fields, 'ErrorCode'));
  const isFailure = status === 'undelivered' || status === 'failed';
  const from = fieldOf(fields, 'From');
  return {
    externalSenderId: from === null ? (fieldOf(fields, 'MessagingServiceSid') ?? '') : withoutPrefix(from),
    providerMessageId: id,
    status: isFailure ? 'failed' : status,
    // A callback says no time.
    atMs: receivedAtMs,
    isTimeOurs: true,
    tag: fieldOf(fields, TAG_FIELD),
    ...restOf(fields, FIELDS),
    ...(code === null || code === 0 || !isFailure
      ? { error: null }
      : tableFailure(lookupTwilioError(code), {
          code: String(code),
          text: fieldOf(fields, 'ChannelStatusMessage') ?? fieldOf(fields, 'ErrorMessage') ?? '',
        })),
  };
}
