/** Whitelists of IP addresses and ranges. */
import ipaddr from 'ipaddr.js';
import { AppError } from '../lib/errors';

export type IpGuardError = { code: 'http/bad-ip-entry'; entry: string };

type Range = [ipaddr.IPv4 | ipaddr.IPv6, number];

/**
 * Returns a check of addresses against a list of single addresses, CIDR ranges and `*`. IPv4 addresses mapped
 * into IPv6 (`::ffff:10.0.0.1`) count as IPv4. Throws `http/bad-ip-entry`.
 */
export function ipGuard(entries: readonly string[]): (ip: string) => boolean {
  if (entries.includes('*')) return () => true;
  const ranges = entries.map(parseEntry);
  return (ip) => {
    if (!ipaddr.isValid(ip)) return false;
    const address = ipaddr.process(ip);
    return ranges.some(([base, bits]) => isWithin(address, base, bits));
  };
}

function isWithin(address: ipaddr.IPv4 | ipaddr.IPv6, base: ipaddr.IPv4 | ipaddr.IPv6, bits: number): boolean {
  if (address instanceof ipaddr.IPv4) return base instanceof ipaddr.IPv4 && address.match(base, bits);
  return base instanceof ipaddr.IPv6 && address.match(base, bits);
}

function parseEntry(entry: string): Range {
  try {
    if (entry.includes('/')) return ipaddr.parseCIDR(entry);
    const address = ipaddr.process(entry);
    return [address, address.kind() === 'ipv4' ? 32 : 128];
  } catch (cause) {
    throw new AppError<IpGuardError>(
      { code: 'http/bad-ip-entry', entry },
      `${entry} is neither an IP address, nor a range such as 10.0.0.0/8, nor *.`,
      { cause },
    );
  }
}
