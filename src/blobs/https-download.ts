/** Requests to URLs that strangers wrote, kept away from private networks. */
import { lookup as lookupName } from 'node:dns';
import { lookup as lookupAll } from 'node:dns/promises';
import { once } from 'node:events';
import { Agent, type IncomingHttpHeaders, type IncomingMessage, request as requestPlain } from 'node:http';
import { request as requestSecure, Agent as SecureAgent } from 'node:https';
import { HttpsProxyAgent } from 'https-proxy-agent';
import ipaddr from 'ipaddr.js';
import { AppError, describeError, errorCode } from '../lib/errors';
import { proxyFor } from '../lib/proxy';

export type HttpsError = { code: 'https/forbidden-address'; address: string } | { code: 'https/failed' };

export interface HttpsRules {
  /** Decides which addresses may be connected to. Default: public ones. */
  isAllowedAddress?: ((address: string) => boolean) | undefined;
  /** The origin of a server that this machine's operator named: it may lie anywhere, and speak plain http. */
  ownOrigin?: string | undefined;
  /** Certificates to trust in addition to the usual ones, in PEM. */
  ca?: string | undefined;
}

export interface HttpsOptions extends HttpsRules {
  method: 'GET' | 'HEAD';
  /** Sent to the server of the URL itself; one that it redirects to gets no `authorization`. */
  headers?: Readonly<Record<string, string>> | undefined;
  /** The longest that nothing may arrive. */
  idleMs?: number | undefined;
  signal?: AbortSignal | undefined;
  /** Keeps connections for further requests under the same rules; without it none outlives its answer. */
  kept?: SecureAgent | undefined;
}

const MAX_REDIRECTS = 5;
/** The longest a transfer may take, however slowly its bytes arrive. */
const MAX_MS = 2 * 3600_000;
const IDLE_MS = 30_000;
/** So long a connection waits for a further request. */
const KEPT_MS = 4000;

/** What a server answered; its body arrives while it is read. */
export interface ForeignAnswer {
  readonly statusCode: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: AsyncIterable<Uint8Array>;
}

/** Returns what keeps connections to servers of strangers; proxies are dialled anew each time. */
export function keepConnections(): SecureAgent {
  return new SecureAgent({ keepAlive: true, timeout: KEPT_MS });
}

/** As `openForeign`, for `use`: whatever of the body that leaves is dropped. */
export async function requestForeign<T>(
  url: URL,
  options: HttpsOptions,
  use: (answer: ForeignAnswer) => Promise<T>,
): Promise<T> {
  const timeout = AbortSignal.timeout(MAX_MS);
  const signal = options.signal ? AbortSignal.any([options.signal, timeout]) : timeout;
  const answer = await openForeign(url, { ...options, signal });
  try {
    return await use(answer);
  } catch (error) {
    // Node only says that the connection was aborted.
    signal.throwIfAborted();
    throw error;
  } finally {
    answer.body.destroy();
  }
}

/**
 * Requests an untrusted URL and returns the answer, whose body is to be read or destroyed. At every redirect
 * the connection is pinned to an address that was checked to be public, so that neither a name nor a
 * redirect can reach into the private network (server-side request forgery).
 */
export async function openForeign(
  url: URL,
  options: HttpsOptions,
): Promise<ForeignAnswer & { readonly body: IncomingMessage }> {
  let target = url;
  for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects++) {
    const isAllowedAddress = requireAllowed(target, options);
    if (proxyFor(target)) await assertNotInside(target, isAllowedAddress);
    const { authorization, ...others } = options.headers ?? {};
    const isOwn = authorization !== undefined && target.origin === url.origin;
    const headers = isOwn ? { ...others, authorization } : others;
    const body = await send(target, { ...options, headers, isAllowedAddress });
    const { statusCode = 0 } = body;
    const { location } = body.headers;
    if (statusCode < 300 || statusCode >= 400 || location === undefined)
      return { statusCode, headers: body.headers, body };
    body.destroy();
    if (!URL.canParse(location, target.href)) throw failed(new Error(`it redirects to ${JSON.stringify(location)}.`));
    target = new URL(location, target);
  }
  throw failed(new Error(`it redirects more than ${MAX_REDIRECTS} times.`));
}

/**
 * Whether an address might be anybody's: https, and neither a name nor a number of this network or machine.
 */
