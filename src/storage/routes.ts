import { type Request, type RequestHandler, type Response, Router } from 'express';
import { rateLimit } from 'express-rate-limit';
import type { BlobPart, BlobStore } from '../blobs/blob-store';
import { Address, Sha256 } from '../domain/ids';
import { allowLongBody } from '../http/deadline';
import { AppError, errorCode } from '../lib/errors';

export type StorageError =
  | { code: 'storage/bad-name'; status: 400; name: string }
  | { code: 'storage/unknown-blob'; status: 404; sha256: string }
  | { code: 'storage/unauthorised'; status: 401; reason: string }
  | { code: 'storage/not-allowed'; status: 403; owner: string }
  | { code: 'storage/too-large'; status: 413; bytes: number; maxBytes: number }
  | { code: 'storage/bad-length'; status: 400; length: string }
  | { code: 'storage/wrong-offset'; status: 409; offset: number }
  | { code: 'storage/busy'; status: 423; sha256: string }
  | { code: 'storage/too-slow'; status: 408; sha256: string }
  | { code: 'storage/disk-full'; status: 507; sha256: string }
  | { code: 'storage/hash-mismatch'; status: 422; sha256: string };

export interface StorageDeps {
  blobs: BlobStore;
  /** Who signed for an upload; undefined for a signature that is none. */
  recoverUpload(
    upload: { owner: Address; blob: string; bytes: number; expiresAtMs: number },
    signature: string,
  ): Address | undefined;
  /** Whether this account may store something here. */
  mayUpload(owner: Address): Promise<boolean>;
  nowMs(): number;
}

export interface StorageOptions {
  maxUploadBytes: number;
}

/** An upload that has been under way for so long must keep up this speed; it can go on later where it stopped. */
const SLOW_AFTER_MS = 60_000;
const SLOWEST_BYTES_PER_MS = 1;

/** The storage API of `protocol/storage.ts`, to be mounted at `/api/v1`. */
export function storageRoutes(options: StorageOptions, deps: StorageDeps): Router {
  const router = Router();
  router.use(limitRate());
  router.get('/blobs/:sha256', (request, response) => sendBlob(deps, request, response));
  router.head('/uploads/:sha256', (request, response) => tellOffset(deps, request, response));
  router.put('/uploads/:sha256', (request, response) => takeUpload(options, deps, request, response));
  return router;
}

function limitRate(): RequestHandler {
  return rateLimit({
    windowMs: 60_000,
    limit: 3000,
    standardHeaders: 'draft-8',
    legacyHeaders: false,
    // Whoever is connected is counted, whatever the headers say; any caller can write those.
    validate: { xForwardedForHeader: false, forwardedHeader: false },
    message: { error: { code: 'storage/too-many-requests', message: 'Too many requests; wait a minute.' } },
  });
}

/** GET and HEAD, whole or a range; express answers both. */
async function sendBlob({ blobs }: StorageDeps, request: Request, response: Response): Promise<void> {
  const sha256 = parseName(request);
  if (!(await blobs.stat(sha256))) throw unknownBlob(sha256);
  await new Promise<void>((resolve, reject) => {
    const headers = { 'content-type': 'application/octet-stream', etag: `"${sha256}"` };
    response.sendFile(
      blobs.path(sha256),
      { headers, cacheControl: true, immutable: true, maxAge: '365d', dotfiles: 'allow' },
      (error) => {
        // A reader that went away is its own business.
        if (error && !response.destroyed && !response.headersSent) reject(error);
        else resolve();
      },
    );
  });
}

async function tellOffset({ blobs }: StorageDeps, request: Request, response: Response): Promise<void> {
  const sha256 = parseName(request);
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

async function takeUpload(
  options: StorageOptions,
  deps: StorageDeps,
  request: Request,
  response: Response,
): Promise<void> {
  const sha256 = parseName(request);
  const bytes = parseLength(request);
  await authorise(deps, request, sha256, bytes);
  if (bytes > options.maxUploadBytes) {
    const { maxUploadBytes: maxBytes } = options;
    throw new AppError<StorageError>(
      { code: 'storage/too-large', status: 413, bytes, maxBytes },
      `An upload of ${bytes} bytes is larger than the ${maxBytes} this storage takes.`,
    );
  }
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
    // The sender reads the answer, and uses the connection again, only when all it sends is taken off the wire.
    request.resume();
    throw toStorageError(error, sha256);
  } finally {
    await part.close();
  }
}

