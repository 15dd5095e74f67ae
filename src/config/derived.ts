/** Settings that follow from others where they are left out. */
import type { MasterConfig } from './roles/master';

interface ListenSettings {
  my_url: string;
  listen: Pick<MasterConfig['listen'], 'host' | 'port'>;
}

/** Returns where a server listens: `listen`, and what that leaves out as `my_url` implies. */
export function listenAddress(config: ListenSettings): { host: string; port: number } {
  const url = new URL(config.my_url);
  const isLocal = ['127.0.0.1', 'localhost', '[::1]'].includes(url.hostname);
  const impliedPort = Number(url.port) || (url.protocol === 'https:' ? 443 : 80);
  return {
    host: config.listen.host ?? (isLocal ? '127.0.0.1' : '0.0.0.0'),
    port: config.listen.port ?? impliedPort,
  };
}

/** Returns the address of a server's path, below the prefix that a reverse proxy may have put before it. */
export function addressBelow(base: string, path: string): URL {
  const url = new URL(base);
  url.pathname = `${url.pathname.replace(/\/+$/, '')}/${path}`;
  return url;
}

/** Returns where workers dial the master at this address. */
export function linkAddress(masterUrl: string): string {
  const url = addressBelow(masterUrl, 'link');
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  return url.href;
}

/** Returns the storages a master uses: the configured ones, or its own. */
export function storageAddresses(config: Pick<MasterConfig, 'my_url' | 'storageApi'>): readonly string[] {
  return config.storageApi ?? [ownStorage(config)];
}

/** Returns where the storage API of a master is. */
export function ownStorage({ my_url }: Pick<MasterConfig, 'my_url'>): string {
  return addressBelow(my_url, 'api/v1').href;
}
