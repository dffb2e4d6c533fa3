import { createHmac, timingSafeEqual } from 'node:crypto';

/** How long an admin sees numbers and texts after asking. */
export const UNMASK_SECONDS = 600;
export const UNMASK_COOKIE = 'waxwing-unmask';

/** Signed, so that nobody sees anything without the audit that stands before it. */
export function unmaskValue(name: string, secret: string, nowMs: number): string {
  const until = String(nowMs + UNMASK_SECONDS * 1000);
  return `${until}.${signature(name, until, secret)}`;
}

export function isUnmasked(cookie: string | undefined, name: string, secret: string, nowMs: number): boolean {
  const [until = '', given = ''] = (cookie ?? '').split('.');
  if (!(Number(until) > nowMs)) return false;
  const expected = Buffer.from(signature(name, until, secret));
  return given.length === expected.length && timingSafeEqual(Buffer.from(given), expected);
}

function signature(name: string, until: string, secret: string): string {
  return createHmac('sha256', secret).update(`waxwing unmask ${until} ${name}`).digest('base64url');
}
