/**
 * The storage routes of 2022, by the names they had then: a thin layer that answers with addresses of
 * today's.
 */
import { json, type Request, type RequestHandler, type Response, Router } from 'express';
import { z } from 'zod';
import { parseBlobReference } from '../domain/blob-reference';
import { Address, JobId, Sha256 } from '../domain/ids';
import { AppError } from '../lib/errors';
import { MAX_STATEMENT_BYTES } from '../protocol/storage';
import type { StorageDeps, StorageOptions } from './deps';
import { parseBody, type StorageError, tooLargeToStore } from './errors';
import { readStoredManifest } from './stored-manifest';

type NodeDeps = Pick<StorageDeps, 'blobs' | 'jobRecord' | 'recoverRead' | 'recoverUpload' | 'nowMs'>;

/**
 * What a node of 2022 sent; `sig` is EIP-712 over `Read` or `Upload`, to expire an hour after `signedtime`.
 */
const Signed = z.object({ sig: z.string(), jobId: JobId, address: Address, signedtime: z.int().min(0) });
/** `partNum` may be a fraction, as it was; every part but the last has `PART_BYTES`. */
const PutRequest = Signed.extend({
  sha256: Sha256,
  bytes: z.int().min(1),
  partNum: z.number().min(0).max(1e6).optional(),
  extension: z.string().regex(/^(\.\w{1,16})?$/),
});
const CompleteRequest = z.object({
  jobId: JobId,
  address: Address,
  uploadId: Sha256,
  extension: z.string().regex(/^(\.\w{1,16})?$/),
});

const VALID_MS = 3600_000;
const PART_BYTES = 10_000_000;
const RESULT = /^result\/(0x[0-9a-fA-F]{32})-(0x[0-9a-fA-F]{40})\.\w+$/;
/** What an address may carry in place of a header, so that whoever has it needs nothing else. */
const IN_ADDRESS = ['authorization', 'upload-length', 'upload-offset'] as const;

/**
 * Takes from the address of a request what it has no header for. To be mounted before the routes of blobs.
 */
export const takeSignedAddress: RequestHandler = (request, _response, next) => {
  for (const name of IN_ADDRESS) {
    const { [name]: value } = request.query;
    if (typeof value === 'string') request.headers[name] ??= value;
  }
  next();
};

export function nodeRoutes(options: StorageOptions, deps: NodeDeps): Router {
  const router = Router();
  const body = json({ limit: MAX_STATEMENT_BYTES });
  router.get('/sizeOf', async (request, response) => {
    response.json({ result: await sizeOf(String(request.query['key']), deps) });
  });
  router.post('/node/signed-get-url', body, (request, response) => signGet(options, deps, request, response));
  router.post('/node/multipartUpload/getPutSignedUrls', body, (request, response) =>
    signPut(options, deps, request, response),
  );
  router.post('/node/multipartUpload/completeUpload', body, async (request, response) => {
    const { jobId, address, uploadId, extension } = parseBody(CompleteRequest, request.body);
    if (!(await deps.blobs.stat(uploadId))) throw unknown(uploadId);
    response.json({ fileName: `${jobId}-${address}${extension}`, sha256: uploadId });
  });
  return router;
}

/** Returns the bytes of `dataset/<reference>`, or of the model in `result/<job>-<node>.pt`. */
async function sizeOf(key: string, deps: NodeDeps): Promise<number> {
  const [, job, node] = RESULT.exec(key) ?? [];
  if (job !== undefined && node !== undefined) return modelBytes(JobId.parse(job), Address.parse(node), deps);
  const reference = key.replace(/^dataset\//, '').replace(/^(?=[0-9a-f]{64}$)/, 'sha256:');
  const sha256 = parseBlobReference(reference)?.sha256;
  const found = sha256 && key.startsWith('dataset/') ? await deps.blobs.stat(sha256) : undefined;
  if (!found) throw unknown(key);
  return found.bytes;
}

async function modelBytes(jobId: JobId, node: Address, { blobs, jobRecord }: NodeDeps): Promise<number> {
  const job = await jobRecord(jobId);
  const result = job?.node === node ? job.result : undefined;
  const manifest = result && (await readStoredManifest(blobs, result));
  if (manifest?.jobId !== jobId) throw unknown(jobId);
  return Math.max(...manifest.model.map(({ bytes }) => bytes));
}

/** Answers with an address of the job's data set; that address asks whether its bearer may read them. */
async function signGet(options: StorageOptions, deps: NodeDeps, request: Request, response: Response): Promise<void> {
  const { sig, jobId, address, signedtime } = parseBody(Signed, request.body);
  const expiresAtMs = signedtime + VALID_MS;
  if (deps.recoverRead({ reader: address, jobId, expiresAtMs }, sig) !== address) throw unsigned();
  const sha256 = parseBlobReference((await deps.jobRecord(jobId))?.dataset ?? '')?.sha256;
  if (sha256 === undefined) throw unknown(jobId);
  const authorization = `Emeth-Read ${address} ${jobId} ${expiresAtMs} ${sig}`;
  response.json({ url: addressOf(options, `blobs/${sha256}`, { authorization }) });
}

/** Answers with an address for each part of an upload, to be put in their order. */
async function signPut(options: StorageOptions, deps: NodeDeps, request: Request, response: Response): Promise<void> {
  const { sig, jobId, address, signedtime, sha256, bytes, extension } = parseBody(PutRequest, request.body);
  const expiresAtMs = signedtime + VALID_MS;
  const upload = { owner: address, blob: `0x${sha256}`, bytes, expiresAtMs };
  if (deps.recoverUpload(upload, sig) !== address) throw unsigned();
  if (bytes > options.maxUploadBytes) throw tooLargeToStore(bytes, options.maxUploadBytes);
  const authorization = `Emeth ${address} ${expiresAtMs} ${sig}`;
  const urls = Array.from({ length: Math.ceil(bytes / PART_BYTES) }, (_, i) =>
    addressOf(options, `uploads/${sha256}`, {
      authorization,
      'upload-length': String(bytes),
      'upload-offset': String(i * PART_BYTES),
    }),
  );
  response.json({ urls: { ...urls }, uploadId: sha256, fileName: `${jobId}-${address}${extension}` });
}

function addressOf({ url }: StorageOptions, path: string, query: Record<string, string>): string {
  return `${url.replace(/\/$/, '')}/${path}?${new URLSearchParams(query)}`;
}

function unsigned(): AppError<StorageError> {
  const reason = 'sig is not by this address for this job, with an end one hour after signedtime';
  return new AppError({ code: 'storage/unauthorised', status: 401, reason }, `The request is refused: ${reason}.`);
}

function unknown(key: string): AppError<StorageError> {
  return new AppError({ code: 'storage/unknown-blob', status: 404, sha256: key }, `There is no ${key} here.`);
}
