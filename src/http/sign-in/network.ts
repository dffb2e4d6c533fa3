import ipaddr from 'ipaddr.js';

/**
 * Who counts as one when tries are counted: an IPv4 address; of IPv6 the first 64 bits, because whoever has one such
 * address has all of them.
 */
export function networkOf(ip: string): string {
  if (!ipaddr.isValid(ip)) return 'unknown';
  const address = ipaddr.process(ip);
  if (address instanceof ipaddr.IPv4) return address.toString();
  return `${ipaddr.IPv6.networkAddressFromCIDR(`${address.toNormalizedString().replace(/%.*$/, '')}/64`).toString()}/64`;
}
