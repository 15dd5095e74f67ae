/** Plain HTTP that other machines can reach is a decision of the operator, never a default. */
import { AppError } from '../lib/errors';
import { ipGuard } from './ip-guard';

export type ListeningError = { code: 'http/insecure'; host: string };

/** PEM texts, and how to read them anew. */
export interface Certificate {
  cert: string;
  key: string;
  /** Throws what is wrong with them by now. */
  renew?: (() => { cert: string; key: string }) | undefined;
}

/** Where a server listens, and what protects those who reach it there. */
export interface Listening {
  host: string;
  /** The server speaks TLS. */
  tls?: Certificate | undefined;
  trustProxy?: readonly string[];
  /** The operator wants plain HTTP there. */
  insecure?: boolean | undefined;
}

const LOOPBACK = ipGuard(['127.0.0.0/8', '::1']);

/** Throws `http/insecure` for plain HTTP on an address that other machines reach, unless somebody said so. */
export function refuseInsecure({ host, tls, trustProxy = [], insecure }: Listening): void {
  if (host === 'localhost' || LOOPBACK(host) || tls || insecure || trustProxy.length > 0) return;
  throw new AppError<ListeningError>(
    { code: 'http/insecure', host },
    `Plain HTTP on ${host} lets everybody on the way read and change data sets, results and admin calls; set listen.certFile and listen.keyFile, or listen.host 127.0.0.1 behind a proxy with TLS (docs/behind-a-proxy.md), or trustProxy for a proxy elsewhere; --insecure does without.`,
  );
}
