/** The client of the storage API: uploads and downloads that resume. */
import { setTimeout as delay } from 'node:timers/promises';
import { Agent, type Dispatcher, request } from 'undici';
import type { Address, Sha256 } from '../domain/ids';
import { AppError, describeError, errorCode } from '../lib/errors';
import type { BlobPart, BlobStore } from './blob-store';

export type RemoteBlobError =
  | { code: 'blobs/not-stored'; sha256: string; storageApi: string }
  | { code: 'blobs/storage-unreachable'; storageApi: string }
  | { code: 'blobs/storage-refused'; status: number; storageApi: string }
  | { code: 'blobs/too-large'; bytes: number; maxBytes: number };

export interface RemoteOptions {
  signal?: AbortSignal | undefined;
  onProgress?: ((done: number, total: number) => void) | undefined;
}

/** Signs the permission for one upload; see `protocol/storage.ts`. */
export type SignUpload = (upload: {
  owner: Address;
  blob: string;
  bytes: number;
  expiresAtMs: number;
}) => Promise<string>;

/** Failures in a row, without progress between them, after which a transfer fails. */
const ATTEMPTS = 5;
const FIRST_PAUSE_MS = 100;
const SIGNATURE_MS = 3600_000;
/** Status codes of a storage that are worth a retry: busy, changed, or overloaded. */
const PASSING_STATUS = [409, 423, 429, 502, 503, 504];
/**
 * A storage that sends nothing for this long counts as unreachable; the transfer is retried at its offset.
 */
const agent = new Agent({ headersTimeout: 30_000, bodyTimeout: 30_000, connect: { timeout: 10_000 } });

/** The blobs of one storage API. Interrupted transfers resume at their offset. */
export class RemoteBlobs {
  constructor(readonly storageApi: string) {}

  /** Returns the size of a blob. Throws `blobs/not-stored`. */
  async size(sha256: Sha256, signal?: AbortSignal): Promise<number> {
    const { statusCode, headers, body } = await this.call('HEAD', `blobs/${sha256}`, { signal });
    await body.dump();
    if (statusCode === 404) throw this.notStored(sha256);
    if (statusCode !== 200) throw this.refused(statusCode, '');
    const bytes = headers['content-length'];
    if (bytes === undefined) throw this.refused(statusCode, 'it does not report the size of the blob');
    return Number(bytes);
  }

  /** Downloads a blob into a store, which verifies its hash. */
  async download(
    sha256: Sha256,
    into: BlobStore,
    maxBytes: number,
    options: RemoteOptions = {},
  ): Promise<{ bytes: number }> {
    const known = await into.stat(sha256);
    if (known) return known;
    let bytes = 0;
    await this.persist(options.signal, async (onProgress) => {
      bytes = await this.size(sha256, options.signal);
      if (bytes > maxBytes) throw tooLarge(sha256, bytes, maxBytes);
      const part = await into.openPartInTurn(sha256);
      if (!part) return;
      try {
        await this.complete(sha256, part, bytes, { ...options, onProgress: both(onProgress, options.onProgress) });
      } finally {
        await part.close();
      }
    });
    return { bytes };
  }

  /** Uploads a blob from a store; nothing is sent if the storage has it already. */
  async upload(
    sha256: Sha256,
    from: BlobStore,
    owner: Address,
    sign: SignUpload,
    options: RemoteOptions = {},
  ): Promise<void> {
    const bytes = (await from.stat(sha256))?.bytes;
    if (bytes === undefined) throw new Error(`Blob ${sha256} is not here`);
    let furthest = 0;
    await this.persist(options.signal, async (onProgress) => {
      const state = await this.call('HEAD', `uploads/${sha256}`, options);
      await state.body.dump();
      if (state.statusCode !== 200) throw this.refused(state.statusCode, '');
      if (state.headers['upload-complete'] === '?1') return;
      const offset = Number(state.headers['upload-offset'] ?? 0);
      // Only bytes the storage has are progress; bytes sent may be lost in transit.
      if (offset > furthest) onProgress();
      furthest = Math.max(furthest, offset);
      const expiresAtMs = Date.now() + SIGNATURE_MS;
      const signature = await sign({ owner, blob: `0x${sha256}`, bytes, expiresAtMs });
      const headers = {
        authorization: `Emeth ${owner} ${expiresAtMs} ${signature}`,
        'upload-length': String(bytes),
        'upload-offset': String(offset),
        'content-type': 'application/octet-stream',
      };
      const sent = count(from.openRead(sha256, offset), offset, bytes, options.onProgress);
      const { statusCode, body } = await this.call('PUT', `uploads/${sha256}`, {
        signal: options.signal,
        headers,
        body: sent,
      });
      const text = await body.text();
      // An earlier upload had left other bytes there; the storage has deleted them now.
      if (statusCode === 422 && offset > 0)
        throw this.unreachable(new Error('it held other bytes than the beginning of this blob'));
      if (statusCode === 202) throw this.unreachable(new Error('the transfer was cut'));
      if (statusCode >= 300) throw this.refused(statusCode, text);
    });
  }

