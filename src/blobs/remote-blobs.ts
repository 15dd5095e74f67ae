/** The client of the storage API: uploads and downloads that resume. */
import type { Readable } from 'node:stream';
import type { Address, Sha256 } from '../domain/ids';
import { AppError, describeError, errorCode } from '../lib/errors';
import { freeBuffer } from '../lib/free-buffer';
import { sha256Behind } from '../lib/hash';
import { takePieces } from '../lib/take-pieces';
import { type AskStorage, type StorageAnswer, sendWithin } from './ask-storage';
import type { BlobPart, BlobStore } from './blob-store';
import { PieceSize } from './piece-size';
import type { ReadPass } from './read-pass';
import { completePart, persist } from './resumable';
import { errorOf, NOT_SHOWN, reasonOf, startOf } from './storage-answers';

export type RemoteBlobError =
  | { code: 'blobs/not-stored'; sha256: string; storageApi: string }
  | { code: 'blobs/storage-unreachable'; storageApi: string }
  | { code: 'blobs/no-access'; sha256: string; storageApi: string }
  | { code: 'blobs/key-needed'; sha256: string; storageApi: string }
  | { code: 'blobs/storage-refused'; status: number; storageApi: string }
  | { code: 'blobs/too-large'; bytes: number; maxBytes: number };

export interface RemoteOptions {
  signal?: AbortSignal | undefined;
  /** For downloads; without one a storage gives nothing. */
  pass?: ReadPass | undefined;
  onProgress?: ((done: number, total: number) => void) | undefined;
}

/** Where a download goes. */
export type BlobSink = Pick<BlobStore, 'stat' | 'openPartInTurn'>;

/** Where an upload comes from. Memory of what it reads is given back once it is sent. */
export interface UploadSource {
  stat(sha256: Sha256): Promise<{ bytes: number } | undefined>;
  openRead(sha256: Sha256, offset?: number, bytes?: number): Readable;
}

/** How a storage is asked, where it is not one that the operator named. */
export interface RemoteRules {
  /** Failures in a row, without progress between them, after which a transfer fails. */
  attempts?: number | undefined;
  send?: AskStorage | undefined;
}

/** Signs the permission for one upload; see `protocol/storage.ts`. */
export type SignUpload = (upload: {
  owner: Address;
  blob: string;
  bytes: number;
  expiresAtMs: number;
}) => Promise<string>;

const SIGNATURE_MS = 3600_000;
/** More than a socket lets wait. */
const LARGE_BYTES = 128 * 2 ** 10;
/** Status codes of a storage that are worth a retry: busy, changed, or overloaded. */
const PASSING_STATUS = [409, 423, 429, 502, 503, 504];
const sendPatiently = sendWithin(30_000, 10_000);

/** One request of an upload. */
interface Piece {
  sha256: Sha256;
  offset: number;
  /** Of the whole blob. */
  bytes: number;
  authorization: string;
  /** Whether the storage had bytes of this name before. */
  hadBytes: boolean;
  /** Shows that its owner has all of a blob that others have sent. */
  proof?: string | undefined;
}

/** The blobs of one storage API. Interrupted transfers resume at their offset. */
export class RemoteBlobs {
  private readonly pieceSize = new PieceSize();

  constructor(
    readonly storageApi: string,
    private readonly rules: RemoteRules = {},
  ) {}

  /** Returns the size of a blob. Throws `blobs/not-stored`. */
  async size(sha256: Sha256, signal?: AbortSignal): Promise<number> {
    const { statusCode, headers, body } = await this.call('HEAD', `blobs/${sha256}`, { signal });
    await body.dump();
    if (statusCode === 404) throw this.notStored(sha256);
    if (statusCode !== 200) throw this.refused(statusCode);
    const bytes = headers['content-length'];
    if (bytes === undefined) throw this.refused(statusCode, 'it does not report the size of the blob.');
    return Number(bytes);
  }

