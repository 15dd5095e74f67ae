/** One request to a storage: what it is, and what comes back. */
import type { IncomingHttpHeaders } from 'node:http';
import type { Readable } from 'node:stream';
import { request } from 'undici';
import { proxiedAgent } from '../lib/proxy';

/** Sends one request. */
export type AskStorage = (
  url: string,
  request: {
    method: 'HEAD' | 'GET' | 'PUT';
    headers: Record<string, string>;
    signal?: AbortSignal | undefined;
    body?: AsyncIterable<Uint8Array> | undefined;
  },
) => Promise<StorageAnswer>;

/** What a storage answered; its body arrives while it is read, and has to be read or dumped. */
export interface StorageAnswer {
  readonly statusCode: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Readable & { text(): Promise<string>; dump(): Promise<unknown> };
}

/**
 * Returns a way to ask storages; one that sends nothing for so long counts as unreachable, and the transfer
 * is retried at its offset.
 */
export function sendWithin(idleMs: number, connectMs: number): AskStorage {
  const agent = proxiedAgent({ headersTimeout: idleMs, bodyTimeout: idleMs, connect: { timeout: connectMs } });
  return (url, { method, headers, signal, body }) =>
    request(url, {
      method,
      dispatcher: agent,
      headers,
      ...(signal ? { signal } : {}),
      // undici accepts any async iterable as a body; its types list fewer.
      ...(body ? { body: body as never } : {}),
    });
}