  /**
   * Fetches the rest of a part. If the part turns out to be of another blob, fetches all of it again, once.
   */
  private async complete(sha256: Sha256, part: BlobPart, bytes: number, options: RemoteOptions): Promise<void> {
    const isResumed = part.offset > 0;
    try {
      if (part.offset < bytes) await this.receive(sha256, part, bytes, options);
      await part.finish();
    } catch (error) {
      if (!isResumed || errorCode(error) !== 'blobs/hash-mismatch') throw error;
      await this.receive(sha256, part, bytes, options);
      await part.finish();
    }
  }

  private async receive(
    sha256: Sha256,
    part: BlobPart,
    bytes: number,
    { signal, onProgress }: RemoteOptions,
  ): Promise<void> {
    const start = part.offset;
    const headers = start > 0 ? { range: `bytes=${start}-` } : {};
    const { statusCode, body } = await this.call('GET', `blobs/${sha256}`, { signal, headers });
    if (statusCode !== (start > 0 ? 206 : 200)) {
      await body.dump();
      throw statusCode === 404 ? this.notStored(sha256) : this.refused(statusCode, '');
    }
    for await (const piece of this.pieces(body, signal)) {
      if (part.offset + piece.length > bytes) throw tooLarge(sha256, part.offset + piece.length, bytes);
      await part.append(piece);
      onProgress?.(part.offset, bytes);
    }
    if (part.offset < bytes) throw this.unreachable(new Error('the transfer was cut'));
  }

  private async *pieces(body: AsyncIterable<Uint8Array>, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array> {
    try {
      for await (const piece of body) yield piece;
    } catch (error) {
      throw signal?.aborted ? error : this.unreachable(error);
    }
  }

  private async call(
    method: 'HEAD' | 'GET' | 'PUT',
    path: string,
    options: { signal?: AbortSignal | undefined; headers?: Record<string, string>; body?: AsyncIterable<Uint8Array> },
  ): Promise<Dispatcher.ResponseData> {
    const { signal, headers = {}, body } = options;
    try {
      // undici accepts any async iterable as a body; its types list fewer.
      const sent = body ? { body: body as never } : {};
      return await request(this.url(path), {
        method,
        dispatcher: agent,
        headers,
        ...(signal ? { signal } : {}),
        ...sent,
      });
    } catch (error) {
      throw signal?.aborted ? error : this.unreachable(error);
    }
  }

  /**
   * Retries `work` with growing pauses while the storage cannot be reached. Progress resets the count of
   * failures.
   */
  private async persist(
    signal: AbortSignal | undefined,
    work: (onProgress: () => void) => Promise<void>,
  ): Promise<void> {
    let failures = 0;
    for (;;) {
      try {
        return await work(() => {
          failures = 0;
        });
      } catch (error) {
        failures += 1;
        if (!isPassing(error) || failures >= ATTEMPTS || signal?.aborted) throw error;
        await delay(FIRST_PAUSE_MS * 3 ** (failures - 1), undefined, signal ? { signal } : {});
      }
    }
  }

  private url(path: string): string {
    return `${this.storageApi.replace(/\/$/, '')}/${path}`;
  }

  private notStored(sha256: string): AppError<RemoteBlobError> {
    const { storageApi } = this;
    return new AppError({ code: 'blobs/not-stored', sha256, storageApi }, `${storageApi} has no blob ${sha256}.`);
  }

  private refused(status: number, text: string): AppError<RemoteBlobError> {
    const { storageApi } = this;
    return new AppError(
      { code: 'blobs/storage-refused', status, storageApi },
      `The storage ${storageApi} answered ${status}${text ? `: ${messageOf(text)}` : '.'}`,
    );
  }

  private unreachable(cause: unknown): AppError<RemoteBlobError> {
    const { storageApi } = this;
    return new AppError(
      { code: 'blobs/storage-unreachable', storageApi },
      `The storage ${storageApi} cannot be reached (${describeError(cause)}); correct storageApi, or start the storage.`,
      { cause },
    );
  }
}

function tooLarge(sha256: string, bytes: number, maxBytes: number): AppError<RemoteBlobError> {
  return new AppError(
    { code: 'blobs/too-large', bytes, maxBytes },
    `Blob ${sha256.slice(0, 12)}… has ${bytes} bytes, more than the ${maxBytes} allowed here.`,
  );
}

function isPassing(error: unknown): boolean {
  if (errorCode(error) === 'blobs/storage-unreachable') return true;
  if (errorCode(error) !== 'blobs/storage-refused') return false;
  return PASSING_STATUS.includes((error as AppError<{ code: string; status: number }>).detail.status);
}

function both(first: () => void, second: RemoteOptions['onProgress']): NonNullable<RemoteOptions['onProgress']> {
  return (done, total) => {
    first();
    second?.(done, total);
  };
}

async function* count(
  source: AsyncIterable<Uint8Array>,
  offset: number,
  total: number,
  onProgress: RemoteOptions['onProgress'],
): AsyncGenerator<Uint8Array> {
  let done = offset;
  for await (const piece of source) {
    yield piece;
    done += piece.length;
    onProgress?.(done, total);
  }
}

function messageOf(text: string): string {
  try {
    return (JSON.parse(text) as { error?: { message?: string } }).error?.message ?? text.slice(0, 200);
  } catch {
    return text.slice(0, 200);
  }
}
