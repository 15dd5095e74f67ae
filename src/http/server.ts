import { createServer, type Server } from 'node:http';
import express, { type ErrorRequestHandler, type Express } from 'express';
import helmet from 'helmet';
import { AppError, describeError, errorCode } from '../lib/errors';
import type { Logger } from '../lib/logger';

export type HttpError =
  | { code: 'http/port-in-use'; host: string; port: number }
  | { code: 'http/cannot-listen'; host: string; port: number };

export interface HttpServer extends AsyncDisposable {
  readonly app: Express;
  /** For what upgrades: the link. */
  readonly server: Server;
  readonly port: number;
}

/**
 * Listens; `mount` adds the routes. Errors of routes become JSON `{error: {code, message}}`, with the `status` of the error if it has
 * one. Slow headers are cut off after five seconds, connections are capped; bodies are limited by the routes.
 */
export async function openHttp(
  options: { host: string; port: number; maxConnections?: number },
  mount: (app: Express) => void,
  deps: { logger: Logger },
): Promise<HttpServer> {
  const app = express();
  app.disable('x-powered-by');
  app.use(helmet());
  mount(app);
  app.use((_request, response) => void response.status(404).json({ error: { code: 'http/not-found', message: 'There is nothing here.' } }));
  app.use(answerError(deps.logger));
  const server = createServer({ headersTimeout: 5000, keepAliveTimeout: 5000, connectionsCheckingInterval: 1000 }, app);
  // A large blob may take long; the routes bound it by progress instead.
  server.requestTimeout = 0;
  server.maxConnections = options.maxConnections ?? 4096;
  await listen(server, options);
  const address = server.address();
  return {
    app,
    server,
    port: typeof address === 'object' && address ? address.port : options.port,
    async [Symbol.asyncDispose]() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
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
