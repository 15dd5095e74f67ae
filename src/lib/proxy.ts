/** The HTTP proxies that the environment names: HTTPS_PROXY, HTTP_PROXY and NO_PROXY. */
import ipaddr from 'ipaddr.js';
import { Agent, Pool, ProxyAgent, setGlobalDispatcher } from 'undici';
import { AppError } from './errors';

export type ProxyError = { code: 'config/bad-proxy'; variable: string };

/**
 * Returns the proxy for an address, undefined for none. WebSockets go the way of HTTP. This machine itself is
 * never reached through a proxy. Throws `config/bad-proxy`.
 */
export function proxyFor(address: string | URL, env: NodeJS.ProcessEnv = process.env): string | undefined {
  const url = new URL(address);
  const isSecure = url.protocol === 'https:' || url.protocol === 'wss:';
  const proxy = readProxy(env, isSecure ? 'https_proxy' : 'http_proxy');
  const port = url.port || (isSecure ? '443' : '80');
  return isExempt(url.hostname, port, read(env, 'no_proxy')) ? undefined : proxy;
}

/**
 * An agent like undici's own, by way of the proxies of the environment. From undici 7.26 to 7.30 some
 * ordinary servers could end the process (nodejs/undici#5360); 8 needs Node 22, so this stays with 7.25.
 */
export function proxiedAgent(options: Agent.Options = {}): Agent {
  return new Agent({ ...options, factory: (origin, opts) => openOrigin(new URL(origin), opts as Agent.Options) });
}

/**
 * Has `fetch` go by way of the proxies of the environment, and by the undici above: newer releases of Node
 * bring one of the others. Throws `config/bad-proxy`.
 */
export function useProxies(): void {
  for (const name of ['https_proxy', 'http_proxy']) readProxy(process.env, name);
  setGlobalDispatcher(proxiedAgent());
}

function openOrigin(origin: URL, options: Agent.Options): Pool | ProxyAgent {
  const uri = proxyFor(origin);
  if (uri === undefined) return new Pool(origin, options);
  // Proxies that let a plain request pass often refuse a tunnel for it.
  return new ProxyAgent({ ...options, uri, proxyTunnel: false });
}

function readProxy(env: NodeJS.ProcessEnv, name: string): string | undefined {
  const value = read(env, name);
  if (value === '') return undefined;
  const proxy = value.includes('://') ? value : `http://${value}`;
  if (/^https?:/i.test(proxy) && URL.canParse(proxy)) return proxy;
  const variable = name.toUpperCase();
  throw new AppError<ProxyError>(
    { code: 'config/bad-proxy', variable },
    `The proxy in ${variable} cannot be used; set it to an http:// or https:// address.`,
  );
}

function read(env: NodeJS.ProcessEnv, name: string): string {
  return (env[name] || env[name.toUpperCase()] || '').trim();
}

/** Whether a host is this machine, or in a list as curl reads it. */
function isExempt(hostname: string, port: string, list: string): boolean {
  const host = hostname.replace(/^\[|\]$/g, '').toLowerCase();
  const address = ipaddr.isValid(host) ? ipaddr.process(host) : undefined;
  if (host === 'localhost' || host.endsWith('.localhost') || address?.range() === 'loopback') return true;
  return list
    .toLowerCase()
    .split(/[\s,]+/)
    .some((entry) => {
      if (entry === '*') return true;
      const [, name = entry, onlyPort = port] = /^(.*[^:]):(\d+)$/.exec(ipaddr.isValid(entry) ? '' : entry) ?? [];
      if (onlyPort !== port) return false;
      const bare = name.replace(/^\*?\.|^\[|\]$/g, '');
      if (address) return isWithin(address, bare);
      return bare !== '' && (host === bare || host.endsWith(`.${bare}`));
    });
}

function isWithin(address: ipaddr.IPv4 | ipaddr.IPv6, entry: string): boolean {
  if (ipaddr.isValid(entry)) return ipaddr.process(entry).toString() === address.toString();
  if (!ipaddr.isValidCIDR(entry)) return false;
  const [base, bits] = ipaddr.parseCIDR(entry);
  return base.kind() === address.kind() && address.match(base, bits);
}
