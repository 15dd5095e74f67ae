/** The HTTP server of every role: limits, headers, errors as JSON, a clean close. */
import { createServer, type Server } from 'node:http';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https';
import express, { type ErrorRequestHandler, type Express } from 'express';
import helmet from 'helmet';
import { AppError, describeError, errorCode } from '../lib/errors';
import type { Logger } from '../lib/logger';
import { trackConnections } from './connections';
import { limitBodyTime } from './deadline';
import { type Certificate, type Listening, refuseInsecure } from './public-listening';

export type HttpError =
  | { code: 'http/port-in-use'; host: string; port: number }
  | { code: 'http/cannot-listen'; host: string; port: number };

export interface HttpOptions extends Listening {
  port: number;
  maxConnections?: number;
  maxUpgraded?: number;
  firstByteMs?: number;
  headersMs?: number;
  bodyMs?: number;
  renewMs?: number;
}

/** A listening server. */
export interface HttpServer extends AsyncDisposable {
  readonly app: Express;
  /** For the link, which upgrades connections. */
  readonly server: Server;
  readonly port: number;
}

/** Milliseconds after which an idle connection is closed. The link exempts its sockets. */
const IDLE_MS = 60_000;
const MAX_CONNECTIONS = 4096;
/** Of workers, each of which holds one WebSocket. */
const MAX_UPGRADED = 16_384;
/** Milliseconds for the first byte of a connection. */
const FIRST_BYTE_MS = 2000;
/** Milliseconds for the headers of a request. */
const HEADERS_MS = 5000;
/** Milliseconds for the whole body of a request, unless its route lifts the limit. */
const BODY_MS = 30_000;
/** Headers that describe what is served, and how long it may be kept. */
const OF_FILES = ['cache-control', 'etag', 'accept-ranges', 'content-range'];
/** Milliseconds that pending requests have to end when the server closes. */
const DRAIN_MS = 1000;
/** So often the files of a certificate are looked at: it may have been renewed. */
const RENEW_MS = 60_000;

/**
 * Opens a server; `mount` adds the routes. Errors of routes become JSON `{error: {code, message}}`, with the
 * `status` of the error if it has one. Time for headers and bodies is limited, as are connections, in total
 * and per address; the routes limit the size of bodies. Throws `http/…`.
 */
export async function openHttp(
  options: HttpOptions,
  mount: (app: Express) => void,
  deps: { logger: Logger },
): Promise<HttpServer> {
  refuseInsecure(options);
  const app = express();
  app.disable('x-powered-by');
  app.use(helmet(), limitBodyTime(options.bodyMs ?? BODY_MS));
  mount(app);
  app.use(
    (_request, response) =>
      void response.status(404).json({ error: { code: 'http/not-found', message: 'There is nothing at this path.' } }),
  );
  app.use(answerError(deps.logger));
  const headersTimeout = options.headersMs ?? HEADERS_MS;
  const limits = { headersTimeout, keepAliveTimeout: 5000, connectionsCheckingInterval: headersTimeout / 5 };
  const { tls } = options;
  const server = tls
    ? createTlsServer({ ...limits, ...pem(tls), handshakeTimeout: headersTimeout }, app)
    : createServer(limits, app);
  if (tls) keepCertificate(server as TlsServer, tls, options.renewMs ?? RENEW_MS, deps.logger);
  // Node's own limit would hold for large uploads too; `limitBodyTime` replaces it.
  server.requestTimeout = 0;
  server.timeout = IDLE_MS;
  const { maxConnections = MAX_CONNECTIONS, maxUpgraded = MAX_UPGRADED, trustProxy = [] } = options;
  const { firstByteMs = FIRST_BYTE_MS } = options;
  const connections = trackConnections(server, { maxConnections, maxUpgraded, firstByteMs, trustProxy });
  await listen(server, options);
  const address = server.address();
  return {
    app,
    server,
    port: typeof address === 'object' && address ? address.port : options.port,
    async [Symbol.asyncDispose]() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      const force = setTimeout(() => connections.destroyAll(), DRAIN_MS);
      await closed;
      clearTimeout(force);
    },
  };
}

function pem({ cert, key }: Certificate) {
  return { cert, key };
}

/** Takes a renewed certificate up for new connections; until one can be used, the old one stays. */
function keepCertificate(server: TlsServer, tls: Certificate, everyMs: number, logger: Logger): void {
  let current = pem(tls);
  const look = setInterval(() => {
    try {
      const found = tls.renew?.() ?? current;
      if (found.cert === current.cert && found.key === current.key) return;
      server.setSecureContext(found);
      current = found;
      logger.info('The renewed certificate is in use');
    } catch (error) {
      logger.warn('The certificate cannot be renewed; the one before stays in use', {}, error);
    }
  }, everyMs).unref();
  server.once('close', () => clearInterval(look));
}

async function listen(server: Server, { host, port }: { host: string; port: number }): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  }).catch((cause) => {
    if (errorCode(cause) === 'EADDRINUSE') {
      throw new AppError<HttpError>(
        { code: 'http/port-in-use', host, port },
        `Port ${port} on ${host} is in use; stop the other program, or set another port in my_url or listen.port.`,
        { cause },
      );
    }
    throw new AppError<HttpError>(
      { code: 'http/cannot-listen', host, port },
      `Cannot listen on ${host}:${port} (${describeError(cause)}); correct listen in the configuration.`,
      { cause },
    );
  });
}

function answerError(logger: Logger): ErrorRequestHandler {
  return (error, request, response, next) => {
    if (response.headersSent) return next(error);
    // The client has disconnected, so there is nobody to answer.
    if (request.socket.destroyed) return;
    // Set by a route that meant to send a file: nobody may keep the error in its place.
    for (const name of OF_FILES) response.removeHeader(name);
    const status = statusOf(error);
    if (status >= 500 && !isRefusal(error)) logger.error('Request failed', { path: request.path }, error);
    response.status(status).json({ error: { code: errorCode(error), message: messageOf(error, status) } });
  };
}

/** What went wrong inside is not told, as it may name paths and hosts; a refusal is, in its own words. */
function messageOf(error: unknown, status: number): string {
  if (status < 500) return describeError(error);
  return isRefusal(error) ? error.message : 'The server failed; see its log for the reason.';
}

/** True for an error that was made to be answered, such as that there is no room. */
function isRefusal(error: unknown): error is AppError {
  return error instanceof AppError && 'status' in error.detail;
}

function statusOf(error: unknown): number {
  const detail = error instanceof AppError ? (error.detail as { status?: unknown }).status : undefined;
  const status = detail ?? (error as { status?: unknown }).status;
  return typeof status === 'number' && status >= 400 && status < 600 ? status : 500;
}
