import { isIP } from 'node:net';
import { isPublicAddress } from './addresses.ts';

/** Where receivers listen. */
export const RECEIVER_PORTS: readonly number[] = [443, 8443];

/**
 * What is wrong with an address that somebody chose for us to call, as a sentence; null = nothing. Looks nothing up:
 * what its name leads to is judged at each call.
 */
export function addressFault(
  text: string,
  { allowPrivate, ports = RECEIVER_PORTS }: { readonly allowPrivate: boolean; readonly ports?: readonly number[] },
): string | null {
  if (!URL.canParse(text)) return 'It is not an address: it needs the form https://host/path.';
  const url = new URL(text);
  if (url.username !== '' || url.password !== '') return 'It must not hold a user name or password.';
  if (allowPrivate) return /^https?:$/.test(url.protocol) ? null : 'It must begin with https:// or http://.';
  if (url.protocol !== 'https:') return 'It must begin with https://.';
  if (!ports.includes(url.port === '' ? 443 : Number(url.port))) return `Its port must be ${ports.join(' or ')}.`;
  const host = hostOf(url);
  if (isIP(host) !== 0 && !isPublicAddress(host)) return 'Its host is not on the public internet.';
  return null;
}

/** The host without the brackets that an IPv6 address has in an address. */
function hostOf(url: URL): string {
  return url.hostname.replace(/^\[(.*)\]$/, '$1');
}
