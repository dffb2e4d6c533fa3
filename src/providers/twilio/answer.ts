import type { ClassifyContext } from '../cloud/errors.ts';
import type { ProviderOutcome } from '../contract.ts';
import type { ExchangeResult } from '../http-exchange.ts';
import { asObject, asText, asWholeNumber, parseJson } from '../json.ts';
import { ambiguous, exchangeTrouble, foreignTrouble } from '../outcomes.ts';
import { tableOutcome } from '../table-error.ts';
import { lookupTwilioError, TWILIO_AMBIGUOUS, TWILIO_ERRORS } from './error-table.ts';

/** What a message's exchange with Twilio means. */
export function twilioOutcome(result: ExchangeResult, context: ClassifyContext): ProviderOutcome {
  if (result.kind !== 'answer') return exchangeTrouble(result);
  const { httpStatus, headers, body } = result;
  const answer = asObject(parseJson(body.toString('utf8')));
  if (httpStatus < 300) {
    const providerMessageId = asText(answer?.['sid'], 512);
    if (providerMessageId !== null) return { kind: 'sent', providerMessageId, httpStatus };
    return ambiguous(`The answer was HTTP ${httpStatus} without a message SID.`, httpStatus);
  }
  const told = readError(answer);
  if (told === null) return foreignTrouble(httpStatus, headers, context.nowMs);
  // Twilio says of these that a create may have happened, and a code that nobody knows promises nothing either.
  const isUnknown = !Object.hasOwn(TWILIO_ERRORS, told.code);
  if (TWILIO_AMBIGUOUS.has(told.code) || (httpStatus >= 500 && isUnknown)) {
    return ambiguous(`Twilio answered HTTP ${httpStatus} with error ${told.code}.`, httpStatus);
  }
  const at = { httpStatus, headers, ...(context.nowMs === undefined ? {} : { nowMs: context.nowMs }) };
  return tableOutcome(lookupTwilioError(told.code), { code: String(told.code), text: told.text }, at, context);
}

/** Reads `{code, message, more_info, status}`; null when it is not Twilio's. */
function readError(answer: Record<string, unknown> | null): { code: number; text: string } | null {
  const code = asWholeNumber(answer?.['code']);
  if (answer === null || code === null || typeof answer['message'] !== 'string') return null;
  if (asWholeNumber(answer['status']) === null) return null;
  return { code, text: answer['message'] };
}
