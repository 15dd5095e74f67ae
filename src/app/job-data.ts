/** Data sets for a master: only for jobs whose requester has the data itself. */
import { rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { BlobStore } from '../blobs/blob-store';
import { type DatasetOptions, fetchDataset } from '../blobs/dataset';
import { openReadPass } from '../blobs/read-pass';
import type { Wallet } from '../chain/sending/wallet';
import { parseBlobReference } from '../domain/blob-reference';
import type { Sha256 } from '../domain/ids';
import type { JobRow } from '../store/jobs';
import type { Store } from '../store/open';
import { blobReaderOf } from './blob-reader';

export interface JobDataDeps {
  options: DatasetOptions;
  blobs: BlobStore;
  holders: Pick<Store['blobHolders'], 'has' | 'add'>;
  wallet: Wallet;
}

/**
 * Fetches the data set of a job. Its name is on chain for everybody, and what is here from another's job must
 * not be trained, and so given away, for one who only names it. So what its requester has not uploaded here
 * has to come from a storage that gives it for this job, as if nothing were here. Throws `dataset/…`.
 */
export async function fetchJobData(
  { id, requester, dataset }: Pick<JobRow, 'id' | 'requester' | 'dataset'>,
  { options, blobs, holders, wallet }: JobDataDeps,
  signal: AbortSignal,
): Promise<{ sha256: Sha256; bytes: number }> {
  const name = parseBlobReference(dataset)?.sha256;
  const pass = openReadPass(id, blobReaderOf(wallet));
  const fetchInto = (store: BlobStore) => fetchDataset(dataset, store, options, { signal, pass });
  const isTheirs = name === undefined || requester === wallet.address || (await holders.has(name, requester));
  if (isTheirs) return fetchInto(blobs);
  const isHere = (await blobs.stat(name)) !== undefined;
  const fetched = isHere ? await fetchApart(join(apartDir(blobs), id), fetchInto) : await fetchInto(blobs);
  // This master's own storage then gives it to the job's verifiers too.
  await holders.add(name, requester);
  return fetched;
}

/** Where what a master fetches although it is here passes through. */
export function apartDir({ dir }: Pick<BlobStore, 'dir'>): string {
  return join(dirname(dir), 'apart');
}

async function fetchApart<T>(dir: string, fetchInto: (store: BlobStore) => Promise<T>): Promise<T> {
  try {
    return await fetchInto(new BlobStore(dir));
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}
