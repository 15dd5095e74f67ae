/** A storage API as requesters use it, with progress on the terminal. */
import { copyFile, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BlobStore } from '../blobs/blob-store';
import { fetchDataset } from '../blobs/dataset';
import { openSource } from '../blobs/located-blobs';
import { openReadPass, type ReadPass } from '../blobs/read-pass';
import type { RemoteBlobs } from '../blobs/remote-blobs';
import { parseBlobReference } from '../domain/blob-reference';
import { Sha256 } from '../domain/ids';
import { AppError } from '../lib/errors';
import { MAX_MANIFEST_BYTES, Manifest } from '../protocol/manifest';
import { NO_JOB, STORAGE_DOMAIN, uploadTypes } from '../protocol/storage';
import { openProgress } from '../terminal/print';
import type { Account } from './account';
import { blobReaderOf } from './blob-reader';
import { makeDataDir } from './data-dir';
import { placesOf, requireStorages } from './places';
import { withEachStorage } from './publish';

export type StorageClientError =
  | { code: 'usage/changed-file'; path: string }
  | { code: 'result/bad-manifest'; sha256: string };

/** Opened storages. Transfers show their progress and resume where they were interrupted. */
export interface Storage {
  /**
   * Uploads a file under its hash to every storage, and returns those that have it. Throws
   * `usage/changed-file` when it has another hash by now, and what the first storage says if none takes it.
   */
  upload(path: string, sha256: string, account: Pick<Account, 'wallet' | 'logger'>): Promise<string[]>;
  /** Writes a checked blob to a file. */
  fetchTo(sha256: string, path: string, label: string): Promise<void>;
  manifest(sha256: string): Promise<Manifest>;
}

/** As large as a data set may be that is fetched to be checked before its job is requested. */
const MAX_DATASET_BYTES = 2 ** 40;

/**
 * Opens the storages of the options or the configuration, and to read from also those that `locations` names.
 * Unfinished transfers are kept in the data directory. Throws `config/no-storage` where there are none.
 */
export function openStorage(
  { config, dataDir }: Pick<Account, 'config' | 'dataDir'>,
  options: { storage?: string | undefined; locations?: readonly string[] | undefined; pass?: ReadPass | undefined },
  signal: AbortSignal,
): Storage {
  const { locations = [], pass } = options;
  const places = placesOf(config, options);
  if (locations.length === 0) requireStorages(places);
  const source = openSource(places, locations);
  // Apart from a role's own blobs, because these are removed once their transfer is complete.
  const passing = new BlobStore(join(dataDir, 'transfers'));
  const download = async (sha256: Sha256, label: string, maxBytes: number) => {
    await makeDataDir(dataDir);
    return withProgress(label, (onProgress) =>
      source.download(sha256, passing, maxBytes, { signal, pass, onProgress }),
    );
  };

  return {
    async upload(path, promised, { wallet, logger }) {
      const { sha256 } = await passing.add(path, { move: false });
      if (sha256 !== promised) {
        await passing.remove(sha256);
        throw changed(path);
      }
      const sign = (upload: object) => wallet.signTyped(STORAGE_DOMAIN, uploadTypes, upload);
      const done = await withProgress('upload', (onProgress) => {
        const upload = (remote: RemoteBlobs) =>
          remote.upload(sha256, passing, wallet.address, sign, { signal, onProgress });
        return withEachStorage(requireStorages(places), upload, { logger, signal });
      });
      await passing.remove(sha256);
      return done;
    },
    async fetchTo(name, path, label) {
      const sha256 = Sha256.parse(name);
      await download(sha256, label, Number.MAX_SAFE_INTEGER);
      await copyFile(passing.path(sha256), path);
      await passing.remove(sha256);
    },
    async manifest(name) {
      const sha256 = Sha256.parse(name);
      await download(sha256, 'manifest', MAX_MANIFEST_BYTES);
      const manifest = await readManifest(passing, sha256);
      await passing.remove(sha256);
      return manifest;
    },
  };
}

/**
 * Fetches the data set of a reference, as a node would, to be looked at here; disposing of it removes it.
 * Throws `dataset/…`, and `config/no-storage` for a reference into a storage that nobody named.
 */
export async function fetchForCheck(
  reference: string,
  { config, dataDir, wallet }: Pick<Account, 'config' | 'dataDir' | 'wallet'>,
  options: { storage?: string | undefined },
  signal: AbortSignal,
): Promise<{ path: string } & AsyncDisposable> {
  const places = placesOf(config, options);
  if (parseBlobReference(reference)?.locations.length === 0) requireStorages(places);
  const passing = new BlobStore(join(dataDir, 'transfers'));
  const rules = { ...places, maxBytes: MAX_DATASET_BYTES, allowFiles: true };
  // No node takes a job with another's data, and no storage shows them here.
  const pass = openReadPass(NO_JOB, blobReaderOf(wallet));
  const { sha256 } = await withProgress('data set', (onProgress) =>
    fetchDataset(reference, passing, rules, { signal, pass, onProgress }),
  );
  return { path: passing.path(sha256), [Symbol.asyncDispose]: () => passing.remove(sha256) };
}

function changed(path: string): AppError<StorageClientError> {
  return new AppError(
    { code: 'usage/changed-file', path },
    `${path} was changed while it was being requested; run the command again once it is complete.`,
  );
}

async function readManifest(blobs: BlobStore, sha256: Sha256): Promise<Manifest> {
  try {
    return Manifest.parse(JSON.parse(await readFile(blobs.path(sha256), 'utf8')));
  } catch (cause) {
    throw new AppError<StorageClientError>(
      { code: 'result/bad-manifest', sha256 },
      `The result ${sha256} is not a manifest; the node submitted something else.`,
      { cause },
    );
  }
}

async function withProgress<T>(
  label: string,
  work: (onProgress: (done: number, total: number) => void) => Promise<T>,
): Promise<T> {
  const progress = openProgress(label);
  try {
    return await work(progress.update);
  } finally {
    progress.end();
  }
}
