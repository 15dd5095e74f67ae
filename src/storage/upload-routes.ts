/** Uploads in: pieces of a blob, signed for by an account that may upload. */
import type { Request, Response } from 'express';
import type { BlobPart } from '../blobs/blob-store';
import type { StoredBlobs } from '../blobs/stored-blobs';
import { Address, type Sha256 } from '../domain/ids';
import { allowLongBody } from '../http/deadline';
import { AppError, errorCode } from '../lib/errors';
import type { StorageDeps, StorageOptions } from './deps';
import { parseName, type StorageError } from './errors';
import type { Permits } from './permits';

/** After this time an upload must have this average speed. A slower one is cut off and can resume later. */
const SLOW_AFTER_MS = 60_000;
const SLOWEST_BYTES_PER_MS = 1;

/** Answers how many bytes of an upload are here. */
export async function sendOffset({ blobs }: StorageDeps, request: Request, response: Response): Promise<void> {
  const sha256 = parseName(request.params['sha256']);
  const done = await blobs.stat(sha256);
  if (done)
    return void response
      .set({ 'upload-offset': String(done.bytes), 'upload-complete': '?1' })
      .status(200)
      .end();
  const offset = await blobs.partBytes(sha256);
  response
    .set({ 'upload-offset': String(offset), 'upload-complete': '?0' })
    .status(200)
    .end();
}

interface UploadDeps extends StorageDeps {
  permits: Permits;
}

/** Appends one piece of an upload, and makes it a blob with its last one. Throws `storage/…`. */
export async function takeUpload(
  options: StorageOptions,
  deps: UploadDeps,
  request: Request,
  response: Response,
): Promise<void> {
  const { sha256, bytes } = await admit(options, deps, request);
  if (await deps.blobs.stat(sha256)) return void response.status(200).json({ sha256, bytes });
  const part = await openPart(deps.blobs, sha256);
  try {
    requireOffset(part, request, response);
    allowLongBody(response);
    await append(part, { sha256, bytes }, deps, request);
    if (part.offset < bytes) return void response.set('upload-offset', String(part.offset)).status(202).end();
    await part.finish();
    response.status(201).json({ sha256, bytes });
  } catch (error) {
    // The sender reads the answer only after everything it sends has been read.
    request.resume();
    throw toStorageError(error, sha256);
  } finally {
    await part.close();
  }
}

/** Returns the upload a request asks for, once it is known to be allowed. Throws `storage/…`. */
async function admit(
  { maxUploadBytes: maxBytes }: StorageOptions,
  deps: UploadDeps,
  request: Request,
): Promise<{ sha256: Sha256; bytes: number }> {
  const sha256 = parseName(request.params['sha256']);
  const bytes = parseLength(request);
  const permit = `${request.get('authorization')} ${sha256} ${bytes}`;
  if (!deps.permits.has(permit)) {
    await authorise(deps, request, sha256, bytes);
    deps.permits.add(permit);
  }
  if (bytes <= maxBytes) return { sha256, bytes };
  throw new AppError<StorageError>(
    { code: 'storage/too-large', status: 413, bytes, maxBytes },
    `The upload has ${bytes} bytes; the limit of this storage is ${maxBytes}.`,
  );
}

/** Appends the body of a request to a part. Throws when it is longer than announced, or too slow. */
async function append(
  part: BlobPart,
  { sha256, bytes }: { sha256: Sha256; bytes: number },
  { nowMs }: StorageDeps,
  request: Request,
): Promise<void> {
  const start = { atMs: nowMs(), offset: part.offset };
  // The stream stays open on errors, so that the sender can read the answer.
  for await (const piece of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Uint8Array>) {
    if (part.offset + piece.length > bytes) {
      throw new AppError<StorageError>(
        { code: 'storage/bad-length', status: 400, length: String(bytes) },
        `More bytes arrived than the Upload-Length of ${bytes}.`,
      );
    }
    await part.append(piece);
    const ms = nowMs() - start.atMs;
    if (ms > SLOW_AFTER_MS && part.offset - start.offset < ms * SLOWEST_BYTES_PER_MS) throw tooSlow(sha256);
  }
}

function toStorageError(error: unknown, sha256: Sha256): unknown {
  switch (errorCode(error)) {
    case 'blobs/hash-mismatch':
      return hashMismatch(sha256);
    case 'blobs/disk-full':
      return new AppError<StorageError>(
        { code: 'storage/disk-full', status: 507, sha256 },
        'The disk of this storage is full; its operator must make room.',
        { cause: error },
      );
    default:
      return error;
  }
}

async function authorise(deps: StorageDeps, request: Request, sha256: Sha256, bytes: number): Promise<void> {
  const [scheme, owner, expires, signature] = (request.get('authorization') ?? '').split(' ');
  const address = Address.safeParse(owner);
  const expiresAtMs = Number(expires);
  if (scheme !== 'Emeth' || !address.success || !Number.isSafeInteger(expiresAtMs) || !signature) {
    throw unauthorised('send Authorization: Emeth <address> <expiresAtMs> <signature>');
  }
  if (expiresAtMs < deps.nowMs()) throw unauthorised('the signature has expired');
  if (expiresAtMs > deps.nowMs() + 24 * 3600 * 1000) throw unauthorised('the signature is valid for more than a day');
  const upload = { owner: address.data, blob: `0x${sha256}`, bytes, expiresAtMs };
  if (deps.recoverUpload(upload, signature) !== address.data)
    throw unauthorised('the signature is not by this account');
  if (!(await deps.mayUpload(address.data))) {
    throw new AppError<StorageError>(
      { code: 'storage/not-allowed', status: 403, owner: address.data },
      `${address.data} may not upload here; only accounts with EMT or credit may.`,
    );
  }
}

function requireOffset(part: BlobPart, request: Request, response: Response): void {
  if (Number(request.get('upload-offset') ?? 0) === part.offset) return;
  response.set('upload-offset', String(part.offset));
  throw new AppError<StorageError>(
    { code: 'storage/wrong-offset', status: 409, offset: part.offset },
    `The upload continues at offset ${part.offset}.`,
  );
}

async function openPart(blobs: StoredBlobs, sha256: Sha256): Promise<BlobPart> {
  try {
    return await blobs.openPart(sha256);
  } catch (cause) {
    if (errorCode(cause) !== 'blobs/busy') throw cause;
    throw new AppError<StorageError>(
      { code: 'storage/busy', status: 423, sha256 },
      'This blob is being uploaded already.',
      { cause },
    );
  }
}

function parseLength(request: Request): number {
  const length = request.get('upload-length') ?? '';
  if (/^[1-9]\d{0,14}$/.test(length)) return Number(length);
  throw new AppError<StorageError>(
    { code: 'storage/bad-length', status: 400, length },
    'The header Upload-Length must be the size of the whole blob in bytes, at least 1.',
  );
}

function unauthorised(reason: string): AppError<StorageError> {
  return new AppError(
    { code: 'storage/unauthorised', status: 401, reason },
    `The upload is not authorised: ${reason}.`,
  );
}

function tooSlow(sha256: string): AppError<StorageError> {
  return new AppError({ code: 'storage/too-slow', status: 408, sha256 }, 'The upload is too slow; resume it later.');
}

function hashMismatch(sha256: string): AppError<StorageError> {
  return new AppError(
    { code: 'storage/hash-mismatch', status: 422, sha256 },
    `The bytes received do not have the hash ${sha256}; they were deleted.`,
  );
}
