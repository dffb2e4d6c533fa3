import type { FastifyRequest } from 'fastify';

/** Where the pages are for people: settings of the program that stands in front of us. */
export interface PublicAddress {
  /** PUBLIC_URL: scheme, host and port as browsers see them; undefined = as the request says. */
  readonly origin: string | undefined;
}

/** Did the browser reach us by https; the proxy in front must be trusted (TRUST_PROXY) or named (PUBLIC_URL). */
export function isHttps(request: FastifyRequest, { origin }: PublicAddress): boolean {
  return origin === undefined ? request.protocol === 'https' : origin.startsWith('https:');
}

/**
 * Was this request made by one of our own pages. A cookie travels with whatever a browser sends here; SameSite=Strict
 * keeps it off other sites' requests, this check also keeps off neighbours on the same site and older browsers.
 * Every browser sends Origin with a POST, so a request without any mark was not made by a page.
 */
export function isSameOrigin(request: FastifyRequest, { origin: ownOrigin }: PublicAddress): boolean {
  const { origin, 'sec-fetch-site': site } = request.headers;
  // The browser's own judgement, which no page can forge; it is sent over https and to localhost only.
  if (site !== undefined) return site === 'same-origin';
  if (origin === undefined) return false;
  if (origin === ownOrigin) return true;
  // Only the host is compared: the scheme is unknown behind a proxy that ends TLS.
  return URL.canParse(origin) && new URL(origin).host === request.host.toLowerCase();
}

/** A path of ours to go on to after signing in; null for anything that leads elsewhere. */
export function ownPath(text: string | undefined): string | null {
  if (text === undefined || text.length > 2000 || !/^\/(?![/\\])[\x21-\x7e]*$/.test(text)) return null;
  const base = 'http://waxwing.invalid';
  if (!URL.canParse(text, base)) return null;
  const url = new URL(text, base);
  if (url.origin !== base) return null;
  const path = `${url.pathname}${url.search}${url.hash}`;
  // What a `..` left behind may begin with two slashes again.
  return path.startsWith('//') ? null : path;
}

/** Does the caller want a page to look at: a browser that goes somewhere, not a program or a script of a page. */
export function wantsPage(request: FastifyRequest): boolean {
  if (request.method !== 'GET' || request.headers.authorization !== undefined) return false;
  return /\btext\/html\b/.test(request.headers.accept ?? '');
}
