import { createHmac, timingSafeEqual } from 'node:crypto';
import type { ProviderStatus } from '../contract.ts';
import { UnreadableItem } from '../collector.ts';
import { entryFor } from '../error-entry.ts';
import { cloudMessageError, lookupCloudError } from './errors.ts';
import { asArray, asObject, asText, asWholeNumber, without } from '../json.ts';
import { redact } from '../redact.ts';
import { furtherErrors, restOf, type StatusFields } from '../status-rest.ts';

const FIELDS: StatusFields = {
  placed: new Set(['id', 'status', 'timestamp', 'biz_opaque_callback_data']),
  known: new Set([
    'recipient_id',
    'recipient_user_id',
    'recipient_type',
    'recipient_participant_id',
    'conversation',
    'pricing',
    'type',
    'errors',
  ]),
};

/**
 * Checks `X-Hub-Signature-256: sha256=<hex>` over the exact bytes received; compares in constant time.
 * @param secrets app secrets that may have signed: more than one while a secret is being changed, which may
 *   also stand in one text with commas between them. Empty ones are ignored
 * @returns false also when the header is missing
 */
export function verifySignature(rawBody: Buffer, header: string | undefined, secrets: readonly string[]): boolean {
  const hex = /^sha256=([0-9a-f]{64})$/i.exec(header ?? '')?.[1];
  if (hex === undefined) return false;
  const given = Buffer.from(hex, 'hex');
  // Every secret is tried, so that the time taken does not tell which one matched.
  return secrets
    .flatMap((secret) => secret.split(','))
    .map((secret) => secret.trim())
    .filter((secret) => secret !== '')
    .map((secret) => timingSafeEqual(createHmac('sha256', secret).update(rawBody).digest(), given))
    .includes(true);
}

/**
 * One of `statuses[]`; a name that is unknown is kept.
 * @param nowMs stands in for a timestamp that is missing or unreadable, epoch ms
 * @throws UnreadableItem when it has no id or no status
 */
export function readStatus(externalSenderId: string, item: unknown, nowMs: number): ProviderStatus {
  const raw = asObject(item);
  const providerMessageId = asText(raw?.['id'], 512);
  const status = asText(raw?.['status'], 64);
  if (raw === null || providerMessageId === null || status === null) {
    throw new UnreadableItem('it has no id or no status');
  }
  const seconds = asWholeNumber(raw['timestamp']);
  const isTimed = seconds !== null && seconds !== 0;
  const errors = asArray(raw['errors']);
  return {
    externalSenderId,
    providerMessageId,
    status: status.toLowerCase(),
    atMs: isTimed ? seconds * 1000 : nowMs,
    tag: asText(raw['biz_opaque_callback_data'], 512),
    ...readFailure(errors[0]),
    ...(isTimed ? {} : { isTimeOurs: true }),
    ...restOf({ ...without(raw, 'errors'), ...furtherErrors(errors) }, FIELDS),
  };
}

function readFailure(item: unknown): Pick<ProviderStatus, 'error' | 'laterRetry'> {
  const raw = asObject(item);
  const code = asWholeNumber(raw?.['code']);
  if (raw === null || code === null) return { error: null };
  const text = asText(asObject(raw['error_data'])?.['details'], 10_000) ?? asText(raw['message'], 10_000) ?? '';
  const entry = entryFor(lookupCloudError(code, 400, false), text);
  // Whatever the class of the code in an answer: after the report only the policy for reports decides on a new attempt.
  const error = {
    ...cloudMessageError('DELIVERY_FAILED', { code, text, traceId: null }, entry),
    retryable: entry.whenReportedLater !== undefined,
  };
  const title = asText(raw['title'], 200);
  // Meta's own title says more than our word for a code that we do not know.
  const named = error.title.startsWith('Unknown error') && title !== null ? { ...error, title: redact(title) } : error;
  return entry.whenReportedLater === undefined
    ? { error: named }
    : { error: named, laterRetry: entry.whenReportedLater };
}
