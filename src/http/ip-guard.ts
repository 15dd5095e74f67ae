import ipaddr from 'ipaddr.js';

/**
 * A check of addresses against a list of single addresses, CIDR ranges and `*`. IPv4 addresses that arrive mapped into IPv6
 * (`::ffff:10.0.0.1`) count as IPv4.
 */
export function ipGuard(entries: readonly string[]): (ip: string) => boolean {
  if (entries.includes('*')) return () => true;
  const ranges = entries.map((entry) => (entry.includes('/') ? ipaddr.parseCIDR(entry) : wholeAddress(entry)));
  return (ip) => {
    if (!ipaddr.isValid(ip)) return false;
    const address = ipaddr.process(ip);
    return ranges.some(([base, bits]) => address.kind() === base.kind() && address.match([base, bits] as never));
  };
}

function wholeAddress(entry: string): [ipaddr.IPv4 | ipaddr.IPv6, number] {
  const address = ipaddr.process(entry);
  return [address, address.kind() === 'ipv4' ? 32 : 128];
}
