import { Webhook } from 'standardwebhooks';
import type { Deliver } from './notices.ts';

const TIMEOUT_MS = 10_000;

/**
 * Posts alerts, signed as Standard Webhooks says: `webhook-id`, `webhook-timestamp`, `webhook-signature`.
 * @param options.secret `whsec_` with base64, or any text
 * @param options.now wall clock of the signature's time
 */
export function alertWebhook(options: {
  readonly url: string;
  readonly secret: string;
  readonly now?: () => number;
}): Deliver {
  const { url, secret } = options;
  const now = options.now ?? Date.now;
  const webhook = secret.startsWith('whsec_') ? new Webhook(secret) : new Webhook(secret, { format: 'raw' });
  return async ({ id, body }) => {
    const at = new Date(now());
    const answer = await fetch(url, {
      method: 'POST',
      body,
      redirect: 'manual',
      signal: AbortSignal.timeout(TIMEOUT_MS),
      headers: {
        'content-type': 'application/json',
        'user-agent': 'waxwing',
        'webhook-id': id,
        'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
        'webhook-signature': webhook.sign(id, at, body),
      },
    });
    // Read to the end, so that the connection can be used again; what it says does not matter.
    await answer.arrayBuffer();
    if (!answer.ok) throw new Error(`the receiver of alerts answered ${answer.status}`);
  };
}
