import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { asObject, asWholeNumber, parseJson } from '../json.ts';

/** Compares digests, so that neither content nor length of the secret shows in the time taken. */
function same(a: string, b: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}

/**
 * Is one of the texts that a webhook brought (a header, a part of its path) the secret. Evolution does not sign
 * bodies: an unguessable word in a static header or in the address is what it offers.
 * @param given undefined and empty ones do not count
 * @param secrets more than one while a secret is being changed; empty ones do not count
 */
export function hasEvolutionSecret(given: readonly (string | undefined)[], secrets: readonly string[]): boolean {
  const texts = given.filter((text) => text !== undefined && text !== '');
  const known = secrets.filter((secret) => secret !== '');
  // Every pair is compared, so that the time taken does not tell which one matched.
  return texts.flatMap((text) => known.map((secret) => same(text ?? '', secret))).includes(true);
}

/** Clocks of the two machines may differ by this much. */
const LEEWAY_SECONDS = 60;

/**
 * Checks `Authorization: Bearer <JWT>` as Evolution makes it from its `jwt_key`: HS256, valid for ten minutes.
 * @param nowMs wall clock, epoch ms
 */
export function hasEvolutionJwt(header: string | undefined, secrets: readonly string[], nowMs: number): boolean {
  const token = /^Bearer +([\w-]{1,2048}\.[\w-]{1,4096}\.[\w-]{43})$/i.exec(header ?? '')?.[1];
  const [head = '', claims = '', signature = ''] = token?.split('.') ?? [];
  if (asObject(decoded(head))?.['alg'] !== 'HS256') return false;
  const isSigned = secrets
    .filter((secret) => secret !== '')
    .map((secret) => same(createHmac('sha256', secret).update(`${head}.${claims}`).digest('base64url'), signature))
    .includes(true);
  const expiresAt = asWholeNumber(asObject(decoded(claims))?.['exp']);
  return isSigned && expiresAt !== null && expiresAt + LEEWAY_SECONDS > nowMs / 1000;
}

function decoded(part: string): unknown {
  return parseJson(Buffer.from(part, 'base64url').toString('utf8'));
}
