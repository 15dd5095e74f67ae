/** Data sets by reference: where each kind is, how large it is, and how it gets into the blob store. */
import { mkdir, open, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { MAX_REFERENCE_CHARACTERS, parseBlobReference } from '../domain/blob-reference';
import { Sha256 } from '../domain/ids';
import { AppError, describeError, errorCode } from '../lib/errors';
import { sha256, sha256File } from '../lib/hash';
import type { BlobStore } from './blob-store';
import { type HttpsOptions, requestForeign } from './https-download';
import { type BlobPlaces, openSource } from './located-blobs';
import type { RemoteOptions } from './remote-blobs';

export type DatasetError =
  | { code: 'dataset/bad-reference'; reference: string }
  | { code: 'dataset/missing'; reference: string }
  | { code: 'dataset/empty'; reference: string }
  | { code: 'dataset/too-large'; reference: string; bytes: number; maxBytes: number }
  | { code: 'dataset/hash-mismatch'; reference: string }
  | { code: 'dataset/forbidden-address'; reference: string; address: string };

/**
 * A parsed reference: `sha256:<hex>[@<url>…]` in storage, `https://…` (with `#sha256=<hex>` to fix its
 * content), or `file:…`.
 */
type Source =
  | { kind: 'storage'; sha256: Sha256; locations: readonly string[] }
  | { kind: 'https'; url: URL; sha256?: Sha256 | undefined }
  | { kind: 'file'; path: string };

export interface DatasetOptions extends BlobPlaces {
  maxBytes: number;
  /** Whether `file:` is allowed; it reads any file of this machine. */
  allowFiles: boolean;
}

/** The only answers to HEAD that mean the data do not exist; some servers refuse HEAD in other ways. */
const GONE = [404, 410];
/** What a reference may look like: references are printed and logged. */
const PRINTABLE = new RegExp(`^[^\\p{Cc}\\p{Cf}\\p{Zl}\\p{Zp}]{1,${MAX_REFERENCE_CHARACTERS}}$`, 'u');
/** Error codes that mean the file or the server cannot be reached. */
const ABSENT = [
  'blobs/not-stored',
  'blobs/no-access',
  'https/failed',
  'ECONNRESET',
  'ENOENT',
  'EACCES',
  'EISDIR',
  'ENOTDIR',
];

/** The longest that a stranger's server may take to tell a size: whoever asks waits for it. */
const SIZE_MS = 10_000;

/** Returns the size of a data set without fetching it, or 0 if an https server does not report it. */
export async function datasetSize(
  reference: string,
  blobs: BlobStore,
  options: DatasetOptions,
  signal: AbortSignal = AbortSignal.timeout(SIZE_MS),
): Promise<number> {
  const source = parseReference(reference, options);
  return guarded(reference, options, async () => {
    switch (source.kind) {
      case 'storage':
        return (
          (await blobs.stat(source.sha256))?.bytes ?? openSource(options, source.locations).size(source.sha256, signal)
        );
      case 'file':
        return (await stat(source.path)).size;
      case 'https':
        return askSize(reference, source.url, { ...options.https, method: 'HEAD', signal });
    }
  });
}

function askSize(reference: string, url: URL, options: HttpsOptions): Promise<number> {
  return requestForeign(url, options, async ({ statusCode, headers }) => {
    if (GONE.includes(statusCode)) throw missing(reference, new Error(`its server answered ${statusCode}.`));
    return statusCode === 200 ? Number(headers['content-length'] ?? 0) : 0;
  });
}

/**
 * Fetches a data set into the blob store. Throws `dataset/…` when it is missing, empty, too large or not the
 * promised one.
 */
export async function fetchDataset(
  reference: string,
  blobs: BlobStore,
  options: DatasetOptions,
  remote: RemoteOptions = {},
): Promise<{ sha256: Sha256; bytes: number }> {
  const source = parseReference(reference, options);
  const fetched = await guarded(reference, options, async () => {
    switch (source.kind) {
      case 'storage': {
        const storage = openSource(options, source.locations);
        return { sha256: source.sha256, ...(await storage.download(source.sha256, blobs, options.maxBytes, remote)) };
      }
      case 'file':
        return takeFile(reference, source.path, blobs, options.maxBytes);
      case 'https':
        return withTemporaryFile(reference, blobs, (path) => download(path, reference, source, blobs, options, remote));
    }
  });
  if (fetched.bytes === 0) throw empty(reference);
  return fetched;
}

function parseReference(reference: string, options: DatasetOptions): Source {
  const source = PRINTABLE.test(reference) ? sourceOf(reference, options) : undefined;
  if (source) return source;
  const files = options.allowFiles ? '' : ' (file: works only on the machine it is on)';
  throw new AppError<DatasetError>(
    { code: 'dataset/bad-reference', reference },
    `The data set reference ${JSON.stringify(reference.slice(0, 200))} is not sha256:<64 hex digits>[@<storage>,…] or https://…${files}.`,
  );
}

function sourceOf(reference: string, { allowFiles }: DatasetOptions): Source | undefined {
  const blob = parseBlobReference(reference);
  if (blob) return { kind: 'storage', ...blob };
  if (reference.startsWith('https://') && URL.canParse(reference)) {
    const url = new URL(reference);
    const promised = Sha256.safeParse(url.hash.replace(/^#sha256=/, ''));
    if (url.hash === '' || promised.success) return { kind: 'https', url, sha256: promised.data };
  }
  if (!allowFiles || !reference.startsWith('file:')) return undefined;
  if (!reference.startsWith('file://')) return { kind: 'file', path: reference.slice('file:'.length) };
  return URL.canParse(reference) && new URL(reference).host === ''
    ? { kind: 'file', path: fileURLToPath(reference) }
    : undefined;
}

async function takeFile(reference: string, path: string, blobs: BlobStore, maxBytes: number) {
  const { size } = await stat(path);
  if (size > maxBytes) throw tooLarge(reference, size, maxBytes);
  if (size === 0) throw empty(reference);
  return blobs.add(path, { move: false });
}

/** Temporary files in use, each with the end of its use. */
const inUse = new Map<string, Promise<void>>();

/**
 * Gives `work` the path of a temporary file beside the blobs. The name is derived from the reference, so
 * that a later attempt overwrites what a crash left; concurrent fetches of one reference run one after the
 * other.
 */
async function withTemporaryFile<T>(
  reference: string,
  blobs: BlobStore,
  work: (path: string) => Promise<T>,
): Promise<T> {
  const path = join(blobs.dir, `${sha256(reference)}.fetching`);
  while (inUse.has(path)) await inUse.get(path);
  const working = work(path).finally(() => rm(path, { force: true }));
  inUse.set(
    path,
    Promise.allSettled([working]).then(() => void inUse.delete(path)),
  );
  return working;
}

async function download(
  path: string,
  reference: string,
  source: Extract<Source, { kind: 'https' }>,
  blobs: BlobStore,
  { maxBytes, https }: DatasetOptions,
  { signal, onProgress }: RemoteOptions,
) {
  await mkdir(blobs.dir, { recursive: true });
  await requestForeign(source.url, { ...https, method: 'GET', signal }, async ({ statusCode, headers, body }) => {
    if (statusCode !== 200) throw missing(reference, new Error(`its server answered ${statusCode}.`));
    const total = Number(headers['content-length'] ?? 0);
    if (total > maxBytes) throw tooLarge(reference, total, maxBytes);
    await save(body, path, (bytes) => {
      if (bytes > maxBytes) throw tooLarge(reference, bytes, maxBytes);
      onProgress?.(bytes, total);
    });
  });
  const fetched = (await sha256File(path)) as Sha256;
  if (source.sha256 !== undefined && fetched !== source.sha256) throw mismatch(reference);
  return blobs.add(path, { move: true });
}

async function save(body: AsyncIterable<Uint8Array>, path: string, onBytes: (bytes: number) => void): Promise<void> {
  const file = await open(path, 'w');
  let bytes = 0;
  try {
    for await (const piece of body) {
      bytes += piece.length;
      onBytes(bytes);
      await file.appendFile(piece);
    }
  } finally {
    await file.close();
  }
}

/** Runs `work` and turns the errors of storage, downloads and files into `dataset/…`. */
async function guarded<T>(reference: string, { maxBytes }: DatasetOptions, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const code = errorCode(error);
    if (code === 'blobs/too-large' && error instanceof AppError) {
      throw tooLarge(reference, (error.detail as { bytes?: number }).bytes ?? 0, maxBytes);
    }
    if (code === 'https/forbidden-address' && error instanceof AppError) {
      throw forbidden(reference, String((error.detail as { address?: string }).address));
    }
    if (code === 'blobs/hash-mismatch') throw mismatch(reference);
    const isLate = error instanceof DOMException && error.name === 'TimeoutError';
    if (ABSENT.includes(code) || code.startsWith('UND_ERR') || isLate) throw missing(reference, error);
    throw error;
  }
}

function missing(reference: string, cause: unknown): AppError<DatasetError> {
  return new AppError(
    { code: 'dataset/missing', reference },
    `The data set ${reference} cannot be fetched: ${describeError(cause)}`,
    { cause },
  );
}

function empty(reference: string): AppError<DatasetError> {
  return new AppError({ code: 'dataset/empty', reference }, `The data set ${reference} is empty.`);
}

function tooLarge(reference: string, bytes: number, maxBytes: number): AppError<DatasetError> {
  return new AppError(
    { code: 'dataset/too-large', reference, bytes, maxBytes },
    `The data set ${reference} has ${bytes} bytes; the limit here is ${maxBytes} (maxDatasetBytes).`,
  );
}

function mismatch(reference: string): AppError<DatasetError> {
  return new AppError(
    { code: 'dataset/hash-mismatch', reference },
    `The data fetched for ${reference} do not have the hash it names.`,
  );
}

function forbidden(reference: string, address: string): AppError<DatasetError> {
  return new AppError(
    { code: 'dataset/forbidden-address', reference, address },
    `The data set ${reference} leads to ${address}, which is not a public https address.`,
  );
}
