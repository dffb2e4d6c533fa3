/** Longest wait that a caller can ask for; proxies commonly cut at 60 s. */
const WAIT_SECONDS_MAX = 30;

/** Seconds of `Prefer: wait=N` (RFC 7240), at most 30; 0 when the header asks for nothing of the kind. */
export function waitSecondsOf(header: string | readonly string[] | undefined): number {
  const text = typeof header === 'string' ? header : (header ?? []).join(',');
  const digits = /(?:^|[,;])\s*wait\s*=\s*"?(\d{1,9})"?\s*(?=[,;]|$)/i.exec(text)?.[1];
  return digits === undefined ? 0 : Math.min(Number(digits), WAIT_SECONDS_MAX);
}
