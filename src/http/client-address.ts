/** Whose request it is: the connected address, or the one that trusted proxies name in X-Forwarded-For. */
import type { IncomingMessage } from 'node:http';
import ipaddr from 'ipaddr.js';
import { ipGuard } from './ip-guard';

/** Returns the address of a request's client; `unknown` when a trusted proxy names none that can be read. */
export type ClientAddress = (request: IncomingMessage) => string;

const UNKNOWN = 'unknown';

/**
 * Returns how to find the client behind these proxies, given as addresses and ranges. Each proxy appends whom
 * it serves to the header, so it is read from its end, as far as the proxies are trusted: what stands before
 * that, any client could have written. Of other connections the header is ignored.
 */
export function clientBehind(trustProxy: readonly string[]): ClientAddress {
  const isTrusted = ipGuard(trustProxy);
  return (request) => {
    let address = connectedAddress(request);
    for (const named of forwardedFor(request).reverse()) {
      if (!isTrusted(address)) break;
      address = parseHop(named) ?? UNKNOWN;
    }
    return address;
  };
}

/** Returns the address at the other end of the connection. */
export function connectedAddress(request: IncomingMessage): string {
  return parseHop(request.socket.remoteAddress ?? '') ?? UNKNOWN;
}

/** Returns every address that the headers of proxies name, whoever wrote them. */
export function namedAddresses(request: IncomingMessage): string[] {
  const realIp = [request.headers['x-real-ip'] ?? []].flat();
  const forwarded = request.headers.forwarded?.match(/for=("[^"]*"|[^;,\s]+)/gi) ?? [];
  const named = [...forwardedFor(request), ...realIp, ...forwarded.map((item) => item.replace(/^for=|"/gi, ''))];
  return named.map((hop) => parseHop(hop) ?? UNKNOWN);
}

function forwardedFor(request: IncomingMessage): string[] {
  const header = [request.headers['x-forwarded-for'] ?? []].flat().join(',');
  return header.split(',').flatMap((hop) => hop.trim() || []);
}

/** Parses `1.2.3.4`, `1.2.3.4:567`, `2001:db8::1`, `[2001:db8::1]` and `[2001:db8::1]:567`. */
function parseHop(text: string): string | undefined {
  const bare = /^\[([^\]]*)\](?::\d+)?$/.exec(text)?.[1] ?? /^([\d.]+):\d+$/.exec(text)?.[1] ?? text;
  return ipaddr.isValid(bare) ? ipaddr.process(bare).toString() : undefined;
}
