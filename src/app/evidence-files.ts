/** Keeps the evidence of a verifier's rejections: here, and in the storage where everybody looks for it. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { BlobStore } from '../blobs/blob-store';
import type { RemoteBlobs } from '../blobs/remote-blobs';
import type { Wallet } from '../chain/sending/wallet';
import type { JobId } from '../domain/ids';
import type { Logger } from '../lib/logger';
import { STORAGE_DOMAIN, uploadTypes } from '../protocol/storage';

interface EvidenceDeps {
  dataDir: string;
  blobs: BlobStore;
  storage: Pick<RemoteBlobs, 'upload'>;
  wallet: Wallet;
  logger: Logger;
  signal: AbortSignal;
}

/**
 * Writes `<dataDir>/evidence/<jobId>.json` and uploads it. A storage that does not take it stops no
 * rejection: it may be that of the node whose result is rejected.
 */
export async function keepEvidence(jobId: JobId, evidence: string, deps: EvidenceDeps): Promise<void> {
  const { blobs, storage, wallet, logger, signal } = deps;
  const directory = join(deps.dataDir, 'evidence');
  const path = join(directory, `${jobId}.json`);
  await mkdir(directory, { recursive: true });
  await writeFile(path, evidence);
  const { sha256 } = await blobs.addBytes(Buffer.from(evidence));
  const sign = (upload: object) => wallet.signTyped(STORAGE_DOMAIN, uploadTypes, upload);
  try {
    await storage.upload(sha256, blobs, wallet.address, sign, { signal });
  } catch (error) {
    signal.throwIfAborted();
    logger.warn('The storage does not take the evidence; it is kept here', { jobId, path }, error);
  }
}
