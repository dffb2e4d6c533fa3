import ipaddr from 'ipaddr.js';

/** The part of IPv6 from which addresses are given to the internet; whatever is outside is special or not in use. */
const GLOBAL_IPV6 = ipaddr.IPv6.parseCIDR('2000::/3');
/** Inside the global part, and yet not the internet: examples of documents. */
const DOCUMENTATION_IPV6 = ipaddr.IPv6.parseCIDR('3fff::/20');
/** Anycast of 6to4 relays: leads back into IPv6 at an address of the sender's choice. */
const RELAYS_IPV4 = ipaddr.IPv4.parseCIDR('192.88.99.0/24');

/**
 * Is this an address on the public internet. An allow-list: private, loopback, link-local (with the metadata services
 * of the clouds), shared (CGNAT), unique local, multicast, reserved and documentation addresses are not, and neither is
 * any IPv6 form that carries an IPv4 address (mapped, 6to4, Teredo, NAT64), because it can lead to one of those.
 * @param text an address without brackets; anything else is not public
 */
export function isPublicAddress(text: string): boolean {
  // A zone (`fe80::1%eth0`) names an interface of this machine.
  if (text.includes('%') || !ipaddr.isValid(text)) return false;
  const address = ipaddr.parse(text);
  if (address.range() !== 'unicast') return false;
  if (address instanceof ipaddr.IPv4) return !address.match(RELAYS_IPV4);
  return address.match(GLOBAL_IPV6) && !address.match(DOCUMENTATION_IPV6);
}
