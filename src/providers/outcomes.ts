import type { IncomingHttpHeaders } from 'node:http';
import type { MessageError } from '../model/message.ts';
import type { AccountError } from './account-error.ts';
import { classifyBare } from './cloud/errors.ts';
import { PROVIDER_ERROR_CODES, type ProviderErrorCode, type ProviderOutcome } from './contract.ts';
import type { ExchangeResult } from './http-exchange.ts';

/** Everything but success: the same for a message and for a read receipt. */
export type Trouble = Exclude<ProviderOutcome, { kind: 'sent' }>;
type Answer = Extract<ExchangeResult, { kind: 'answer' }>;

/** Sentences for codes of `ExchangeResult`; others are named by their code. */
const REASONS: Readonly<Record<string, string>> = {
  ABORTED: 'The attempt was called off.',
  ANSWER_TOO_LARGE: 'The answer was larger than any answer of WhatsApp.',
  CLOSED: 'This process is stopping.',
  DEADLINE: 'The time for the whole request was over.',
  EAI_AGAIN: 'The name server did not answer.',
  ECONNREFUSED: 'The connection was refused.',
  ECONNRESET: 'The connection was reset.',
  ENOTFOUND: "The name in the sender's API address is not known.",
  NOT_ALLOWED: 'The attempt came too late to be started.',
  UND_ERR_BODY_TIMEOUT: 'The answer stopped half-way.',
  UND_ERR_CONNECT_TIMEOUT: 'No connection came about in time.',
  UND_ERR_HEADERS_TIMEOUT: 'No answer came in time.',
  UND_ERR_SOCKET: 'The connection was closed before the answer was complete.',
};
/** Ours to start again at once: nothing is wrong with the provider. */
const TAKEN_BACK = new Set(['ABORTED', 'NOT_ALLOWED', 'CLOSED']);

/** The account cannot be used as it is: no request was made. */
export function misconfigured(error: AccountError): Trouble {
  return {
    kind: 'rejected',
    class: error.part === 'credentials' ? 'credentials' : 'sender-pause',
    httpStatus: 0,
    error: messageError('SENDER_MISCONFIGURED', error.message, true),
  };
}

/** What an exchange without an answer means: nothing was sent, or nobody knows. */
export function exchangeTrouble(result: Exclude<ExchangeResult, Answer>): Trouble {
  if (result.kind === 'lost') return ambiguous(reason(result.code), result.httpStatus);
  const code = TAKEN_BACK.has(result.code) ? 'SEND_NOT_STARTED' : 'PROVIDER_UNREACHABLE';
  return { kind: 'not-sent', error: messageError(code, `${reason(result.code)} Nothing was sent.`, true) };
}

/** What an answer means that is no success and not in the provider's own words. */
export function foreignTrouble(httpStatus: number, headers: IncomingHttpHeaders, nowMs?: number): Trouble {
  // 408 comes from whoever gave up waiting, which need not be the one who had the request.
  if (httpStatus >= 500 || httpStatus === 408) {
    return ambiguous(`The answer was HTTP ${httpStatus} without an error of the provider's own.`, httpStatus);
  }
  return classifyBare(httpStatus, headers, nowMs);
}

/** The request left, and what became of it is not known. */
export function ambiguous(sentence: string, httpStatus?: number): Trouble {
  const error = messageError(
    'PROVIDER_OUTCOME_UNKNOWN',
    `${sentence} The request had left, so the provider may have taken the message; a status webhook can tell.`,
    true,
  );
  return httpStatus === undefined ? { kind: 'ambiguous', error } : { kind: 'ambiguous', error, httpStatus };
}

function reason(code: string): string {
  const known = REASONS[code];
  if (known !== undefined) return known;
  if (/^(ERR_TLS|ERR_SSL|CERT_|SELF_SIGNED|DEPTH_ZERO|UNABLE_TO|EPROTO)/.test(code)) {
    return `The TLS connection failed (${code}).`;
  }
  return `The connection failed (${code}).`;
}

function messageError(code: ProviderErrorCode, detail: string, retryable: boolean): MessageError {
  return { code, providerCode: null, title: PROVIDER_ERROR_CODES[code], detail, retryable };
}
