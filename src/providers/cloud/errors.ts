import type { IncomingHttpHeaders } from 'node:http';
import type { MessageError } from '../../model/message.ts';
import { PROVIDER_ERROR_CODES, type ErrorClass, type ProviderErrorCode, type ProviderOutcome } from '../contract.ts';
import { CLOUD_ERRORS, CLOUD_ERROR_RANGES, UNKNOWN_REFUSAL, UNKNOWN_TRANSIENT } from './error-table.ts';
import { entryFor, type ProviderErrorEntry } from '../error-entry.ts';
import { asArray, asObject, asText, asWholeNumber, parseJson } from '../json.ts';
import { redact } from '../redact.ts';
import { retryAfter, RETRY_AFTER_MS_MAX } from '../retry-after.ts';

export type RejectedOutcome = Extract<ProviderOutcome, { kind: 'rejected' }>;

/** Meta's error envelope, read. */
export interface CloudErrorEnvelope {
  readonly code: number;
  /** `error_data.details`, else `message`; not yet redacted. */
  readonly text: string;
  readonly traceId: string | null;
  readonly isTransient: boolean;
}

/** What is known about the request that was refused. */
export interface ClassifyContext {
  /** Its media is a link: Meta's servers fetch it at every try. */
  readonly linkMedia?: boolean;
  /** Texts of the request that must not show in the error. */
  readonly hidden?: () => readonly string[];
  /** Clock for a `Retry-After` that names a date, epoch ms. */
  readonly nowMs?: number;
}

const FINAL_CLASSES: ReadonlySet<ErrorClass> = new Set<ErrorClass>(['recipient', 'payload', 'template']);
/** Codes whose wait Meta tells in its usage header. */
const USAGE_CODES: ReadonlySet<number> = new Set([4, 613, 80007, 80008]);

/**
 * Reads `{error: {code, message, type, error_data, fbtrace_id, …}}`.
 * @returns null when it is not Meta's: a proxy's or load balancer's error must not pass for a definite answer
 */
export function readEnvelope(answer: unknown): CloudErrorEnvelope | null {
  const error = asObject(asObject(answer)?.['error']);
  const code = asWholeNumber(error?.['code']);
  if (error === null || code === null) return null;
  const data = asObject(error['error_data']);
  if (typeof error['type'] !== 'string' && typeof error['fbtrace_id'] !== 'string' && data === null) return null;
  const text = asText(data?.['details'], 10_000) ?? asText(error['message'], 10_000) ?? '';
  return { code, text, traceId: asText(error['fbtrace_id'], 64), isTransient: error['is_transient'] === true };
}

/**
 * The table's word on a code. Unknown codes are tried again with a cap: five attempts when the server blames itself
 * (5xx) or calls the error transient, else two. They keep their own number in `providerCode` and so in counts.
 */
export function lookupCloudError(code: number, httpStatus: number, isTransient: boolean): ProviderErrorEntry {
  const known =
    (Object.hasOwn(CLOUD_ERRORS, code) ? CLOUD_ERRORS[code] : undefined) ??
    CLOUD_ERROR_RANGES.find(({ from, to }) => code >= from && code <= to)?.entry;
  if (known !== undefined) return known;
  return httpStatus >= 500 || isTransient ? UNKNOWN_TRANSIENT : UNKNOWN_REFUSAL;
}

/** What a definite refusal of the Cloud API means for the queue. */
export function classify(
  httpStatus: number,
  envelope: CloudErrorEnvelope,
  headers: IncomingHttpHeaders = {},
  context: ClassifyContext = {},
): RejectedOutcome {
  const entry = entryFor(lookupCloudError(envelope.code, httpStatus, envelope.isTransient), envelope.text);
  const errorClass = classOf(entry, envelope, context);
  const retryAfterMs = waitOf(entry, envelope.code, headers, context.nowMs ?? Date.now());
  return {
    kind: 'rejected',
    class: errorClass,
    httpStatus,
    error: cloudMessageError('PROVIDER_REJECTED', envelope, entry, errorClass, context.hidden?.()),
    ...(FINAL_CLASSES.has(errorClass) || retryAfterMs === undefined ? {} : { retryAfterMs }),
    ...(FINAL_CLASSES.has(errorClass) || entry.attemptsMax === undefined ? {} : { attemptsMax: entry.attemptsMax }),
  };
}

