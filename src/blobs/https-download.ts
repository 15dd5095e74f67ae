/** Requests to URLs that strangers wrote, kept away from private networks. */
import { lookup } from 'node:dns';
import ipaddr from 'ipaddr.js';
import { Agent, type Dispatcher, request } from 'undici';
import { AppError, describeError } from '../lib/errors';

export type HttpsError = { code: 'https/forbidden-address'; address: string } | { code: 'https/failed' };

export interface HttpsRules {
  /** Decides which addresses may be connected to. Default: public ones. */
  isAllowedAddress?: ((address: string) => boolean) | undefined;
  /** Certificates to trust in addition to the usual ones, in PEM. */
  ca?: string | undefined;
}

export interface HttpsOptions extends HttpsRules {
  method: 'GET' | 'HEAD';
  signal?: AbortSignal | undefined;
}

const MAX_REDIRECTS = 5;
/** The longest a transfer may take, however slowly its bytes arrive. */
const MAX_MS = 2 * 3600_000;

/**
 * Requests an untrusted URL and passes the answer to `use`. At every redirect the connection is pinned to an
 * address that was checked to be public, so that neither a name nor a redirect can reach into the private
 * network (server-side request forgery).
 */
export async function requestForeign<T>(
  url: URL,
  options: HttpsOptions,
  use: (answer: Dispatcher.ResponseData) => Promise<T>,
): Promise<T> {
  const { method, isAllowedAddress = isPublic, ca } = options;
  // Without keep-alive (`pipelining: 0`), every connection ends with its answer.
  const connect = { lookup: checkedLookup(isAllowedAddress), timeout: 10_000, ...(ca ? { ca } : {}) };
  await using agent = disposable(new Agent({ pipelining: 0, connect, headersTimeout: 30_000, bodyTimeout: 30_000 }));
  const timeout = AbortSignal.timeout(MAX_MS);
  const signal = options.signal ? AbortSignal.any([options.signal, timeout]) : timeout;
  let target = url;
  for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects++) {
    assertAllowed(target, isAllowedAddress);
    const answer = await request(target, { method, dispatcher: agent.it, signal }).catch((error) => {
      throw options.signal?.aborted || error instanceof AppError ? error : failed(error);
    });
    const { location } = answer.headers;
    if (answer.statusCode < 300 || answer.statusCode >= 400 || typeof location !== 'string') return await use(answer);
    await answer.body.dump();
    if (!URL.canParse(location, target.href)) throw failed(new Error(`it redirects to ${JSON.stringify(location)}.`));
    target = new URL(location, target);
  }
  throw failed(new Error(`it redirects more than ${MAX_REDIRECTS} times.`));
}

function disposable(it: Agent) {
  return { it, [Symbol.asyncDispose]: () => it.destroy() };
}

/**
 * Checks scheme and literal addresses. Names are checked in the lookup, whose result is the address connected
 * to.
 */
function assertAllowed(target: URL, isAllowedAddress: (address: string) => boolean): void {
  if (target.protocol !== 'https:') throw forbidden(target.protocol);
  const literal = target.hostname.replace(/^\[|\]$/g, '');
  if (ipaddr.isValid(literal) && !isAllowedAddress(literal)) throw forbidden(literal);
}

interface Resolved {
  address: string;
  family: number;
}
type LookupCallback = (error: Error | null, address: string | Resolved[], family?: number) => void;

function checkedLookup(isAllowedAddress: (address: string) => boolean) {
  return (hostname: string, { all }: { all?: boolean | undefined }, callback: LookupCallback): void => {
    lookup(hostname, { all: true }, (error, addresses) => {
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
