import { createHmac } from 'node:crypto';
import { Webhook } from 'standardwebhooks';

/**
 * Headers of a call that is signed as Standard Webhooks says: `webhook-id`, `webhook-timestamp`, `webhook-signature`.
 * @param secrets `whsec_` with base64, or any text; each one signs, so that receivers can change theirs at leisure
 */
export function signedHeaders(
  secrets: readonly string[],
  id: string,
  body: string,
  nowMs: number,
): Readonly<Record<string, string>> {
  const at = new Date(nowMs);
  return {
    'content-type': 'application/json',
    'user-agent': 'waxwing',
    'webhook-id': id,
    'webhook-timestamp': String(Math.floor(nowMs / 1000)),
    'webhook-signature': secrets.map((secret) => webhookOf(secret).sign(id, at, body)).join(' '),
  };
}

/** A secret of one receiver, made of one that only we know: who has it can neither forge for others nor guess theirs. */
export function derivedSecret(secret: string, receiver: string): string {
  const digest = createHmac('sha256', secret).update(`waxwing events for ${receiver}`).digest('base64');
  return `whsec_${digest}`;
}

function webhookOf(secret: string): Webhook {
  return secret.startsWith('whsec_') ? new Webhook(secret) : new Webhook(secret, { format: 'raw' });
}
