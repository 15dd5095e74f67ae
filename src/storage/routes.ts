/** The storage API as express routes: blobs out, resumable uploads in, and what verifiers say about jobs. */
import { json, type Request, type Response, Router } from 'express';
import type { BlobPart, BlobStore } from '../blobs/blob-store';
import { Address, Sha256 } from '../domain/ids';
import type { ClientAddress } from '../http/client-address';
import { allowLongBody } from '../http/deadline';
import { limitRate } from '../http/rate-limit';
import { AppError, errorCode } from '../lib/errors';
import { MAX_STATEMENT_BYTES } from '../protocol/storage';
import { Permits } from './permits';
import { parseJobName, type StatementDeps, takeAttestation, takeEvidenceRequest } from './statements';

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

export interface StorageDeps extends StatementDeps {
  blobs: BlobStore;
  /** Returns the signer of an upload, or undefined for an invalid signature. */
  recoverUpload(
    upload: { owner: Address; blob: string; bytes: number; expiresAtMs: number },
    signature: string,
  ): Address | undefined;
  /** Whether this account may upload here. */
  mayUpload(owner: Address): Promise<boolean>;
  clientAddress: ClientAddress;
}

export interface StorageOptions {
  maxUploadBytes: number;
}

const REQUESTS_A_MINUTE = 3000;
/** After this time an upload must have this average speed. A slower one is cut off and can resume later. */
const SLOW_AFTER_MS = 60_000;
const SLOWEST_BYTES_PER_MS = 1;

/** Returns the routes of `protocol/storage.ts`, to be mounted at `/api/v1`. */
export function storageRoutes(options: StorageOptions, deps: StorageDeps): Router {
  const router = Router();
  const permits = new Permits(deps.nowMs);
  router.use(
    limitRate({
      limit: REQUESTS_A_MINUTE,
      code: 'storage/too-many-requests',
      clientAddress: deps.clientAddress,
      // Pieces of a permitted upload: behind a proxy of small bodies there are many of them.
      isFree: ({ method }, { statusCode }) => method === 'PUT' && [201, 202].includes(statusCode),
    }),
  );
  router.get('/blobs/:sha256', (request, response) => sendBlob(deps, request, response));
  router.head('/uploads/:sha256', (request, response) => sendOffset(deps, request, response));
  router.put('/uploads/:sha256', (request, response) => takeUpload(options, { ...deps, permits }, request, response));
  addStatements(router, deps);
  return router;
}

/** Statements are small and of registered verifiers only; everybody may read them. */
function addStatements(router: Router, deps: StatementDeps): void {
  const body = json({ limit: MAX_STATEMENT_BYTES });
  const jobOf = (request: Request) => String(request.params['jobId']);
  router.put('/jobs/:jobId/attestations', body, async (request, response) => {
    response.json(await takeAttestation(deps, jobOf(request), request.body));
  });
  router.get('/jobs/:jobId/attestations', async (request, response) => {
    const attestations = await deps.attestations.list(parseJobName(jobOf(request)));
    response.set('cache-control', 'no-cache').json({ attestations });
  });
  router.put('/jobs/:jobId/evidence-requests', body, async (request, response) => {
    response.json(await takeEvidenceRequest(deps, jobOf(request), request.body));
  });
  router.get('/jobs/:jobId/evidence-requests', async (request, response) => {
    const requests = await deps.evidenceRequests.list(parseJobName(jobOf(request)));
    response.set('cache-control', 'no-cache').json({ requests });
  });
}

/** Answers GET and HEAD, for the whole blob or a range. */
async function sendBlob({ blobs }: StorageDeps, request: Request, response: Response): Promise<void> {
  const sha256 = parseName(request);
  if (!(await blobs.stat(sha256))) throw unknownBlob(sha256);
  await new Promise<void>((resolve, reject) => {
    const headers = { 'content-type': 'application/octet-stream', etag: `"${sha256}"` };
    response.sendFile(
      blobs.path(sha256),
      { headers, cacheControl: true, immutable: true, maxAge: '365d', dotfiles: 'allow' },
      (error) => {
        // A client that disconnected needs no answer.
        if (error && !response.destroyed && !response.headersSent) reject(error);
        else resolve();
      },
    );
  });
}

async function sendOffset({ blobs }: StorageDeps, request: Request, response: Response): Promise<void> {
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

interface UploadDeps extends StorageDeps {
  permits: Permits;
}

async function takeUpload(
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
  const sha256 = parseName(request);
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

async function openPart(blobs: BlobStore, sha256: Sha256): Promise<BlobPart> {
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
    'The header Upload-Length must be the size of the whole blob in bytes, at least 1.',
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
  return new AppError({ code: 'storage/too-slow', status: 408, sha256 }, 'The upload is too slow; resume it later.');
}

function hashMismatch(sha256: string): AppError<StorageError> {
  return new AppError(
    { code: 'storage/hash-mismatch', status: 422, sha256 },
    `The bytes received do not have the hash ${sha256}; they were deleted.`,
  );
}