/**
 * A 3xx or 4xx without Meta's envelope: something between us and WhatsApp refused the request, or the API address
 * is wrong. HTTP says that it was not processed, so it is no ambiguous outcome.
 */
export function classifyBare(httpStatus: number, headers: IncomingHttpHeaders, nowMs = Date.now()): RejectedOutcome {
  const { errorClass, sentence } = bareClass(httpStatus);
  const retryAfterMs = retryAfter(headers, nowMs);
  return {
    kind: 'rejected',
    class: errorClass,
    httpStatus,
    error: {
      code: 'PROVIDER_REJECTED',
      providerCode: null,
      title: PROVIDER_ERROR_CODES.PROVIDER_REJECTED,
      detail: `The answer was HTTP ${httpStatus} and not one of WhatsApp's own. ${sentence}`,
      retryable: !FINAL_CLASSES.has(errorClass),
    },
    ...(FINAL_CLASSES.has(errorClass) || retryAfterMs === undefined ? {} : { retryAfterMs }),
  };
}

/** The `error` that callers see: our words first, then Meta's, redacted. */
export function cloudMessageError(
  code: ProviderErrorCode,
  envelope: Pick<CloudErrorEnvelope, 'code' | 'text' | 'traceId'>,
  entry: ProviderErrorEntry,
  errorClass: ErrorClass = entry.class,
  hidden: readonly string[] = [],
): MessageError {
  const said = redact(envelope.text, hidden);
  const trace =
    envelope.traceId !== null && /^[\w-]+$/.test(envelope.traceId) ? ` Meta's trace id: ${envelope.traceId}.` : '';
  const quote = said === '' ? '' : ` WhatsApp says: "${said.replace(/\.$/, '')}".`;
  return {
    code,
    providerCode: String(envelope.code),
    title: entry.title,
    detail: `${entry.meaning}${quote} ${entry.personShould}${trace}`,
    retryable: !FINAL_CLASSES.has(errorClass),
  };
}

function classOf(entry: ProviderErrorEntry, envelope: CloudErrorEnvelope, context: ClassifyContext): ErrorClass {
  if (context.linkMedia === true && entry.classForLink !== undefined) return entry.classForLink;
  // Meta says itself that the very same request may succeed: that outweighs our reading of the code.
  return entry.class === 'payload' && envelope.isTransient ? 'retry-later' : entry.class;
}

function waitOf(
  entry: ProviderErrorEntry,
  code: number,
  headers: IncomingHttpHeaders,
  nowMs: number,
): number | undefined {
  const waits = [
    entry.retryAfterMs,
    retryAfter(headers, nowMs),
    USAGE_CODES.has(code) ? usageWait(headers) : undefined,
  ];
  const told = waits.filter((wait) => wait !== undefined);
  return told.length === 0 ? undefined : Math.max(...told);
}

/** The longest `estimated_time_to_regain_access` (minutes) of all accounts in `X-Business-Use-Case-Usage`. */
function usageWait(headers: IncomingHttpHeaders): number | undefined {
  const header = headers['x-business-use-case-usage'];
  const usage = typeof header === 'string' ? asObject(parseJson(header)) : null;
  if (usage === null) return undefined;
  const minutes = Object.values(usage)
    .flatMap((items) => asArray(items))
    .map((item) => asWholeNumber(asObject(item)?.['estimated_time_to_regain_access']) ?? 0);
  const longest = Math.max(0, ...minutes);
  return longest === 0 ? undefined : Math.min(longest * 60_000, RETRY_AFTER_MS_MAX);
}

function bareClass(httpStatus: number): { errorClass: ErrorClass; sentence: string } {
  switch (httpStatus) {
    case 429:
      return { errorClass: 'sender-slow', sentence: 'Too many requests at once; Waxwing slows down.' };
    case 401:
    case 407:
      return { errorClass: 'credentials', sentence: 'Check the access token and any proxy in between.' };
    case 413:
    case 414:
    case 431:
      return { errorClass: 'payload', sentence: 'The request is too large for a proxy in between.' };
    default:
      return { errorClass: 'retry-later', sentence: "Check the sender's API address and any proxy in between." };
  }
}