  /** Downloads a blob into a store, which verifies its hash. */
  async download(
    sha256: Sha256,
    into: BlobSink,
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
        const noted = { ...options, onProgress: both(onProgress, options.onProgress) };
        await completePart(part, bytes, () => this.receive(sha256, part, bytes, noted));
      } finally {
        await part.close();
      }
    });
    return { bytes };
  }

  /** Returns some bytes of a blob. Nothing checks them: the hash is that of the whole. */
  async read(sha256: Sha256, start: number, length: number, options: RemoteOptions = {}): Promise<Buffer> {
    return this.persist(options.signal, async () => {
      const bytes = Buffer.alloc(length);
      let done = 0;
      const body = await this.get(sha256, `bytes=${start}-${start + length - 1}`, options);
      for await (const piece of this.pieces(body, options.signal)) {
        bytes.set(piece.subarray(0, length - done), done);
        done += Math.min(piece.length, length - done);
        if (done === length) return bytes;
      }
      throw this.unreachable(new Error(`it sent ${done} of ${length} bytes`));
    });
  }

  /**
   * Uploads a blob from a store. If the storage has it already nothing is sent, but that the owner has it
   * too.
   */
  async upload(
    sha256: Sha256,
    from: UploadSource,
    owner: Address,
    sign: SignUpload,
    options: RemoteOptions = {},
  ): Promise<void> {
    const bytes = (await from.stat(sha256))?.bytes;
    if (bytes === undefined) throw new Error(`Blob ${sha256} is not here`);
    const permit = permits(sign, { owner, blob: `0x${sha256}`, bytes });
    let furthest = 0;
    await this.persist(options.signal, async (onProgress) => {
      const first = await this.uploadOffset(sha256, options);
      // Of a blob that is there already, a piece without bytes makes this owner a holder too.
      for (let offset: number | undefined = first ?? bytes; offset !== undefined; ) {
        // Only bytes the storage has are progress; bytes sent may be lost in transit.
        if (offset > furthest) onProgress();
        furthest = Math.max(furthest, offset);
        const piece = { sha256, offset, bytes, authorization: await permit(), hadBytes: first !== 0 };
        offset = await this.sendPiece(piece, from, owner, options);
      }
    });
  }

  /** Returns how many bytes of an upload the storage has; undefined when it has the whole blob. */
  private async uploadOffset(sha256: Sha256, { signal }: RemoteOptions): Promise<number | undefined> {
    const { statusCode, headers, body } = await this.call('HEAD', `uploads/${sha256}`, { signal });
    await body.dump();
    if (statusCode !== 200) throw this.refused(statusCode);
    return headers['upload-complete'] === '?1' ? undefined : Number(headers['upload-offset'] ?? 0);
  }

  /** Sends one piece and returns where the next one begins; undefined when the blob is stored. */
  private async sendPiece(
    piece: Piece,
    from: UploadSource,
    owner: Address,
    options: RemoteOptions,
  ): Promise<number | undefined> {
    const { sha256, offset, bytes, authorization, proof } = piece;
    // The storage may hold more than the blob: another one's bytes. Told that these are all, it deletes
    // them.
    const length = Math.max(0, Math.min(this.pieceSize.bytes, bytes - offset));
    const headers = {
      authorization,
      'upload-length': String(bytes),
      'upload-offset': String(offset),
      'content-type': 'application/octet-stream',
      'content-length': String(length),
      ...(proof === undefined ? {} : { 'upload-proof': proof }),
    };
    const body = count(length > 0 ? from.openRead(sha256, offset, length) : [], offset, bytes, options.onProgress);
    const startedMs = performance.now();
    const answer = await this.call('PUT', `uploads/${sha256}`, { signal: options.signal, headers, body });
    const text = await answer.body.text();
    const { statusCode: status } = answer;
    if (status === 200 || status === 201) return undefined;
    if (status === 428 && proof === undefined) {
      const given = await sha256Behind(owner, from.openRead(sha256));
      return this.sendPiece({ ...piece, offset: bytes, proof: given }, from, owner, options);
    }
    const next = Number(answer.headers['upload-offset']);
    if (status === 202 && next > offset) {
      this.pieceSize.noteSent(length, performance.now() - startedMs);
      return next;
    }
    // A proxy refused the size of the request; the storage itself says why it refuses.
    if (status === 413 && !errorOf(text) && this.pieceSize.refuse()) return offset;
    // An earlier upload had left other bytes there; the storage has deleted them now.
    if (status === 422 && piece.hadBytes)
      throw this.unreachable(new Error('it held other bytes than the beginning of this blob'));
    if (status === 202) throw this.unreachable(new Error('the transfer was cut'));
    throw this.refused(status, errorOf(text));
  }

  private async receive(sha256: Sha256, part: BlobPart, bytes: number, options: RemoteOptions): Promise<void> {
    const { signal, onProgress } = options;
    const body = await this.get(sha256, part.offset > 0 ? `bytes=${part.offset}-` : undefined, options);
    const take = async (piece: Uint8Array) => {
      if (part.offset + piece.length > bytes) throw tooLarge(sha256, part.offset + piece.length, bytes);
      await part.append(piece);
      freeBuffer(piece);
      onProgress?.(part.offset, bytes);
    };
    await takePieces(body, take, (error) => (signal?.aborted ? error : this.unreachable(error))).finally(() =>
      body.destroy(),
    );
    if (part.offset < bytes) throw this.unreachable(new Error('the transfer was cut'));
  }

  /**
   * Opens a blob or a range of it. Throws `blobs/not-stored`, also for one that is not of the pass's job.
   */
  private async get(
    sha256: Sha256,
    range: string | undefined,
    { signal, pass }: RemoteOptions,
  ): Promise<StorageAnswer['body']> {
    const headers = { ...(range === undefined ? {} : { range }), ...(await pass?.headers()) };
    const path = `blobs/${sha256}${pass?.query ?? ''}`;
    const { statusCode: status, body } = await this.call('GET', path, { signal, headers });
    // A range that is all of a blob is answered as if none were asked for.
    const isFromStart = range === undefined || range.startsWith('bytes=0-');
    if ((status === 200 && isFromStart) || (status === 206 && range !== undefined)) return body;
    const reason = errorOf(await startOf(body));
    if (status === 404) throw this.notStored(sha256, reason);
    if (status === 403 && reason !== undefined) throw this.noAccess(sha256, reason);
    if (status === 401 && pass === undefined) throw this.noAccess(sha256, NOT_SHOWN);
    if (status === 401 && !pass?.isSigned) throw this.keyNeeded(sha256);
    throw this.refused(status, reason);
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
  ): Promise<StorageAnswer> {
    const { send = sendPatiently } = this.rules;
    const { signal, headers = {}, body } = options;
    try {
      return await send(this.url(path), { method, headers, signal, body });
    } catch (error) {
      throw signal?.aborted ? error : this.unreachable(error);
    }
  }

  private persist<T>(signal: AbortSignal | undefined, work: (onProgress: () => void) => Promise<T>): Promise<T> {
    return persist({ attempts: this.rules.attempts, isPassing, signal }, work);
  }

  private url(path: string): string {
    return `${this.storageApi.replace(/\/$/, '')}/${path}`;
  }

  private notStored(sha256: string, reason = `There is no blob ${sha256}.`): AppError<RemoteBlobError> {
    const { storageApi } = this;
    return new AppError({ code: 'blobs/not-stored', sha256, storageApi }, `${storageApi} answers: ${reason}`);
  }

  private noAccess(sha256: string, reason: string): AppError<RemoteBlobError> {
    const { storageApi } = this;
    return new AppError({ code: 'blobs/no-access', sha256, storageApi }, `${storageApi} refuses a blob: ${reason}`);
  }

  private keyNeeded(sha256: string): AppError<RemoteBlobError> {
    const { storageApi } = this;
    return new AppError(
      { code: 'blobs/key-needed', sha256, storageApi },
      `${storageApi} gives this blob only to its job's requester, its node and verifiers: give the key of one of them (privateKeyFile or keystore in the configuration, or account.key in the data directory).`,
    );
  }

  private refused(status: number, reason = reasonOf(status)): AppError<RemoteBlobError> {
    const { storageApi } = this;
    return new AppError(
      { code: 'blobs/storage-refused', status, storageApi },
      `The storage ${storageApi} answered ${status}: ${reason}`,
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

/** Whether a storage may do later what it did not do now. */
export function isPassing(error: unknown): boolean {
  if (errorCode(error) === 'blobs/storage-unreachable') return true;
  if (errorCode(error) !== 'blobs/storage-refused') return false;
  return PASSING_STATUS.includes((error as AppError<{ code: string; status: number }>).detail.status);
}

/** Joins two that follow a transfer. */
export function both(
  first: (done: number) => void,
  second: RemoteOptions['onProgress'],
): NonNullable<RemoteOptions['onProgress']> {
  return (done, total) => {
    first(done);
    second?.(done, total);
  };
}

async function* count(
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  offset: number,
  total: number,
  onProgress: RemoteOptions['onProgress'],
): AsyncGenerator<Uint8Array> {
  let done = offset;
  const sent: Uint8Array[] = [];
  for await (const piece of source) {
    yield piece;
    done += piece.length;
    onProgress?.(done, total);
    // undici asks for the next piece once a large one has gone to the system; the last is left alone still.
    if (piece.length >= LARGE_BYTES) sent.push(piece);
    if (sent.length > 1) sent.splice(0, 1).forEach(freeBuffer);
  }
}

/** Returns a function that gives the permission for an upload, signed anew well before it expires. */
function permits(sign: SignUpload, upload: Omit<Parameters<SignUpload>[0], 'expiresAtMs'>): () => Promise<string> {
  let expiresAtMs = 0;
  let permit = '';
  return async () => {
    if (expiresAtMs - Date.now() > SIGNATURE_MS / 2) return permit;
    expiresAtMs = Date.now() + SIGNATURE_MS;
    permit = `Emeth ${upload.owner} ${expiresAtMs} ${await sign({ ...upload, expiresAtMs })}`;
    return permit;
  };
}
