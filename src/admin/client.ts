import { AppError } from '../lib/errors';

export type RpcError =
  | { code: 'rpc/unreachable'; url: string }
  | { code: 'rpc/refused'; url: string }
  | { code: 'rpc/not-found'; rpcCode: number }
  | { code: 'rpc/failed'; rpcCode: number }
  | { code: 'rpc/bad-answer'; url: string };

interface Answer {
  result?: unknown;
  error?: { code: number; message: string; data?: unknown };
}

const TIMEOUT_MS = 30_000;
// What the admin API answers for a job it does not know.
const UNKNOWN_JOB = -32004;

/** Calls one method of a master's admin API. */
export async function callAdmin(masterUrl: string, method: string, params: unknown): Promise<unknown> {
  const url = `${masterUrl.replace(/\/$/, '')}/api/json-rpc`;
  const response = await post(url, { jsonrpc: '2.0', id: 1, method, ...(params === undefined ? {} : { params }) });
  if (response.status === 401 || response.status === 403) {
    throw new AppError<RpcError>(
      { code: 'rpc/refused', url },
      `The master at ${url} does not serve this machine; add its address to jsonrpc_whitelist.`,
    );
  }
  const answer = await parseAnswer(url, response);
  if (answer.error) throw rpcFailure(answer.error);
  return answer.result;
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
    throw new AppError<RpcError>({ code: 'rpc/unreachable', url }, `No master answers at ${url}; is it running?`, {
      cause,
    });
  }
}

async function parseAnswer(url: string, response: Response): Promise<Answer> {
  try {
    return (await response.json()) as Answer;
  } catch (cause) {
    throw new AppError<RpcError>(
      { code: 'rpc/bad-answer', url },
      `${url} answered ${response.status} and no JSON; that is not a master's address.`,
      { cause },
    );
  }
}

function rpcFailure(error: { code: number; message: string }): AppError<RpcError> {
  const code = error.code === UNKNOWN_JOB ? 'rpc/not-found' : 'rpc/failed';
  return new AppError<RpcError>(
    { code, rpcCode: error.code },
    `The master answered: ${error.message} (${error.code}).`,
  );
}
