import type { LedgerSend, ProviderRule } from '../harness/protocol.ts';

export type Answer =
  | {
      readonly kind: 'answer';
      readonly httpStatus: number;
      readonly headers: Readonly<Record<string, string>>;
      readonly body: string;
      readonly delayMs: number;
      /** Does it tell the sender for certain what became of the message. */
      readonly isTrustworthy: boolean;
    }
  | { readonly kind: 'reset' }
  | { readonly kind: 'trickle'; readonly body: string }
  | { readonly kind: 'silence' }
  | { readonly kind: 'kill' };

const JSON_TYPE = { 'content-type': 'application/json' };
const HTML_TYPE = { 'content-type': 'text/html' };
const HUGE_BYTES = 10 * 1024 * 1024;
/** A person would call this slow, a sender's deadline would not. */
const SLOW_MS = 700;

function answer(httpStatus: number, body: string, options: Partial<Answer & { kind: 'answer' }> = {}): Answer {
  return { kind: 'answer', httpStatus, headers: JSON_TYPE, body, delayMs: 0, isTrustworthy: false, ...options };
}

/** What is written back for one line of the ledger. */
export function answerTo(line: LedgerSend, rule: ProviderRule | undefined): Answer {
  const ok = JSON.stringify({
    messaging_product: 'whatsapp',
    contacts: [{ input: line.to, wa_id: line.to.replace('+', '') }],
    messages: [{ id: line.wamid }],
  });
  switch (line.action) {
    case 'take':
      return answer(200, ok, { isTrustworthy: true });
    case 'take-slow':
      return answer(200, ok, { isTrustworthy: true, delayMs: SLOW_MS });
    case 'take-reset':
    case 'reset':
      return { kind: 'reset' };
    case 'take-stall':
      return { kind: 'silence' };
    case 'take-trickle':
      return { kind: 'trickle', body: ok };
    case 'take-kill':
      return { kind: 'kill' };
    case 'take-bare-502':
      return answer(502, '<html>Bad gateway</html>', { headers: HTML_TYPE });
    case 'bare-503':
      return answer(503, '<html>Service unavailable</html>', { headers: HTML_TYPE });
    case 'take-no-id':
      return answer(200, '{"messaging_product":"whatsapp"}');
    case 'take-html':
      return answer(200, '<html>It works!</html>', { headers: HTML_TYPE });
    case 'take-huge':
      return answer(200, ok.padEnd(HUGE_BYTES, ' '));
    case 'refuse':
      return refusal(rule);
  }
}

function refusal(rule: ProviderRule | undefined): Answer {
  const code = rule?.code ?? 131000;
  const body = JSON.stringify({
    error: {
      message: `(#${code}) refused by the fault test`,
      type: 'OAuthException',
      code,
      error_data: { messaging_product: 'whatsapp', details: 'Refused by the fault test.' },
      fbtrace_id: 'AbCdEf',
    },
  });
  const retryAfter = rule?.retryAfterSeconds === undefined ? {} : { 'retry-after': String(rule.retryAfterSeconds) };
  return answer(rule?.httpStatus ?? 400, body, { headers: { ...JSON_TYPE, ...retryAfter }, isTrustworthy: true });
}
