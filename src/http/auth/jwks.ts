import { createRemoteJWKSet, customFetch, type FetchImplementation, type JWTVerifyGetKey } from 'jose';

/** Keys are asked for again after this, and at once (at most every half minute) for a key id that nobody knows. */
const FRESH_MS = 10 * 60_000;
const ASK_AGAIN_MS = 30_000;
const TIMEOUT_MS = 5000;
/** While the identity provider is away, the keys that it gave last go on working for this long. */
const STALE_MS = 24 * 3600_000;
const ANSWER_BYTES_MAX = 256 * 1024;

/** The identity provider's keys cannot be had now, and there are none from before. */
export class KeysAwayError extends Error {
  override readonly name = 'KeysAwayError';
}

/** The public keys at JWT_JWKS_URL, fetched when first needed and kept in memory. */
export function createKeySet(url: string): JWTVerifyGetKey {
  return createRemoteJWKSet(new URL(url), {
    cacheMaxAge: FRESH_MS,
    cooldownDuration: ASK_AGAIN_MS,
    timeoutDuration: TIMEOUT_MS,
    [customFetch]: keepingTheLast(),
  });
}

function keepingTheLast(): FetchImplementation {
  let last: { readonly body: string; readonly atMs: number } | undefined;
  return async (url, options) => {
    try {
      // Followed nowhere: the address of the settings is the only one that may say which keys are good.
      const answer = await fetch(url, { ...options, redirect: 'error' });
      const body = await answer.text();
      if (answer.status !== 200 || body.length > ANSWER_BYTES_MAX) throw new Error(`status ${answer.status}`);
      const { keys } = JSON.parse(body) as { readonly keys?: unknown };
      if (!Array.isArray(keys)) throw new Error('no keys in the answer');
      last = { body, atMs: performance.now() };
    } catch (error) {
      if (last === undefined || performance.now() - last.atMs > STALE_MS) {
        throw new KeysAwayError('JWT_JWKS_URL does not answer with keys', { cause: error });
      }
    }
    return new Response(last.body, { status: 200, headers: { 'content-type': 'application/json' } });
  };
}
