/** How a role's HTTP server listens: its settings, and what its command line says otherwise. */
import { readFileSync } from 'node:fs';
import { listenAddress } from '../config/derived';
import type { RoleConfig } from '../config/schema';
import { assertPrivate } from '../config/secrets';
import type { HttpOptions } from '../http/server';
import { AppError } from '../lib/errors';
import type { CommonOptions } from '../terminal/options';

export type ServingError = { code: 'http/no-certificate'; path: string };

/** Host and port override those of the configuration. */
export interface ServingOptions extends CommonOptions {
  host?: string | undefined;
  port?: number | undefined;
  /** Plain HTTP that other machines reach. */
  insecure?: boolean | undefined;
}

/** Returns what `openHttp` takes. Throws `http/no-certificate`, and `config/exposed-secret` for its key. */
export function servingOptions(
  config: RoleConfig<'master' | 'board' | 'storage'>,
  options: ServingOptions,
): HttpOptions {
  const { trustProxy, listen } = config;
  const { certFile, keyFile } = listen;
  const place = listenAddress(config);
  const read = certFile && keyFile ? () => readCertificate(certFile, keyFile) : undefined;
  return {
    host: options.host ?? place.host,
    port: options.port ?? place.port,
    trustProxy,
    insecure: options.insecure ?? listen.insecure,
    tls: read && { ...read(), renew: read },
  };
}

function readCertificate(certFile: string, keyFile: string): { cert: string; key: string } {
  assertPrivate(keyFile, 'The key of the certificate');
  return { cert: readPem(certFile), key: readPem(keyFile) };
}

function readPem(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new AppError<ServingError>(
      { code: 'http/no-certificate', path },
      `${path} cannot be read; correct listen.certFile and listen.keyFile in the configuration.`,
      { cause },
    );
  }
}
