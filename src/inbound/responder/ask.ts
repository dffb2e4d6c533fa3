import { AppError } from '../../errors/app-error.ts';
import { parseRequest } from '../../messages/request.ts';
import type { Breaker } from '../../util/breakers.ts';
import type { GuardedFetch } from '../../util/guarded-fetch/index.ts';
import { signedHeaders } from '../../util/signed-webhook.ts';
import { answerSchema, type Reply, type Responder, ResponderError, type ResponderRequest } from './contract.ts';

/** Asks the responder once, within its time and behind its breaker, and checks what it says. */
export type Ask = (request: ResponderRequest) => Promise<readonly Reply[]>;

/**
 * @throws ResponderError, GuardedFetchError, BreakerOpenError, or what the responder threw
 */
export function createAsk(options: {
  readonly responder: Responder;
  readonly breaker: Breaker;
  /** RESPONDER_TIMEOUT_MS. */
  readonly timeoutMs: number;
}): Ask {
  const { responder, breaker, timeoutMs } = options;
  return (request) =>
    breaker.run(async () => {
      const signal = AbortSignal.timeout(timeoutMs);
      const late = new Promise<never>((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(new ResponderError(`It took longer than ${timeoutMs} ms.`)));
      });
      return checked(await Promise.race([responder(request, signal), late]));
    });
}

/**
 * The responder behind RESPONDER_URL. `webhook-id` is the incoming message's id and the same when it is asked again.
 * @param secrets RESPONDER_SECRET; none = the call is not signed
 */
export function httpResponder(options: {
  readonly url: string;
  readonly secrets: readonly string[];
  readonly fetch: GuardedFetch;
  readonly now?: () => number;
}): Responder {
  const { url, secrets, fetch, now = Date.now } = options;
  return async (request, signal) => {
    const body = JSON.stringify({ type: 'message.received', timestamp: new Date(now()).toISOString(), data: request });
    const headers = signedHeaders(secrets, request.message.id, body, now());
    const answer = await fetch(url, { body, headers, signal });
    if (answer.status < 200 || answer.status >= 300) throw new ResponderError(`It answered ${answer.status}.`);
    if (answer.body.trim() === '') return null;
    try {
      return JSON.parse(answer.body) as { messages: Reply[] };
    } catch (error) {
      throw new ResponderError('Its answer is not JSON.', { cause: error });
    }
  };
}

function checked(answer: unknown): readonly Reply[] {
  if (answer === null || answer === undefined) return [];
  try {
    return parseRequest(answerSchema, Array.isArray(answer) ? { messages: answer as unknown[] } : answer).messages;
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    const at = error.field === undefined ? '' : ` (${error.field})`;
    throw new ResponderError(`Its answer is not a list of messages${at}: ${error.detail}`, { cause: error });
  }
}
