/** Uploads in: pieces of a blob, signed for by an account that may upload. */
import type { Request, Response } from 'express';
import type { BlobPart } from '../blobs/blob-store';
import type { StoredBlobs } from '../blobs/stored-blobs';
import { Address, type Sha256 } from '../domain/ids';
import { allowLongBody } from '../http/deadline';
import { AppError, errorCode } from '../lib/errors';
import { freeBuffer } from '../lib/free-buffer';
import { takePieces } from '../lib/take-pieces';
import { MAX_PERMIT_MS } from '../protocol/storage';
import type { StorageDeps, StorageOptions } from './deps';
import { parseName, type StorageError, tooLargeToStore } from './errors';
import type { Holders } from './holders';
import type { Permits } from './permits';
import type { Upload } from './space';

/** After this time an upload must have this average speed. A slower one is cut off and can resume later. */
const SLOW_AFTER_MS = 60_000;
const SLOWEST_BYTES_PER_MS = 1;
/** So often the index hears of a piece that takes long: without news an upload may have to make room. */
const NOTED_MS = 20_000;

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
  holders: Holders;
}

/** Appends one piece of an upload, and makes it a blob with its last one. Throws `storage/…`. */
export async function takeUpload(
  options: StorageOptions,
  deps: UploadDeps,
  request: Request,
  response: Response,
): Promise<void> {
  const upload = admit(options, deps, request);
  const { sha256, bytes } = upload;
  const isExpected = deps.blobs.expects(sha256, senderOffset(request));
  if (!isExpected && (await deps.blobs.stat(sha256))) {
    await deps.holders.require(upload, request.get('upload-proof'));
    return void response.status(200).json({ sha256, bytes });
  }
  try {
    await deps.space.begin(upload);
    if (await takePiece(upload, deps, request, response)) {
      await deps.holders.finish(upload);
      return void response.status(201).json({ sha256, bytes });
    }
    response.status(202).end();
  } catch (error) {
    // The sender reads the answer only after everything it sends has been read.
    request.resume();
    throw toStorageError(error, sha256);
  }
}

/** Appends one piece; true when it was the last one. Tells the sender where the next one begins. */
async function takePiece(upload: Upload, deps: UploadDeps, request: Request, response: Response): Promise<boolean> {
  const { sha256, bytes } = upload;
  const { space } = deps;
  const part = await openPart(deps.blobs, sha256, senderOffset(request));
  try {
    requireOffset(part, request, response);
    allowLongBody(response);
    const from = part.offset;
    try {
      await append(part, upload, deps, request);
    } finally {
      deps.holders.note(upload, from, part.offset);
      await space.noteWritten(sha256, part.offset);
    }
    response.set('upload-offset', String(part.offset));
    if (part.offset < bytes) return false;
    await part.finish();
    await space.noteFinished(upload);
    response.removeHeader('upload-offset');
    return true;
  } catch (error) {
    if (errorCode(error) === 'blobs/hash-mismatch') await space.noteDropped(sha256);
    throw error;
  } finally {
    await part.close();
  }
}

/** Returns the upload a request asks for, once it is known to be allowed. Throws `storage/…`. */
function admit({ maxUploadBytes: maxBytes }: StorageOptions, deps: UploadDeps, request: Request): Upload {
  const sha256 = parseName(request.params['sha256']);
  const bytes = parseLength(request);
  const permit = `${request.get('authorization')} ${sha256} ${bytes}`;
  const owner = deps.permits.find(permit) ?? authorise(deps, request, sha256, bytes);
  deps.permits.add(permit, owner);
  if (bytes <= maxBytes) return { sha256, owner, bytes };
  throw tooLargeToStore(bytes, maxBytes);
}

/** Appends the body of a request to a part. Throws when it is longer than announced, or too slow. */
async function append(
  part: BlobPart,
  { sha256, bytes }: Upload,
  { nowMs, space }: StorageDeps,
  request: Request,
): Promise<void> {
  const start = { atMs: nowMs(), offset: part.offset };
  let notedAtMs = start.atMs;
  // The stream stays open on errors, so that the sender can read the answer.
  await takePieces(request, async (piece) => {
    if (part.offset + piece.length > bytes) {
      throw new AppError<StorageError>(
        { code: 'storage/bad-length', status: 400, length: String(bytes) },
        `More bytes arrived than the Upload-Length of ${bytes}.`,
      );
    }
    await space.require(piece.length);
    await part.append(piece);
    freeBuffer(piece);
    if (nowMs() >= notedAtMs + NOTED_MS) {
      notedAtMs = nowMs();
      await space.noteWritten(sha256, part.offset);
    }
    const ms = nowMs() - start.atMs;
    if (ms > SLOW_AFTER_MS && part.offset - start.offset < ms * SLOWEST_BYTES_PER_MS) throw tooSlow(sha256);
  });
}

function toStorageError(error: unknown, sha256: Sha256): unknown {
  switch (errorCode(error)) {
    case 'blobs/hash-mismatch':
      return hashMismatch(sha256);
    case 'disk/low':
    case 'blobs/disk-full':
      return new AppError<StorageError>(
        { code: 'storage/disk-full', status: 507, sha256 },
        'The disk of this storage has no room for more; its operator must make room. What has arrived is kept for a while.',
        { cause: error },
      );
    default:
      return error;
  }
}

/** Returns the account that signed for the upload. */
function authorise(deps: StorageDeps, request: Request, sha256: Sha256, bytes: number): Address {
  const [scheme, owner, expires, signature] = (request.get('authorization') ?? '').split(' ');
  const address = Address.safeParse(owner);
  const expiresAtMs = Number(expires);
  if (scheme !== 'Emeth' || !address.success || !Number.isSafeInteger(expiresAtMs) || !signature) {
    throw unauthorised('send Authorization: Emeth <address> <expiresAtMs> <signature>');
  }
  if (expiresAtMs < deps.nowMs()) throw unauthorised('the signature has expired');
  if (expiresAtMs > deps.nowMs() + MAX_PERMIT_MS) throw unauthorised('the signature is valid for more than a day');
  const upload = { owner: address.data, blob: `0x${sha256}`, bytes, expiresAtMs };
  if (deps.recoverUpload(upload, signature) !== address.data)
    throw unauthorised('the signature is not by this account');
  return address.data;
}

function senderOffset(request: Request): number {
  return Number(request.get('upload-offset') ?? 0);
}

function requireOffset(part: BlobPart, request: Request, response: Response): void {
  if (senderOffset(request) === part.offset) return;
  response.set('upload-offset', String(part.offset));
  throw new AppError<StorageError>(
    { code: 'storage/wrong-offset', status: 409, offset: part.offset },
    `The upload continues at offset ${part.offset}.`,
  );
}

async function openPart(blobs: StoredBlobs, sha256: Sha256, offset: number): Promise<BlobPart> {
  try {
    return await blobs.openPart(sha256, offset);
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
