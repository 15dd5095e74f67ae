import { lookup } from 'node:dns';
import { mkdtemp, open, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ipaddr from 'ipaddr.js';
import { Agent, request } from 'undici';
import { Sha256 } from '../domain/ids';
import { AppError, describeError, errorCode } from '../lib/errors';
import type { BlobStore } from './blob-store';
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
}

const MAX_REDIRECTS = 5;

/** Bytes of a data set without fetching it, as far as its place tells; 0 for an https server that does not say. */
export async function datasetSize(reference: string, blobs: BlobStore, options: DatasetOptions): Promise<number> {
  const source = parseReference(reference, options);
  return guarded(reference, options, async () => {
    switch (source.kind) {
      case 'storage':
        return (await blobs.stat(source.sha256))?.bytes ?? new RemoteBlobs(options.storageApi).size(source.sha256);
      case 'file':
        return (await stat(source.path)).size;
      case 'https': {
        const { headers, body } = await openUrl(reference, source.url, 'HEAD', {});
        await body.dump();
        return Number(headers['content-length'] ?? 0);
      }
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
        return download(reference, source, blobs, options.maxBytes, remote);
    }
  });
  if (fetched.bytes === 0) throw empty(reference);
  return fetched;
}

function parseReference(reference: string, options: DatasetOptions): Source {
  const sha256 = Sha256.safeParse(reference.replace(/^sha256:/, ''));
  if (reference.startsWith('sha256:') && sha256.success) return { kind: 'storage', sha256: sha256.data };
  if (reference.startsWith('https:') && URL.canParse(reference)) {
    const url = new URL(reference);
    const promised = Sha256.safeParse(url.hash.replace(/^#sha256=/, ''));
    if (url.hash === '' || promised.success) return { kind: 'https', url, sha256: promised.data };
  }
  if (reference.startsWith('file:') && options.allowFiles) return { kind: 'file', path: filePath(reference) };
  const files = options.allowFiles ? '' : ' (file: works only on the machine it is on)';
  throw new AppError<DatasetError>(
    { code: 'dataset/bad-reference', reference },
    `The data set reference ${reference.slice(0, 200)} is not sha256:<64 hex digits> or https://…${files}.`,
  );
}

function filePath(reference: string): string {
  return reference.startsWith('file://') ? fileURLToPath(reference) : reference.slice('file:'.length);
}

async function takeFile(reference: string, path: string, blobs: BlobStore, maxBytes: number) {
  const { size } = await stat(path);
  if (size > maxBytes) throw tooLarge(reference, size, maxBytes);
  if (size === 0) throw empty(reference);
  return blobs.add(path, { move: false });
}

async function download(
  reference: string,
  source: Extract<Source, { kind: 'https' }>,
  blobs: BlobStore,
  maxBytes: number,
  { signal, onProgress }: RemoteOptions,
) {
  const dir = await mkdtemp(join(tmpdir(), 'emeth-dataset-'));
  const path = join(dir, 'data');
  try {
    const { body, headers } = await openUrl(reference, source.url, 'GET', { signal });
    const total = Number(headers['content-length'] ?? 0);
    const file = await open(path, 'w');
    let bytes = 0;
    try {
      for await (const piece of body) {
        bytes += (piece as Buffer).length;
        if (bytes > maxBytes) throw tooLarge(reference, bytes, maxBytes);
        await file.appendFile(piece as Buffer);
        onProgress?.(bytes, total);
      }
    } finally {
      await file.close();
    }
    const added = await blobs.add(path, { move: true });
    if (source.sha256 !== undefined && added.sha256 !== source.sha256) throw mismatch(reference);
    return added;
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

/**
 * Requests a URL somebody else wrote. The connection is pinned to an address that was checked to be public, at every redirect, so
 * that neither a name nor a redirect can reach into our own network (server-side request forgery).
 */
async function openUrl(reference: string, url: URL, method: 'GET' | 'HEAD', options: { signal?: AbortSignal | undefined }) {
  let target = url;
  for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects++) {
    const dispatcher = new Agent({ connect: { lookup: publicLookup(reference), timeout: 10_000 }, bodyTimeout: 30_000 });
    assertPublicLiteral(reference, target.hostname);
    const response = await request(target, { method, dispatcher, ...(options.signal ? { signal: options.signal } : {}) });
    const { location } = response.headers;
    if (response.statusCode >= 300 && response.statusCode < 400 && typeof location === 'string') {
      await response.body.dump();
      target = new URL(location, target);
      if (target.protocol !== 'https:') throw forbidden(reference, target.href);
      continue;
    }
    if (response.statusCode === 200) return response;
    await response.body.dump();
    throw missing(reference, new Error(`the server answered ${response.statusCode}`));
  }
  throw missing(reference, new Error(`more than ${MAX_REDIRECTS} redirects`));
}

type LookupCallback = (error: Error | null, address: { address: string; family: number }[]) => void;

function publicLookup(reference: string) {
  return (hostname: string, _options: unknown, callback: LookupCallback): void => {
    lookup(hostname, { all: true }, (error, addresses) => {
      if (error) return callback(error, []);
      const inside = addresses.find(({ address }) => !isPublic(address));
      if (inside) return callback(forbidden(reference, inside.address), []);
      callback(null, addresses);
    });
  };
}

function assertPublicLiteral(reference: string, hostname: string): void {
  const literal = hostname.replace(/^\[|\]$/g, '');
  if (ipaddr.isValid(literal) && !isPublic(literal)) throw forbidden(reference, literal);
}

function isPublic(address: string): boolean {
  return ipaddr.isValid(address) && ipaddr.process(address).range() === 'unicast';
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
    if (code === 'blobs/hash-mismatch') throw mismatch(reference);
    if (['blobs/not-stored', 'ENOENT', 'EACCES', 'EISDIR', 'ENOTFOUND', 'ECONNREFUSED'].includes(code)) throw missing(reference, error);
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
  return new AppError({ code: 'dataset/hash-mismatch', reference }, `What was fetched for ${reference} is not what its hash names.`);
}

function forbidden(reference: string, address: string): AppError<DatasetError> {
  return new AppError(
    { code: 'dataset/forbidden-address', reference, address },
    `The data set ${reference} leads to ${address}, which is not a public https address.`,
  );
}