async function append(
  part: BlobPart,
  { sha256, bytes }: { sha256: Sha256; bytes: number },
  { nowMs }: StorageDeps,
  request: Request,
): Promise<void> {
  const begun = { atMs: nowMs(), offset: part.offset };
  // A stream that stays open lets the sender read why the rest is not wanted.
  for await (const piece of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Uint8Array>) {
    if (part.offset + piece.length > bytes) {
      throw new AppError<StorageError>(
        { code: 'storage/bad-length', status: 400, length: String(bytes) },
        `More bytes came than the Upload-Length of ${bytes} says.`,
      );
    }
    await part.append(piece);
    const ms = nowMs() - begun.atMs;
    if (ms > SLOW_AFTER_MS && part.offset - begun.offset < ms * SLOWEST_BYTES_PER_MS) throw tooSlow(sha256);
  }
}

function toStorageError(error: unknown, sha256: Sha256): unknown {
  switch (errorCode(error)) {
    case 'blobs/hash-mismatch':
      return hashMismatch(sha256);
    case 'blobs/disk-full':
      return new AppError<StorageError>(
        { code: 'storage/disk-full', status: 507, sha256 },
        'This storage has no room left; its operator must make some.',
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
  if (deps.recoverUpload(upload, signature) !== address.data) throw unauthorised('the signature is not this account’s');
  if (!(await deps.mayUpload(address.data))) {
    throw new AppError<StorageError>(
      { code: 'storage/not-allowed', status: 403, owner: address.data },
      `${address.data} may not store anything here: only accounts with EMT or credit may.`,
    );
  }
}

function requireOffset(part: BlobPart, request: Request, response: Response): void {
  if (Number(request.get('upload-offset') ?? 0) === part.offset) return;
  response.set('upload-offset', String(part.offset));
  throw new AppError<StorageError>(
    { code: 'storage/wrong-offset', status: 409, offset: part.offset },
    `The upload goes on at ${part.offset}.`,
  );
}

async function openPart(blobs: BlobStore, sha256: Sha256): Promise<BlobPart> {
  try {
    return await blobs.openPart(sha256);
  } catch (cause) {
    if (errorCode(cause) !== 'blobs/busy') throw cause;
    throw new AppError<StorageError>(
      { code: 'storage/busy', status: 423, sha256 },
      'Somebody is uploading this blob now.',
      { cause },
    );
  }
}

function parseName(request: Request): Sha256 {
  const name = String(request.params.sha256);
  const parsed = Sha256.safeParse(name);
  if (parsed.success) return parsed.data;
  throw new AppError<StorageError>(
    { code: 'storage/bad-name', status: 400, name },
    'A blob is named by 64 lower-case hex digits.',
  );
}

function parseLength(request: Request): number {
  const length = request.get('upload-length') ?? '';
  if (/^[1-9]\d{0,14}$/.test(length)) return Number(length);
  throw new AppError<StorageError>(
    { code: 'storage/bad-length', status: 400, length },
    'The header Upload-Length must say how many bytes the whole blob has, at least 1.',
  );
}

function unknownBlob(sha256: string): AppError<StorageError> {
  return new AppError({ code: 'storage/unknown-blob', status: 404, sha256 }, `No blob ${sha256} is stored here.`);
}

function unauthorised(reason: string): AppError<StorageError> {
  return new AppError(
    { code: 'storage/unauthorised', status: 401, reason },
    `The upload is not authorised: ${reason}.`,
  );
}

function tooSlow(sha256: string): AppError<StorageError> {
  return new AppError(
    { code: 'storage/too-slow', status: 408, sha256 },
    'The upload is too slow; go on with it later.',
  );
}

function hashMismatch(sha256: string): AppError<StorageError> {
  return new AppError(
    { code: 'storage/hash-mismatch', status: 422, sha256 },
    `What arrived is not blob ${sha256}; it was thrown away.`,
  );
}
