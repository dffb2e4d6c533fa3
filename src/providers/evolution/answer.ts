import type { IncomingHttpHeaders } from 'node:http';
import { classify, readEnvelope, type ClassifyContext } from '../cloud/errors.ts';
import type { ProviderOutcome } from '../contract.ts';
import type { ExchangeResult } from '../http-exchange.ts';
import { asArray, asObject, asText, asWholeNumber, parseJson } from '../json.ts';
import { ambiguous, exchangeTrouble, foreignTrouble } from '../outcomes.ts';
import { tableOutcome } from '../table-error.ts';
import { EVOLUTION_ERRORS, type EvolutionErrorCode } from './error-table.ts';

const PROVIDER_MESSAGE_ID_CHARACTERS_MAX = 512;

/** What a message's exchange with Evolution means. */
export function evolutionOutcome(result: ExchangeResult, context: ClassifyContext): ProviderOutcome {
  if (result.kind !== 'answer') return exchangeTrouble(result);
  const { httpStatus, headers, body } = result;
  const answer = asObject(parseJson(body.toString('utf8')));
  if (httpStatus < 300) return successOutcome(httpStatus, answer, headers, context);
  const told = readError(httpStatus, answer);
  if (told === null) return foreignTrouble(httpStatus, headers, context.nowMs);
  const at = { httpStatus, headers, ...(context.nowMs === undefined ? {} : { nowMs: context.nowMs }) };
  return tableOutcome(EVOLUTION_ERRORS[told.code], { code: String(told.code), text: told.text }, at, context);
}

/**
 * 201 with the key of the message. On its Cloud channel Evolution also answers 201 with Meta's error in the body, as
 * it is or in its envelope: that is a definite refusal, and the code is Meta's.
 */
function successOutcome(
  httpStatus: number,
  answer: Record<string, unknown> | null,
  headers: IncomingHttpHeaders,
  context: ClassifyContext,
): ProviderOutcome {
  const providerMessageId = asText(asObject(answer?.['key'])?.['id'], PROVIDER_MESSAGE_ID_CHARACTERS_MAX);
  if (providerMessageId !== null) return { kind: 'sent', providerMessageId, httpStatus };
  const envelope = readEnvelope(answer) ?? readEnvelope({ error: answer });
  if (envelope !== null) return { ...classify(400, envelope, headers, context), httpStatus };
  return ambiguous(`The answer was HTTP ${httpStatus} without the key of a message.`, httpStatus);
}

interface EvolutionError {
  readonly code: EvolutionErrorCode;
  readonly text: string;
}

/** Reads `{status, error, response: {message}}`; null when it is not Evolution's. */
function readError(httpStatus: number, answer: Record<string, unknown> | null): EvolutionError | null {
  const message = asObject(answer?.['response'])?.['message'];
  if (answer === null || asWholeNumber(answer['status']) === null || message === undefined) return null;
  const items = Array.isArray(message) ? (message as unknown[]).flat() : [message];
  const text = items
    .map((item) => asText(item, 2_000) ?? '')
    .join(' ')
    .trim();
  if (items.some((item) => asObject(item)?.['exists'] === false)) return { code: 'NUMBER_NOT_ON_WHATSAPP', text: '' };
  return { code: codeOf(httpStatus, text, asArray(message).length > 0), text };
}

function codeOf(httpStatus: number, text: string, isList: boolean): EvolutionErrorCode {
  if (/connection closed|connection was lost|not connected/i.test(text)) return 'CONNECTION_CLOSED';
  if (/not available on (whatsapp )?(baileys|business|evolution)|method not (available|implemented)/i.test(text)) {
    return 'TYPE_NOT_AVAILABLE';
  }
  if (/(undefined|null) \(reading '|cannot read propert/i.test(text)) return 'INSTANCE_NOT_LOADED';
  switch (httpStatus) {
    case 401:
    case 403:
      return 'UNAUTHORIZED';
    case 404:
      return 'INSTANCE_NOT_FOUND';
    case 429:
      return 'TOO_MANY_REQUESTS';
    default:
      if (/rate.?overlimit|too many/i.test(text) && !isList) return 'TOO_MANY_REQUESTS';
      return httpStatus >= 500 ? 'SERVER_ERROR' : 'BAD_REQUEST';
  }
}
