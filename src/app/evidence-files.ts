/** Keeps the evidence of a verifier's rejections: here, and in the storage where everybody looks for it. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { BlobStore } from '../blobs/blob-store';
import type { JobId, Sha256 } from '../domain/ids';
import type { Logger } from '../lib/logger';

interface EvidenceDeps {
  dataDir: string;
  blobs: BlobStore;
  /** Uploads what is in `blobs`. */
  publish(names: readonly Sha256[]): Promise<void>;
  logger: Logger;
  signal: AbortSignal;
}

/**
 * Writes `<dataDir>/evidence/<jobId>.json` and uploads it. A storage that does not take it stops no
 * rejection: it may be that of the node whose result is rejected.
 */
export async function keepEvidence(jobId: JobId, evidence: string, deps: EvidenceDeps): Promise<void> {
  const { blobs, logger, signal } = deps;
  const directory = join(deps.dataDir, 'evidence');
  const path = join(directory, `${jobId}.json`);
  await mkdir(directory, { recursive: true });
  await writeFile(path, evidence);
  const { sha256 } = await blobs.addBytes(Buffer.from(evidence));
  try {
    await deps.publish([sha256]);
  } catch (error) {
    signal.throwIfAborted();
    logger.warn('The storage does not take the evidence; it is kept here', { jobId, path }, error);
  }
}
