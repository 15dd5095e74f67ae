/** The admin API as its callers use it: commands, the demo and tests. Its server is `routes.ts`. */
import { z } from 'zod';
import { AppError } from '../lib/errors';
import { type AdminApi, JobDetails, JobView, MasterStatus, StorageUse, WorkerView } from '../protocol/admin';

export type AdminClientError =
  | { code: 'rpc/unreachable'; url: string }
  | { code: 'rpc/refused'; url: string }
  | { code: 'rpc/not-found'; rpcCode: number }
  | { code: 'rpc/failed'; rpcCode: number }
  | { code: 'rpc/bad-answer'; url: string };

/** A master's admin API over HTTP. Every method throws an `AdminClientError`. */
export interface AdminClient extends AdminApi {
  /** Calls any method; returns its result unchecked. */
  call(method: string, params?: unknown): Promise<unknown>;
}

interface Answer {
  result?: unknown;
  error?: { code: number; message: string; data?: unknown };
}

const TIMEOUT_MS = 30_000;
/** JSON-RPC error code of the server for a job that is not in its queue. */
const UNKNOWN_JOB = -32004;

/** Opens the admin API of the master at this address; nothing is sent before the first call. */
export function openAdminClient(masterUrl: string): AdminClient {
  const url = `${masterUrl.replace(/\/$/, '')}/api/json-rpc`;

  async function call(method: string, params?: unknown): Promise<unknown> {
    const response = await post(url, { jsonrpc: '2.0', id: 1, method, ...(params === undefined ? {} : { params }) });
    if (response.status === 401 || response.status === 403) {
      throw new AppError<AdminClientError>(
        { code: 'rpc/refused', url },
        `The master at ${url} does not serve this machine; add its address to jsonrpc_whitelist.`,
      );
    }
    const answer = await parseAnswer(url, response);
    if (answer.error) throw rpcFailure(answer.error);
    return answer.result;
  }

  async function callAs<T>(schema: z.ZodType<T>, method: string, params?: object): Promise<T> {
    const parsed = schema.safeParse(await call(method, params));
    if (parsed.success) return parsed.data;
    throw new AppError<AdminClientError>(
      { code: 'rpc/bad-answer', url },
      `The answer of ${url} to ${method} has another format than this version expects; run the same version on both sides.`,
      { cause: parsed.error },
    );
  }

  return {
    call,
    disconnect: (workerAddress) => callAs(z.enum(['disconnected', 'not exist']), 'disconnect', { workerAddress }),
    allow: (workerAddress) => callAs(z.enum(['allowed', 'not exist']), 'allow', { workerAddress }),
    measure: (workerAddress) => callAs(z.enum(['measuring', 'busy', 'not exist']), 'measure', { workerAddress }),
    workers: () => callAs(z.array(WorkerView), 'workers'),
    jobs: () => callAs(z.array(JobView), 'jobs'),
    job: (jobId) => callAs(JobDetails, 'job', { jobId }),
    requeue: (jobId) => callAs(z.literal('queued'), 'requeue', { jobId }),
    status: () => callAs(MasterStatus, 'status'),
    storage: () => callAs(StorageUse, 'storage'),
  };
}

async function post(url: string, body: unknown): Promise<Response> {
  try {
    return await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
  } catch (cause) {
    throw new AppError<AdminClientError>(
      { code: 'rpc/unreachable', url },
      `No master answers at ${url}; is it running?`,
      { cause },
    );
  }
}

async function parseAnswer(url: string, response: Response): Promise<Answer> {
  try {
    return (await response.json()) as Answer;
  } catch (cause) {
    throw new AppError<AdminClientError>(
      { code: 'rpc/bad-answer', url },
      `${url} answered with status ${response.status} and no JSON; it is not a master's address.`,
      { cause },
    );
  }
}

function rpcFailure(error: { code: number; message: string }): AppError<AdminClientError> {
  const code = error.code === UNKNOWN_JOB ? 'rpc/not-found' : 'rpc/failed';
  return new AppError<AdminClientError>(
    { code, rpcCode: error.code },
    `The master answered: ${error.message} (${error.code}).`,
  );
}