export function isPublicUrl(address: string): boolean {
  const { protocol, hostname } = new URL(address);
  if (protocol !== 'https:') return false;
  const host = hostname.replace(/^\[|\]$/g, '');
  if (ipaddr.isValid(host)) return isPublic(host);
  return host.includes('.') && !/\.(localhost|local|internal)$/.test(host);
}

/** Sends one request and returns the answer once its headers are here. */
async function send(
  target: URL,
  options: HttpsOptions & { isAllowedAddress: (address: string) => boolean },
): Promise<IncomingMessage> {
  const { method, headers, ca, isAllowedAddress, signal, idleMs = IDLE_MS, kept } = options;
  const proxy = proxyFor(target);
  const isPlain = target.protocol === 'http:';
  const direct = () => (isPlain ? new Agent() : (kept ?? new SecureAgent()));
  const agent = proxy === undefined ? direct() : new HttpsProxyAgent(proxy);
  const request = isPlain ? requestPlain : requestSecure;
  const lookup = checkedLookup(isAllowedAddress);
  const trust = ca ? { ca } : {};
  const sent = request(target, { method, headers, agent, lookup, signal, timeout: idleMs, ...trust });
  sent.on('timeout', () => sent.destroy(new Error(`nothing arrived for ${idleMs / 1000} s.`)));
  // Errors after the answer are those of its body.
  sent.on('error', () => {});
  try {
    const answered = once(sent, 'response');
    sent.end();
    const [answer] = (await answered) as [IncomingMessage];
    return answer;
  } catch (error) {
    signal?.throwIfAborted();
    // The server had given up a connection that was kept; to ask twice changes nothing there.
    if (sent.reusedSocket && errorCode(error) === 'ECONNRESET') return send(target, options);
    throw error instanceof AppError ? error : failed(error as Error);
  }
}

/**
 * Checks scheme and literal addresses, and returns what decides about others. Names are checked in the
 * lookup, whose result is the address connected to.
 */
function requireAllowed(
  target: URL,
  { ownOrigin, isAllowedAddress = isPublic }: HttpsRules,
): (address: string) => boolean {
  if (target.origin === ownOrigin) return () => true;
  if (target.protocol !== 'https:') throw forbidden(target.protocol);
  const literal = target.hostname.replace(/^\[|\]$/g, '');
  if (ipaddr.isValid(literal) && !isAllowedAddress(literal)) throw forbidden(literal);
  return isAllowedAddress;
}

/**
 * Checks a name whose lookup is left to a proxy, as far as it means something here: behind a proxy a machine
 * often knows the names of its own network alone.
 */
async function assertNotInside({ hostname }: URL, isAllowedAddress: (address: string) => boolean): Promise<void> {
  const addresses = await lookupAll(hostname, { all: true }).catch(() => []);
  const inside = addresses.find(({ address }) => !isAllowedAddress(address));
  if (inside) throw forbidden(inside.address);
}

interface Resolved {
  address: string;
  family: number;
}
type LookupCallback = (error: Error | null, address: string | Resolved[], family?: number) => void;

function checkedLookup(isAllowedAddress: (address: string) => boolean) {
  return (hostname: string, { all }: { all?: boolean | undefined }, callback: LookupCallback): void => {
    lookupName(hostname, { all: true }, (error, addresses) => {
      const [first] = addresses ?? [];
      if (error || !first) return callback(error ?? new Error(`${hostname} has no address`), []);
      const inside = addresses.find(({ address }) => !isAllowedAddress(address));
      if (inside) return callback(forbidden(inside.address), []);
      if (all) callback(null, addresses);
      else callback(null, first.address, first.family);
    });
  };
}

const GLOBAL_IPV6 = ipaddr.IPv6.parseCIDR('2000::/3');

function isPublic(address: string): boolean {
  if (!ipaddr.isValid(address)) return false;
  const parsed = ipaddr.process(address);
  // ipaddr.js also counts `::/96` as unicast, which embeds all of IPv4.
  const isGlobal = parsed instanceof ipaddr.IPv4 || parsed.match(GLOBAL_IPV6);
  return isGlobal && parsed.range() === 'unicast';
}

function failed(cause: Error): AppError<HttpsError> {
  return new AppError({ code: 'https/failed' }, describeError(cause), { cause });
}

function forbidden(address: string): AppError<HttpsError> {
  return new AppError({ code: 'https/forbidden-address', address }, `${address} is not a public https address.`);
}
