import { createServer, type Server } from 'node:http';
import express, { type ErrorRequestHandler, type Express } from 'express';
import helmet from 'helmet';
import { AppError, describeError, errorCode } from '../lib/errors';
import type { Logger } from '../lib/logger';
import { trackConnections } from './connections';
import { limitBodyTime } from './deadline';

export type HttpError =
  | { code: 'http/port-in-use'; host: string; port: number }
  | { code: 'http/cannot-listen'; host: string; port: number };

export interface HttpServer extends AsyncDisposable {
  readonly app: Express;
  /** For what upgrades: the link. */
  readonly server: Server;
  readonly port: number;
}

/** A connection over which nothing moves for so long is closed. The link takes its own sockets out of this rule. */
const IDLE_MS = 60_000;
/** Time for the headers of a request. */
const HEADERS_MS = 5000;
/** Time for the whole body of a request, unless its route allows a long one. */
const BODY_MS = 30_000;
/** How long requests under way may take to end when the server closes. */
const DRAIN_MS = 1000;

/**
 * Listens; `mount` adds the routes. Errors of routes become JSON `{error: {code, message}}`, with the `status` of the error if it has
 * one. Headers have five seconds and bodies thirty (see `deadline.ts`), connections are capped, in all and by address; how large a
 * body may be is for the routes to say.
 */
export async function openHttp(
  options: { host: string; port: number; maxConnections?: number; headersMs?: number; bodyMs?: number },
  mount: (app: Express) => void,
  deps: { logger: Logger },
): Promise<HttpServer> {
  const app = express();
  app.disable('x-powered-by');
  app.use(helmet(), limitBodyTime(options.bodyMs ?? BODY_MS));
  mount(app);
  app.use(
    (_request, response) =>
      void response.status(404).json({ error: { code: 'http/not-found', message: 'There is nothing here.' } }),
  );
  app.use(answerError(deps.logger));
  const headersTimeout = options.headersMs ?? HEADERS_MS;
  const limits = { headersTimeout, keepAliveTimeout: 5000, connectionsCheckingInterval: headersTimeout / 5 };
  const server = createServer(limits, app);
  // Node's own limit would be for all routes, large uploads too; `limitBodyTime` stands in for it.
  server.requestTimeout = 0;
  server.timeout = IDLE_MS;
  server.maxConnections = options.maxConnections ?? 4096;
  const connections = trackConnections(server);
  await listen(server, options);
  const address = server.address();
  return {
    app,
    server,
    port: typeof address === 'object' && address ? address.port : options.port,
    async [Symbol.asyncDispose]() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      const impatience = setTimeout(() => connections.destroyAll(), DRAIN_MS);
      await closed;
      clearTimeout(impatience);
    },
  };
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
        `Port ${port} on ${host} is in use; end the other program, or set another port in my_url or listen.port.`,
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
    // Whoever asked is gone; there is nobody to tell and nothing to mend.
    if (request.socket.destroyed) return;
    const status = statusOf(error);
    if (status >= 500) logger.error('Request failed', { path: request.path }, error);
    const message = status >= 500 ? 'The server failed; its log says why.' : describeError(error);
    response.status(status).json({ error: { code: errorCode(error), message } });
  };
}

function statusOf(error: unknown): number {
  const detail = error instanceof AppError ? (error.detail as { status?: unknown }).status : undefined;
  const status = detail ?? (error as { status?: unknown }).status;
  return typeof status === 'number' && status >= 400 && status < 600 ? status : 500;
}
