import { Agent, request } from 'undici';
import type { Address, Sha256 } from '../domain/ids';
import { AppError, describeError, errorCode } from '../lib/errors';
import type { BlobStore } from './blob-store';

export type RemoteBlobError =
  | { code: 'blobs/not-stored'; sha256: string; storageApi: string }
  | { code: 'blobs/storage-unreachable'; storageApi: string }
  | { code: 'blobs/storage-refused'; status: number; storageApi: string }
  | { code: 'blobs/too-large'; bytes: number; maxBytes: number };

export interface RemoteOptions {
  signal?: AbortSignal | undefined;
  onProgress?: ((done: number, total: number) => void) | undefined;
}

/** Signs for one upload; see `protocol/storage.ts`. */
export type SignUpload = (upload: { owner: Address; blob: string; bytes: number; expiresAtMs: number }) => Promise<string>;

const ATTEMPTS = 5;
const SIGNATURE_MS = 3600_000;
/** A storage that sends nothing for so long is taken for gone; the transfer then goes on where it was. */
const agent = new Agent({ headersTimeout: 30_000, bodyTimeout: 30_000, connect: { timeout: 10_000 } });

/** Blobs of a storage API. Transfers go on at their offset when they are cut, a few times over. */
export class RemoteBlobs {
  constructor(readonly storageApi: string) {}

  /** Bytes of a blob. Throws `blobs/not-stored`. */
  async size(sha256: Sha256): Promise<number> {
    const { statusCode, headers } = await this.call('HEAD', `blobs/${sha256}`, {});
    if (statusCode === 404) throw this.notStored(sha256);
    if (statusCode !== 200) throw this.refused(statusCode, '');
    return Number(headers['content-length'] ?? 0);
  }

  /** Brings a blob into our store, checked against its name. */
  async download(sha256: Sha256, into: BlobStore, maxBytes: number, options: RemoteOptions = {}): Promise<{ bytes: number }> {
    const known = await into.stat(sha256);
    if (known) return known;
    const bytes = await this.size(sha256);
    if (bytes > maxBytes) {
      throw new AppError<RemoteBlobError>(
        { code: 'blobs/too-large', bytes, maxBytes },
        `Blob ${sha256.slice(0, 12)}… has ${bytes} bytes, more than the ${maxBytes} allowed here.`,
      );
    }
    await this.persist(options.signal, async () => {
      const part = await into.openPart(sha256);
      try {
        if (part.offset < bytes) await this.receive(sha256, part, bytes, options);
        await part.finish();
      } finally {
        await part.close();
      }
    });
    return { bytes };
  }

  /** Stores one of our blobs there; nothing is sent of one that is there already. */
  async upload(sha256: Sha256, from: BlobStore, owner: Address, sign: SignUpload, options: RemoteOptions = {}): Promise<void> {
    const bytes = (await from.stat(sha256))?.bytes;
    if (bytes === undefined) throw new Error(`Blob ${sha256} is not here`);
    await this.persist(options.signal, async () => {
      const state = await this.call('HEAD', `uploads/${sha256}`, { signal: options.signal });
      if (state.statusCode !== 200) throw this.refused(state.statusCode, '');
      if (state.headers['upload-complete'] === '?1') return;
      const offset = Number(state.headers['upload-offset'] ?? 0);
      const expiresAtMs = Date.now() + SIGNATURE_MS;
      const signature = await sign({ owner, blob: `0x${sha256}`, bytes, expiresAtMs });
      const headers = {
        authorization: `Emeth ${owner} ${expiresAtMs} ${signature}`,
        'upload-length': String(bytes),
        'upload-offset': String(offset),
        'content-type': 'application/octet-stream',
      };
      const body = count(from.openRead(sha256, offset), offset, bytes, options.onProgress);
      const answer = await this.call('PUT', `uploads/${sha256}`, { signal: options.signal, headers, body });
      if (answer.statusCode >= 300) throw this.refused(answer.statusCode, answer.text);
    });
  }

  private async receive(
    sha256: Sha256,
    part: { offset: number; append(bytes: Uint8Array): Promise<void> },
    bytes: number,
    { signal, onProgress }: RemoteOptions,
  ): Promise<void> {
    const headers = part.offset > 0 ? { range: `bytes=${part.offset}-` } : {};
    const { statusCode, body } = await request(this.url(`blobs/${sha256}`), {
      dispatcher: agent,
      headers,
      ...(signal ? { signal } : {}),
    });
    if (statusCode !== (part.offset > 0 ? 206 : 200)) {
      await body.dump();
      throw statusCode === 404 ? this.notStored(sha256) : this.refused(statusCode, '');
    }
    for await (const piece of body) {
      await part.append(piece as Buffer);
      onProgress?.(part.offset, bytes);
    }
    if (part.offset < bytes) throw this.unreachable(new Error('the transfer was cut'));
  }

  private async call(
    method: 'HEAD' | 'PUT',
    path: string,
    options: { signal?: AbortSignal | undefined; headers?: Record<string, string>; body?: AsyncIterable<Uint8Array> },
  ) {
    try {
      const { signal, headers, body: sent } = options;
      const { statusCode, headers: received, body } = await request(this.url(path), {
        method,
        dispatcher: agent,
        ...(headers ? { headers } : {}),
        ...(signal ? { signal } : {}),
        // undici takes any async iterable as a body; its types name fewer.
        ...(sent ? { body: sent as never } : {}),
      });
      return { statusCode, headers: received, text: await body.text() };
    } catch (error) {
      if (options.signal?.aborted) throw error;
      throw this.unreachable(error);
    }
  }

  /** Tries again, later and later, while the storage cannot be reached. */
  private async persist(signal: AbortSignal | undefined, work: () => Promise<void>): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await work();
      } catch (error) {
        const isPassing = ['blobs/storage-unreachable', 'UND_ERR_SOCKET', 'UND_ERR_BODY_TIMEOUT', 'ECONNRESET'].includes(errorCode(error));
        if (!isPassing || attempt >= ATTEMPTS || signal?.aborted) throw error;
        await new Promise((resolve) => setTimeout(resolve, 200 * 2 ** attempt));
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
      `The storage ${storageApi} cannot be reached (${describeError(cause)}); correct storageApi, or start it.`,
      { cause },
    );
  }
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
