/** One JSON-RPC request to one endpoint by fetch, with its failures sorted into kinds. */
import { describeError } from '../../lib/errors';

export interface RpcPayload {
  id: number;
  jsonrpc: '2.0';
  method: string;
  params: readonly unknown[] | Record<string, unknown>;
}

/** A node's answer: a result or an error. */
export interface RpcAnswer {
  id: number;
  result?: unknown;
  error?: { code: number; message: string; data?: unknown };
}

/** An error that the node itself returned, e.g. for a refused range of blocks. */
export class RpcError extends Error {
  override readonly name = 'RpcError';

  constructor(
    readonly code: number,
    message: string,
  ) {
    super(message);
  }
}

/**
 * A failure of one endpoint that another may not have: `busy` passes by itself (429, 5xx), `slow` is a
 * timeout (or 504), `broken` means no usable answer, `refused` that access needs another key, `alien` that
 * what answers is no Ethereum node, `behind` that the node does not know the block in question. The message
 * goes on after the endpoint's name.
 */
export class EndpointTrouble extends Error {
  override readonly name = 'EndpointTrouble';
  /** Pause that the endpoint asked for. */
  readonly retryAfterMs: number | undefined;
  /** The error that a node which is behind returned. */
  readonly answer: RpcAnswer | undefined;

  constructor(
    readonly kind: 'busy' | 'slow' | 'broken' | 'refused' | 'alien' | 'behind',
    message: string,
    details: { cause?: unknown; retryAfterMs?: number | undefined; answer?: RpcAnswer | undefined } = {},
  ) {
    super(message, { cause: details.cause });
    this.retryAfterMs = details.retryAfterMs;
    this.answer = details.answer;
  }

  /** True when something has answered, so that the message has its words. */
  get isAnswer(): boolean {
    return this.cause === undefined;
  }
}

const BEHIND = /header not found|unknown block|block not found|missing trie node|historical state|not (yet )?synced/i;
const BUSY = /rate.?limit|too many requests|compute units|request count exceeded/i;

/**
 * Posts one request to one endpoint. Throws `EndpointTrouble` when there is no answer, and the signal's
 * reason when it aborts.
 */
export async function postRpc(
  url: string,
  payload: RpcPayload,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<RpcAnswer> {
  signal.throwIfAborted();
  const timeout = AbortSignal.timeout(timeoutMs);
  const { target, headers } = splitCredentials(url);
  let response: Response;
  let text: string;
  try {
    response = await fetch(target, {
      method: 'POST',
      headers,
      body: JSON.stringify(payload),
      signal: AbortSignal.any([signal, timeout]),
    });
    text = await response.text();
  } catch (cause) {
    signal.throwIfAborted();
    if (timeout.aborted) throw new EndpointTrouble('slow', `gave no answer in ${timeoutMs} ms`, { cause });
    throw new EndpointTrouble('broken', `cannot be reached (${describeError(cause)})`, { cause });
  }
  return readAnswer(response, text, hiderFor(url));
}

function readAnswer(response: Response, text: string, hide: (text: string) => string): RpcAnswer {
  const answer = parseAnswer(text);
  if (answer?.error) answer.error.message = hide(answer.error.message);
  const said = `(HTTP ${response.status}${quote(answer?.error?.message ?? hide(text))})`;
  requireServed(response, said);
  if (!answer) throw withoutAnswer(response.status, said);
  const { error } = answer;
  if (!error) return answer;
  if (error.code === 429 || BUSY.test(error.message)) {
    throw new EndpointTrouble('busy', `asks for fewer requests${quote(error.message)}`, { answer });
  }
  if (BEHIND.test(error.message)) throw new EndpointTrouble('behind', error.message, { answer });
  return answer;
}

/** Throws for a status that says more than the body. */
function requireServed({ status, headers }: Response, said: string): void {
  if (status === 401 || status === 403) throw new EndpointTrouble('refused', `refuses access ${said}`);
  if (status === 504) throw new EndpointTrouble('slow', `had no answer in time ${said}`);
  if (status !== 429 && status < 500) return;
  const retryAfterMs = parseRetryAfter(headers.get('retry-after'));
  const pause =
    retryAfterMs === undefined ? 'for fewer requests' : `for a pause of ${Math.ceil(retryAfterMs / 1000)} s`;
  throw new EndpointTrouble('busy', `${status === 429 ? `asks ${pause}` : 'fails'} ${said}`, { retryAfterMs });
}

/** A node may refuse a request as too large before it reads it; whatever else is no JSON-RPC is no node. */
function withoutAnswer(status: number, said: string): EndpointTrouble {
  if (status === 413) return new EndpointTrouble('broken', `refuses the request as too large ${said}`);
  const isPath = status === 404 || status === 405;
  return new EndpointTrouble(
    'alien',
    `${isPath ? 'has no Ethereum node at this path' : 'answers without JSON-RPC'} ${said}`,
  );
}

const MAX_QUOTE = 200;

/** Returns a function that hides in an endpoint's words what may be a key: the parts of its own address. */
function hiderFor(url: string): (text: string) => string {
  const { username, password, pathname, searchParams } = new URL(url);
  const secrets = [username, password, ...pathname.split('/'), ...searchParams.values()].filter(
    ({ length }) => length > 3,
  );
  return (text) => secrets.reduce((rest, secret) => rest.replaceAll(secret, '…'), text);
}

/** Quotes what an endpoint has said, on one line. A page is not shown. */
function quote(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim();
  if (/^<|<html|<!doctype/i.test(line)) return ': a web page';
  const shown = line.slice(0, MAX_QUOTE);
  return shown && `: "${shown}"`;
}

function parseAnswer(text: string): RpcAnswer | undefined {
  try {
    const answer = JSON.parse(text) as Partial<RpcAnswer> | null;
    if (typeof answer !== 'object' || answer === null) return undefined;
    const isError = typeof answer.error?.message === 'string';
    return isError || answer.result !== undefined ? (answer as RpcAnswer) : undefined;
  } catch {
    return undefined;
  }
}

/** Parses `Retry-After`, which is seconds or a date. */
function parseRetryAfter(value: string | null): number | undefined {
  if (value === null) return undefined;
  const ms = /^\d+$/.test(value.trim()) ? Number(value) * 1000 : Date.parse(value) - Date.now();
  return Number.isNaN(ms) ? undefined : Math.max(0, ms);
}

/** Moves user and password into a header, because fetch refuses them in an address. */
function splitCredentials(url: string): { target: string; headers: Record<string, string> } {
  const headers: Record<string, string> = { 'content-type': 'application/json' };
  const parsed = new URL(url);
  if (!parsed.username && !parsed.password) return { target: url, headers };
  const pair = `${decodeURIComponent(parsed.username)}:${decodeURIComponent(parsed.password)}`;
  headers.authorization = `Basic ${Buffer.from(pair).toString('base64')}`;
  parsed.username = '';
  parsed.password = '';
  return { target: parsed.href, headers };
}

/**
 * Reduces an address to its host, for messages and logs: endpoints often carry an API key in user name, path
 * or query.
 */
export function hideSecrets(endpoint: string): string {
  try {
    const url = new URL(endpoint);
    return `${url.protocol}//${url.host}`;
  } catch {
    return endpoint;
  }
}
