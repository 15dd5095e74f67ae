import { mkdir, open, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Sha256 } from '../domain/ids';
import { AppError, describeError, errorCode } from '../lib/errors';
import { sha256, sha256File } from '../lib/hash';
import type { BlobStore } from './blob-store';
import { type HttpsRules, requestForeign } from './https-download';
import { RemoteBlobs, type RemoteOptions } from './remote-blobs';

export type DatasetError =
  | { code: 'dataset/bad-reference'; reference: string }
  | { code: 'dataset/missing'; reference: string }
  | { code: 'dataset/empty'; reference: string }
  | { code: 'dataset/too-large'; reference: string; bytes: number; maxBytes: number }
  | { code: 'dataset/hash-mismatch'; reference: string }
  | { code: 'dataset/forbidden-address'; reference: string; address: string };

/** Where a data set is: `sha256:<hex>` in storage, `https://…` (with `#sha256=<hex>` to insist on its content), or `file:…`. */
type Source =
  | { kind: 'storage'; sha256: Sha256 }
  | { kind: 'https'; url: URL; sha256?: Sha256 | undefined }
  | { kind: 'file'; path: string };

export interface DatasetOptions {
  /** Where `sha256:` references are fetched. */
  storageApi: string;
  maxBytes: number;
  /** `file:` is for data on our own machine only. */
  allowFiles: boolean;
  /** Exceptions to the rule that `https:` leads to public addresses only. */
  https?: HttpsRules | undefined;
}

/** Some servers refuse HEAD for what they have; only these two answers say that it is not there. */
const GONE = [404, 410];
/** Also the longest reference: it is printed and logged. */
const PRINTABLE = /^[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}]{1,2000}$/u;
/** How it shows that a file, or the way to a server, is not there. */
const ABSENT = ['blobs/not-stored', 'https/failed', 'ECONNRESET', 'ENOENT', 'EACCES', 'EISDIR', 'ENOTDIR'];

/** Bytes of a data set without fetching it, as far as its place tells; 0 for an https server that does not say. */
export async function datasetSize(reference: string, blobs: BlobStore, options: DatasetOptions): Promise<number> {
  const source = parseReference(reference, options);
  return guarded(reference, options, async () => {
    switch (source.kind) {
      case 'storage':
        return (await blobs.stat(source.sha256))?.bytes ?? new RemoteBlobs(options.storageApi).size(source.sha256);
      case 'file':
        return (await stat(source.path)).size;
      case 'https':
        return requestForeign(source.url, { ...options.https, method: 'HEAD' }, async ({ statusCode, headers }) => {
          if (GONE.includes(statusCode)) throw missing(reference, new Error(`its server answered ${statusCode}.`));
          return statusCode === 200 ? Number(headers['content-length'] ?? 0) : 0;
        });
    }
  });
}

/** Brings a data set into our store, whole, not empty, within the limit, and with the content its reference promises. */
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
        const storage = new RemoteBlobs(options.storageApi);
        return { sha256: source.sha256, ...(await storage.download(source.sha256, blobs, options.maxBytes, remote)) };
      }
      case 'file':
        return takeFile(reference, source.path, blobs, options.maxBytes);
      case 'https':
        return inTurn(reference, blobs, (path) => download(path, reference, source, blobs, options, remote));
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
    `The data set reference ${JSON.stringify(reference.slice(0, 200))} is not sha256:<64 hex digits> or https://…${files}.`,
  );
}

function sourceOf(reference: string, { allowFiles }: DatasetOptions): Source | undefined {
  const name = Sha256.safeParse(reference.replace(/^sha256:/, ''));
  if (reference.startsWith('sha256:') && name.success) return { kind: 'storage', sha256: name.data };
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

/** The files that are being fetched into. */
const underWay = new Map<string, Promise<void>>();

/** Hands `work` a file beside the blobs. Its name is made of the reference, so that a later try takes its place; the same once more waits. */
async function inTurn<T>(reference: string, blobs: BlobStore, work: (path: string) => Promise<T>): Promise<T> {
  const path = join(blobs.dir, `${sha256(reference)}.fetching`);
  while (underWay.has(path)) await underWay.get(path);
  const working = work(path).finally(() => rm(path, { force: true }));
  underWay.set(
    path,
    Promise.allSettled([working]).then(() => void underWay.delete(path)),
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

/** Gives everything that can go wrong on the way the words of a data set. */
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
    const isLate = error instanceof Error && error.name === 'TimeoutError';
    if (ABSENT.includes(code) || code.startsWith('UND_ERR') || isLate) throw missing(reference, error);
    throw error;
  }
}

function missing(reference: string, cause: unknown): AppError<DatasetError> {
  return new AppError(
    { code: 'dataset/missing', reference },
    `The data set ${reference} cannot be had: ${describeError(cause)}`,
    { cause },
  );
}

function empty(reference: string): AppError<DatasetError> {
  return new AppError({ code: 'dataset/empty', reference }, `The data set ${reference} is empty.`);
}

function tooLarge(reference: string, bytes: number, maxBytes: number): AppError<DatasetError> {
  return new AppError(
    { code: 'dataset/too-large', reference, bytes, maxBytes },
    `The data set ${reference} has ${bytes} bytes; at most ${maxBytes} (maxDatasetBytes) are taken here.`,
  );
}

function mismatch(reference: string): AppError<DatasetError> {
  return new AppError(
    { code: 'dataset/hash-mismatch', reference },
    `What was fetched for ${reference} is not what its hash names.`,
  );
}

function forbidden(reference: string, address: string): AppError<DatasetError> {
  return new AppError(
    { code: 'dataset/forbidden-address', reference, address },
    `The data set ${reference} leads to ${address}, which is not a public https address.`,
  );
}
