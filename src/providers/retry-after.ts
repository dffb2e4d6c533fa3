import type { IncomingHttpHeaders } from 'node:http';

/** Nobody may hold a message back for longer by one header. */
export const RETRY_AFTER_MS_MAX = 24 * 60 * 60 * 1000;

/** `Retry-After`: seconds or an HTTP date; at most a day. */
export function retryAfter(headers: IncomingHttpHeaders, nowMs: number): number | undefined {
  const value = headers['retry-after']?.trim() ?? '';
  if (/^\d{1,9}$/.test(value)) return Math.min(Number(value) * 1000, RETRY_AFTER_MS_MAX);
  const atMs = /[a-z]/i.test(value) ? Date.parse(value) : NaN;
  return Number.isNaN(atMs) ? undefined : Math.min(Math.max(0, atMs - nowMs), RETRY_AFTER_MS_MAX);
}
