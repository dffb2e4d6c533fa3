import type { ProviderOutcome } from '../contract.ts';
import type { ExchangeResult } from '../http-exchange.ts';
import { asArray, asObject, asText, parseJson } from '../json.ts';
import { ambiguous, exchangeTrouble, foreignTrouble, type Trouble } from '../outcomes.ts';
import { classify, readEnvelope, type ClassifyContext } from './errors.ts';

const PROVIDER_MESSAGE_ID_CHARACTERS_MAX = 512;

/** What a message's exchange means. */
export function messageOutcome(result: ExchangeResult, context: ClassifyContext): ProviderOutcome {
  const trouble = troubleOf(result, context);
  if (trouble !== null || result.kind !== 'answer') return trouble ?? ambiguous('The answer is missing.');
  const answer = asObject(parseJson(result.body.toString('utf8')));
  const first = asObject(asArray(answer?.['messages'])[0]);
  const providerMessageId = asText(first?.['id'], PROVIDER_MESSAGE_ID_CHARACTERS_MAX);
  if (providerMessageId !== null) return { kind: 'sent', providerMessageId, httpStatus: result.httpStatus };
  return ambiguous(`The answer was HTTP ${result.httpStatus} without a message id.`, result.httpStatus);
}

/** What a read receipt's exchange means: null is success. */
export function readReceiptTrouble(result: ExchangeResult): Trouble | null {
  const trouble = troubleOf(result, {});
  if (trouble !== null || result.kind !== 'answer') return trouble;
  const answer = asObject(parseJson(result.body.toString('utf8')));
  if (answer?.['success'] === true) return null;
  return ambiguous(`The answer was HTTP ${result.httpStatus} without a confirmation.`, result.httpStatus);
}

/** null: an HTTP success without an error in it. */
function troubleOf(result: ExchangeResult, context: ClassifyContext): Trouble | null {
  if (result.kind !== 'answer') return exchangeTrouble(result);
  const { httpStatus, headers, body } = result;
  const envelope = readEnvelope(parseJson(body.toString('utf8')));
  if (envelope !== null) return classify(httpStatus, envelope, headers, context);
  return httpStatus < 300 ? null : foreignTrouble(httpStatus, headers, context.nowMs);
}
