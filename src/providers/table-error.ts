import type { IncomingHttpHeaders } from 'node:http';
import type { LaterRetry } from '../model/later-retry.ts';
import type { MessageError } from '../model/message.ts';
import type { ErrorClass, ProviderErrorCode, ProviderOutcome } from './contract.ts';
import { entryFor, type ProviderErrorEntry } from './error-entry.ts';
import { redact } from './redact.ts';
import { retryAfter } from './retry-after.ts';

export type RejectedOutcome = Extract<ProviderOutcome, { kind: 'rejected' }>;

/** A provider's own word on what is wrong. */
export interface ToldError {
  /** Its code, as text. */
  readonly code: string;
  /** Its sentence, not yet redacted; may be empty. */
  readonly text: string;
}

const FINAL_CLASSES: ReadonlySet<ErrorClass> = new Set<ErrorClass>(['recipient', 'payload', 'template']);

/** A definite refusal, by the provider's table. `Retry-After` counts when it is longer than the table's wait. */
export function tableOutcome(
  found: ProviderErrorEntry,
  told: ToldError,
  answer: { readonly httpStatus: number; readonly headers: IncomingHttpHeaders; readonly nowMs?: number },
  context: { readonly linkMedia?: boolean; readonly hidden?: () => readonly string[] } = {},
): RejectedOutcome {
  const entry = entryFor(found, told.text);
  const errorClass = context.linkMedia === true ? (entry.classForLink ?? entry.class) : entry.class;
  const waits = [entry.retryAfterMs, retryAfter(answer.headers, answer.nowMs ?? Date.now())].filter(
    (wait) => wait !== undefined,
  );
  const isFinal = FINAL_CLASSES.has(errorClass);
  return {
    kind: 'rejected',
    class: errorClass,
    httpStatus: answer.httpStatus,
    error: tableError('PROVIDER_REJECTED', entry, told, !isFinal, context.hidden?.()),
    ...(isFinal || waits.length === 0 ? {} : { retryAfterMs: Math.max(...waits) }),
    ...(isFinal || entry.attemptsMax === undefined ? {} : { attemptsMax: entry.attemptsMax }),
  };
}

/** The error of a status that came later, and what the table says to do about it by itself. */
export function tableFailure(
  found: ProviderErrorEntry,
  told: ToldError,
): { readonly error: MessageError; readonly laterRetry?: LaterRetry } {
  const entry = entryFor(found, told.text);
  const error = tableError('DELIVERY_FAILED', entry, told, entry.whenReportedLater !== undefined);
  return entry.whenReportedLater === undefined ? { error } : { error, laterRetry: entry.whenReportedLater };
}

function tableError(
  code: ProviderErrorCode,
  entry: ProviderErrorEntry,
  told: ToldError,
  retryable: boolean,
  hidden: readonly string[] = [],
): MessageError {
  const said = redact(told.text, hidden);
  const quote = said === '' ? '' : ` The provider says: "${said.replace(/\.$/, '')}".`;
  return {
    code,
    providerCode: told.code,
    title: entry.title,
    detail: `${entry.meaning}${quote} ${entry.personShould}`,
    retryable,
  };
}
