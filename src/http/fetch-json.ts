/** Reads JSON from a server that is not trusted: in bounded time and size. */

export interface FetchJsonOptions {
  maxBytes: number;
  signal?: AbortSignal | undefined;
  /** Sent as JSON with PUT; without it, the request is a GET. */
  put?: object | undefined;
}

const ANSWER_MS = 15_000;

/** Returns the answer with its status. Throws whatever keeps it from coming, or from being JSON. */
export async function fetchJson(
  url: URL | string,
  { maxBytes, signal, put }: FetchJsonOptions,
): Promise<{ status: number; body: unknown }> {
  const timeout = AbortSignal.timeout(ANSWER_MS);
  const response = await fetch(url, {
    signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
    ...(put && { method: 'PUT', headers: { 'content-type': 'application/json' }, body: JSON.stringify(put) }),
  });
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of response.body ?? []) {
    bytes += part.length;
    if (bytes > maxBytes) throw new Error(`its answer is longer than ${maxBytes} bytes`);
    parts.push(part);
  }
  const { status } = response;
  return { status, body: parseJson(Buffer.concat(parts).toString('utf8'), status) };
}

/** Throws without a quote of the answer, which may be the page of a proxy. */
function parseJson(text: string, status: number): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Error(`it answered with status ${status} and no JSON`);
  }
}
