import { parseJson } from './json.ts';
import { TemplateCallError } from './template-provider.ts';

/** Templates are a matter of minutes: a call may take a while, but nobody waits for it for ever. */
const TIMEOUT_MS = 15_000;
const ANSWER_CHARACTERS_MAX = 8 * 1024 * 1024;

/** Codes of connections that did not come about: nothing was asked. */
const NOT_SENT = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'UND_ERR_CONNECT_TIMEOUT']);

/**
 * One request of a template store, JSON in and out.
 * @param explain the provider's own sentence in an answer that refuses
 * @throws TemplateCallError
 */
export async function templateCall(
  request: {
    readonly method: 'GET' | 'POST';
    readonly url: URL;
    readonly headers: Record<string, string>;
    readonly body?: unknown;
  },
  explain: (answer: unknown) => string | null,
): Promise<unknown> {
  let answer: Response;
  let text: string;
  try {
    answer = await fetch(request.url, {
      method: request.method,
      headers: { ...request.headers, ...(request.body === undefined ? {} : { 'content-type': 'application/json' }) },
      ...(request.body === undefined ? {} : { body: JSON.stringify(request.body) }),
      redirect: 'error',
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    text = await answer.text();
  } catch (error) {
    const cause = error instanceof Error ? (error.cause as { code?: unknown } | undefined) : undefined;
    const code = typeof cause?.code === 'string' ? cause.code : 'no answer in time';
    throw new TemplateCallError(
      NOT_SENT.has(code) ? 'unreachable' : 'unknown',
      `The provider did not answer (${code}).`,
    );
  }
  const body = text.length > ANSWER_CHARACTERS_MAX ? undefined : parseJson(text);
  if (answer.ok && body !== undefined) return body;
  const sentence = explain(body) ?? 'It gave no reason.';
  if (answer.status >= 400 && answer.status < 500) {
    throw new TemplateCallError('refused', `The provider refused it (HTTP ${answer.status}): ${sentence}`);
  }
  throw new TemplateCallError('unknown', `The provider answered HTTP ${answer.status}: ${sentence}`);
}
