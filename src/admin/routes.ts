/** The admin API as JSON-RPC 2.0 over HTTP, and its guards against other machines and web pages. */
import { isIP } from 'node:net';
import { type NextFunction, type Request, type Response, Router, text } from 'express';
import { type JSONRPCCallbackTypePlain, type JSONRPCRequestLike, type MethodLike, Server } from 'jayson';
import { z } from 'zod';
import { Address, JobId } from '../domain/ids';
import { type ClientAddress, connectedAddress, namedAddresses } from '../http/client-address';
import { AppError, describeError, errorCode } from '../lib/errors';
import type { Logger } from '../lib/logger';
import type { AdminApi } from '../protocol/admin';
import { parseRpc, printRpc } from './rpc-text';

export interface AdminOptions {
  clientAddress: ClientAddress;
  isAllowedIp(ip: string): boolean;
  /**
   * Origins whose pages may call: only this master's own. Their hosts are also the accepted names of this
   * master.
   */
  origins: readonly string[];
}

const MAX_BATCH = 50;
const UNKNOWN_JOB = -32004;
const FAILED = -32000;

const Worker = z.strictObject({
  workerAddress: z.preprocess(
    (text) => (typeof text === 'string' && /^[0-9a-fA-F]{40}$/.test(text) ? `0x${text}` : text),
    Address,
  ),
});
const Job = z.strictObject({ jobId: JobId });
const Nothing = z.union([z.undefined(), z.strictObject({}), z.tuple([])]);

/**
 * Returns the routes of the admin API, to be mounted at `/api/json-rpc`. Other addresses get 401 before
 * anything is read.
 */
export function adminRoutes(options: AdminOptions, master: AdminApi, logger: Logger): Router {
  const server = new Server(
    {
      disconnect: method(Worker, ({ workerAddress }) => master.disconnect(workerAddress), logger),
      allow: method(Worker, ({ workerAddress }) => master.allow(workerAddress), logger),
      measure: method(Worker, ({ workerAddress }) => master.measure(workerAddress), logger),
      workers: method(Nothing, () => master.workers(), logger),
      jobs: method(Nothing, () => master.jobs(), logger),
      job: method(Job, ({ jobId }) => master.job(jobId), logger),
      requeue: method(Job, ({ jobId }) => master.requeue(jobId), logger),
      status: method(Nothing, () => master.status(), logger),
      storage: method(Nothing, () => master.storage(), logger),
    },
    { maxBatchLength: MAX_BATCH },
  );
  const router = Router();
  router.use((request, response, next) => guard(options, request, response, next));
  router.post('/', text({ limit: '256kb', type: 'application/json' }), (request, response) =>
    answer(server, request, response),
  );
  router.use((error: unknown, _request: Request, response: Response, next: NextFunction) =>
    onBadBody(error, response, next),
  );
  return router;
}

function guard(options: AdminOptions, request: Request, response: Response, next: NextFunction): void {
  const { isAllowedIp, origins } = options;
  const origin = request.get('origin');
  if (!callers(options, request).every(isAllowedIp)) refuse(response, 401, 'This address is not in jsonrpc_whitelist.');
  else if (!isOwnHost(request.get('host') ?? '', origins))
    refuse(response, 403, 'This host name is not the one of my_url.');
  else if (origin !== undefined && !origins.includes(origin)) refuse(response, 403, 'Web pages may not call this API.');
  else if (request.method !== 'POST') refuse(response, 405, 'Send JSON-RPC 2.0 by POST.');
  else if (!request.is('application/json')) refuse(response, 415, 'Send Content-Type: application/json.');
  else next();
}

/**
 * Returns who calls: the client that trusted proxies name, or else the connected address and every address in
 * the headers of proxies. All of them must be allowed, since a proxy that is not trusted may serve everybody.
 */
function callers({ clientAddress }: AdminOptions, request: Request): string[] {
  const [client, connected] = [clientAddress(request), connectedAddress(request)];
  return client === connected ? [connected, ...namedAddresses(request)] : [client];
}

/**
 * Returns whether the Host header is an accepted name or a bare address. A foreign name that resolves to this
 * machine (DNS rebinding) is refused; a bare address cannot be such a name.
 */
function isOwnHost(host: string, origins: readonly string[]): boolean {
  if (!URL.canParse(`http://${host}`)) return false;
  const { hostname } = new URL(`http://${host}`);
  const isAddress = isIP(hostname.replace(/^\[|\]$/g, '')) !== 0;
  return isAddress || hostname === 'localhost' || origins.some((origin) => new URL(origin).hostname === hostname);
}

function answer(server: Server, request: Request, response: Response): void {
  let requests: unknown;
  try {
    requests = parseRpc(request.body || 'null');
  } catch {
    return void response.json({ jsonrpc: '2.0', id: null, error: { code: -32700, message: 'Parse error' } });
  }
  server.call(requests as JSONRPCRequestLike, (error: unknown, success: unknown) => {
    const reply = error ?? success;
    // A notification, or a batch of notifications, gets no answer.
    if (reply === undefined || reply === null) response.status(204).end();
    else response.type('json').send(printRpc(reply));
  });
}

function method<P>(schema: z.ZodType<P>, work: (params: P) => Promise<unknown>, logger: Logger): MethodLike {
  return (args: unknown, callback: JSONRPCCallbackTypePlain) => {
    const params = schema.safeParse(args);
    if (!params.success) {
      const [issue] = params.error.issues;
      const where = issue?.path.join('.') || 'params';
      return callback({ code: -32602, message: `Invalid params: ${where}: ${issue?.message ?? 'not as documented'}` });
    }
    work(params.data).then(
      (result) => callback(null, result as never),
      (error: unknown) => {
        const code = errorCode(error) === 'job/not-found' ? UNKNOWN_JOB : FAILED;
        if (!(error instanceof AppError)) logger.error('Admin method failed', {}, error);
        const message = error instanceof AppError ? describeError(error) : 'The master failed; its log says why.';
        callback({ code, message, data: { code: errorCode(error) } });
      },
    );
  };
}

function onBadBody(error: unknown, response: Response, next: NextFunction): void {
  if ((error as { type?: unknown }).type === 'entity.too.large')
    refuse(response, 413, 'The request is larger than 256 kB.');
  else next(error);
}

function refuse(response: Response, status: number, message: string): void {
  response.status(status).json({ error: { code: 'admin/refused', message } });
}
